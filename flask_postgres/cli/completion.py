"""What a shell offers for the value of an option, when TAB is pressed.

A TAB asks and changes nothing: no server is started, no database is connected to, the guard has no say,
and what cannot be found out is left out without a word.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import typing as t

import click

from ..settings.schema import Kind, Setting

if t.TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..uri import PostgresUri

Complete = t.Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

# The type is for completion alone: what is wrong with a path is said by whoever opens it.
files: Complete = click.Path(dir_okay=False).shell_complete
folders: Complete = click.Path(file_okay=False).shell_complete

_OF_KIND: t.Mapping[Kind, Complete] = {"path": folders}


def of_setting(setting: Setting) -> Complete | None:
    """Return what completes the flag of a setting; None leaves it to the type of the option."""
    return _OF_KIND.get(setting.kind)


def bind_keys(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the app's PostgreSQL binds that have not been named yet."""
    from click.shell_completion import CompletionItem

    named = ctx.params.get(parameter.name or "") or ()
    return [
        CompletionItem(key, help=f"the database {dbname}")
        for key, dbname in _binds(ctx)
        if key.startswith(incomplete) and key not in named
    ]


def _binds(ctx: click.Context) -> list[tuple[str, str]]:
    """Return each bind key with the name of its database; nothing if the app cannot be loaded."""
    from flask.cli import ScriptInfo

    from ..app.discovery import find_extension
    from ..app.loading import load

    with _muted():
        try:
            app = load(ctx.ensure_object(ScriptInfo), on_connect=_refuse).app
            engines = {} if app is None else find_extension(app).engines()
        except Exception:  # whatever is wrong, the next command says it; a TAB does not
            return []
    return [
        (key, engine.url.database or "")
        for key, engine in engines.items()
        if key is not None and engine.dialect.name == "postgresql"
    ]


def _refuse(uri: PostgresUri) -> t.NoReturn:  # noqa: ARG001
    """Keep an app that connects while it is imported from changing a database, or waiting for it."""
    from ..errors import AppNotLoaded

    raise AppNotLoaded("the app connects to its database while it is imported.")


@contextlib.contextmanager
def _muted() -> t.Iterator[None]:
    """Let nothing be printed, not even by a child process: stdout is read by the shell, stderr is seen.

    What the app prints when the process ends is not shown either.
    """
    kept = [(number, os.dup(number)) for number in (1, 2)]
    _mute()
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        atexit.register(_mute)  # the last one registered is the first one called


def _mute() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
