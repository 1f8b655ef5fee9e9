"""Keep what other tools print and configure from disturbing our own output."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import typing as t


@contextlib.contextmanager
def output_kept(*, quiet: bool = False) -> t.Iterator[None]:
    """Send what is printed to stderr, and undo what is done to the configuration of logging.

    The ``fileConfig`` of an ``env.py`` disables every logger that exists; stdout is for data.

    :param quiet: log warnings and what is worse alone.
    """
    before = {logger: _LoggerState.of(logger) for logger in _loggers()}
    level = logging.root.manager.disable
    if quiet:
        logging.disable(max(level, logging.INFO))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(level)
        for logger in _loggers():
            before.get(logger, _LoggerState()).restore(logger)


@dataclasses.dataclass(frozen=True, slots=True)
class _LoggerState:
    """What can be configured of a logger; the defaults are those of one that is new."""

    level: int = logging.NOTSET
    disabled: bool = False
    propagate: bool = True
    handlers: tuple[logging.Handler, ...] = ()

    @classmethod
    def of(cls, logger: logging.Logger) -> _LoggerState:
        return cls(logger.level, logger.disabled, logger.propagate, tuple(logger.handlers))

    def restore(self, logger: logging.Logger) -> None:
        logger.setLevel(self.level)
        logger.disabled = self.disabled
        logger.propagate = self.propagate
        logger.handlers[:] = self.handlers


def _loggers() -> list[logging.Logger]:
    named = logging.getLogger().manager.loggerDict.values()
    return [logging.getLogger(), *(logger for logger in named if isinstance(logger, logging.Logger))]
