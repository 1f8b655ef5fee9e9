"""Keep what other tools print and configure from disturbing our own output."""

from __future__ import annotations

import contextlib
import logging
import sys
import typing as t


@contextlib.contextmanager
def output_kept(*, quiet: bool = False) -> t.Iterator[None]:
    """Send what is printed to stderr, and undo what is done to the configuration of logging.

    The ``fileConfig`` of an ``env.py`` disables every logger that exists; stdout is for data.

    :param quiet: log warnings and what is worse alone.
    """
    before = [_LoggerState(logger) for logger in _loggers()]
    level = logging.root.manager.disable
    if quiet:
        logging.disable(max(level, logging.INFO))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(level)
        for state in before:
            state.restore()


class _LoggerState:
    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._level = logger.level
        self._disabled = logger.disabled
        self._propagate = logger.propagate
        self._handlers = list(logger.handlers)

    def restore(self) -> None:
        self._logger.setLevel(self._level)
        self._logger.disabled = self._disabled
        self._logger.propagate = self._propagate
        self._logger.handlers[:] = self._handlers


def _loggers() -> list[logging.Logger]:
    named = logging.getLogger().manager.loggerDict.values()
    return [logging.getLogger(), *(logger for logger in named if isinstance(logger, logging.Logger))]
