"""What a user can do about a problem, as values.

The same remedy is a flag in a shell and a parameter in Python. Errors, notes and leftovers carry remedies.
Whoever shows them renders them, with the flags that were typed, so that a command can be copied as it stands.
"""

from __future__ import annotations

import shlex
import typing as t


class Command(t.NamedTuple):
    """A ``flask psql`` command to run.

    :param purpose: what it achieves, in the imperative: ``Create it``.
    :param arguments: what follows ``flask psql``: ``recover --discard``.
    """

    purpose: str
    arguments: str


class Sql(t.NamedTuple):
    """SQL to run.

    :param purpose: who runs it, or what it achieves: ``As a superuser, run``.
    :param statement: the statement, without a semicolon.
    """

    purpose: str
    statement: str


class Option(t.NamedTuple):
    """An option to give: a flag on the command line, a parameter in Python.

    :param words: a sentence with ``{}`` where the option stands.
    :param name: the option's name, with underscores: ``admin_dbname``.
    :param value: its value; None for a switch, or where the user has to choose one.
    """

    words: str
    name: str
    value: str | None = None


GROUPS = ("server", "snapshot")
"""The commands that have commands of their own; these take the flags."""

Remedy = str | Command | Sql | Option
"""A string is a sentence that says what to do."""

Remedies = Remedy | t.Sequence[Remedy] | None


def as_tuple(remedies: Remedies) -> tuple[Remedy, ...]:
    """Return one remedy, or several, as a tuple."""
    if remedies is None:
        return ()
    return (remedies,) if isinstance(remedies, (str, Command, Sql, Option)) else tuple(remedies)


def for_python(remedy: Remedy) -> str:
    """Return a remedy as it is shown to somebody who called a function."""
    if isinstance(remedy, Option):
        value = "True" if remedy.value is None else repr(remedy.value)
        return remedy.words.format(f"{remedy.name}={value}")
    return for_shell(remedy)


def for_shell(remedy: Remedy, *, flags: t.Sequence[str] = (), flask: str = "flask") -> str:
    """Return a remedy as it is shown to somebody who typed a command.

    :param flags: the flags that a command needs to be about the same database: ``["--uri", "postgresql:…"]``.
    :param flask: how the user called ``flask``, with the app that was named to it.
    """
    if isinstance(remedy, Command):
        given = shlex.split(remedy.arguments)
        first = 2 if given[0] in GROUPS else 1
        quoted = [*map(shlex.quote, flags), *map(shlex.quote, given[first:])]
        words = [flask, "psql", *given[:first], *quoted]
        return f"{remedy.purpose}: {' '.join(words)}"
    if isinstance(remedy, Sql):
        return f"{remedy.purpose}: {remedy.statement}"
    if isinstance(remedy, Option):
        flag = f"--{remedy.name.replace('_', '-')}"
        return remedy.words.format(flag if remedy.value is None else f"{flag} {shlex.quote(remedy.value)}")
    return remedy


def joined(message: str, *, notes: t.Sequence[str] = (), remedies: t.Sequence[str] = ()) -> str:
    """Return one line: what is wrong, what else is true, and last what to do, so that it can be copied."""
    return " ".join(filter(None, apart(message, notes=notes, remedies=remedies)))


def apart(message: str, *, notes: t.Sequence[str] = (), remedies: t.Sequence[str] = ()) -> tuple[str, str]:
    """Return what is wrong, with what else is true; and what to do, which may be nothing."""
    if not notes and not remedies:
        return message, ""
    said = " ".join(_ended(sentence) for sentence in (message, *notes))
    if not remedies:
        return said, ""
    first, *others = remedies
    first = first.rstrip(".") if others else first
    return said, ", or ".join([first, *(item[0].lower() + item[1:] for item in others)])


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", ":", "!", "?", "…")) else f"{sentence}."
