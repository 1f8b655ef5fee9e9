"""The reporter of the command line: words on stderr, data on stdout, progress on a terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
import typing as t

import click

from ..redaction import Redactor
from ..remedies import Command, Remedy, joined
from .boundary import colour, in_shell, one_line, printable

PROGRESS_AFTER = 0.7
"""Seconds of silence before a terminal is told what is under way."""


class Console:
    """Prints what the core tells, without any secret."""

    def __init__(self, ctx: click.Context, hide: Redactor, *, quiet: bool, verbose: bool) -> None:
        self._ctx = ctx
        self._hide = hide
        self._quiet = quiet
        self._verbose = verbose
        self._colour = colour(ctx)

    def outcome(self, message: str | Command) -> None:
        if not self._quiet:
            self._line(message if isinstance(message, str) else in_shell(self._ctx)(message), fg="green")

    def note(self, message: str, *remedies: Remedy) -> None:
        if not self._quiet:
            shown = [in_shell(self._ctx)(remedy) for remedy in remedies]
            self._line(joined(message, remedies=shown), fg="yellow")

    def detail(self, message: str) -> None:
        if self._verbose:
            self._line(message, dim=True)

    def data(self, text: str) -> None:
        """Print data, such as another program may read.

        A comment of another role may be in it, so it cannot steer the terminal.
        """
        click.echo(printable(self._hide(text), keep="\n\t"))

    @contextlib.contextmanager
    def progress(self, label: str) -> t.Iterator[None]:
        if self._quiet or not sys.stderr.isatty():
            yield
            return
        timer = threading.Timer(PROGRESS_AFTER, self._line, (f"{label}…",), {"dim": True})
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _line(self, message: str, **style: t.Any) -> None:
        text = one_line(self._hide(message))
        with contextlib.suppress(OSError):  # whoever reads it may be gone; the work goes on
            click.echo(click.style(text, **style), err=True, color=self._colour)


def columns(rows: t.Sequence[t.Sequence[str]]) -> str:
    """Return rows, the heads among them, with their cells below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
