"""How the core tells what it does, without knowing where the words go."""

from __future__ import annotations

import contextlib
import typing as t

from .remedies import Command, Remedy


class Reporter(t.Protocol):
    """Takes what the core has to report. The command line prints it; the Python API drops it by default."""

    def outcome(self, message: str | Command) -> None:
        """Tell what has happened, in the words that scripts rely on; perhaps with what can be done next."""

    def note(self, message: str, *remedies: Remedy) -> None:
        """Tell something that the user should know, but that is not the outcome."""

    def detail(self, message: str) -> None:
        """Tell something that matters only to someone who looks for a cause (``--verbose``)."""

    def progress(self, label: str) -> t.ContextManager[None]:
        """Show on a terminal, and nowhere else, that long work is under way."""


class Silence:
    """The reporter that says nothing."""

    def outcome(self, message: str | Command) -> None:
        pass

    def note(self, message: str, *remedies: Remedy) -> None:
        pass

    def detail(self, message: str) -> None:
        pass

    def progress(self, label: str) -> t.ContextManager[None]:  # noqa: ARG002
        return contextlib.nullcontext()
