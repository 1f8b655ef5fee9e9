"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
import typing as t

import click

from ..errors import FlaskPostgresError, Interrupted, PreflightFailed, SettingsError
from ..redaction import Redactor

REDACTOR = "flask_postgres.redactor"
VERBOSE = "flask_postgres.verbose"


@contextlib.contextmanager
def boundary(ctx: click.Context) -> t.Iterator[None]:
    """End the command with one line, and the exit code of the error, for anything a user can cause."""
    try:
        yield
    except FlaskPostgresError as error:
        _say(ctx, error_lines(error), error)
        ctx.exit(error.exit_code)
    except Interrupted as error:
        name = signal.Signals(error.signum).name
        _say(ctx, [f"stopped by {name}. {error.remark or 'Nothing is left half done.'}"], error)
        ctx.exit(1)
    except KeyboardInterrupt as error:
        _say(ctx, ["stopped."], error)
        ctx.exit(1)


def redactor(ctx: click.Context) -> Redactor:
    """Return the redactor of this command: everything that is printed goes through it."""
    found: Redactor = ctx.find_root().meta.setdefault(REDACTOR, Redactor())
    return found


def error_lines(error: FlaskPostgresError) -> list[str]:
    """Return the message of an error: one line, or one and a list for several reasons together."""
    if isinstance(error, SettingsError) and len(error.faults) > 1:
        return [f"{len(error.faults)} settings are wrong:", *(f"  - {_flat(one)}" for one in error.faults)]
    if isinstance(error, PreflightFailed):
        count = len(error.reasons)
        return [
            f"nothing was done, for {count} reasons:",
            *(f"  - {_flat(str(one))}" for one in error.reasons),
        ]
    return [_flat(str(error))]


def _flat(text: str) -> str:
    return " ".join(text.split())


def _say(ctx: click.Context, lines: t.Sequence[str], error: BaseException) -> None:
    hide = redactor(ctx)
    first, *rest = lines
    label = click.style("Error:", fg="red", bold=True)
    click.echo(f"{label} {hide(first)}", err=True, color=colour(ctx))
    for line in rest:
        click.echo(hide(line), err=True)
    if ctx.find_root().meta.get(VERBOSE):
        click.echo(hide("".join(traceback.format_exception(error))), err=True, nl=False)


def colour(ctx: click.Context) -> bool | None:
    """Tell whether to colour: False with NO_COLOR, None to let Click see whether this is a terminal."""
    import os

    return False if os.environ.get("NO_COLOR") or not sys.stderr.isatty() else ctx.color
