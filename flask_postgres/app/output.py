"""Keep what other tools print and configure from disturbing our own output."""

from __future__ import annotations

import contextlib
import logging
import sys
import typing as t


@contextlib.contextmanager
def output_kept() -> t.Iterator[None]:
    """Send what is printed to stderr, and undo what is done to the configuration of logging.

    The ``fileConfig`` of an ``env.py`` disables every logger that exists; stdout is for data.
    """
    before = [_LoggerState(logger) for logger in _loggers()]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
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
