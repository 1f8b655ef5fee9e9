"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
import typing as t

import click

from ..errors import FlaskPostgresError, Interrupted, PreflightFailed, SettingsError
from ..redaction import Redactor

REDACTOR = "flask_postgres.redactor"
VERBOSE = "flask_postgres.verbose"
AIMED = "flask_postgres.aimed"
"""What chose the database on the command line: a command that a message names needs it again."""


@contextlib.contextmanager
def boundary(ctx: click.Context) -> t.Iterator[None]:
    """End the command with one line, and the exit code of the error, for anything a user can cause."""
    _complete_streams()
    try:
        yield
    except FlaskPostgresError as error:
        _say(ctx, error_lines(error), error)
        ctx.exit(error.exit_code)
    except Interrupted as error:
        name = signal.Signals(error.signum).name
        _say(ctx, [f"stopped by {name}. {error.remark or 'Nothing is left half done.'}"], error)
        ctx.exit(1)
    except BrokenPipeError:
        raise  # whoever reads the output has seen enough; Click ends quietly
    except OSError as error:
        _say(ctx, [f"the system refuses: {error}."], error)
        ctx.exit(1)
    except KeyboardInterrupt as error:
        _say(ctx, ["stopped."], error)
        ctx.exit(1)


def _complete_streams() -> None:
    """Open what a daemon or a shell has closed, and let no character of a name stop the output.

    The null device also takes their numbers, so that no connection gets one and is written to by mistake.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for good
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def redactor(ctx: click.Context) -> Redactor:
    """Return the redactor of this command: everything that is printed goes through it."""
    found: Redactor = ctx.find_root().meta.setdefault(REDACTOR, Redactor())
    return found


def error_lines(error: FlaskPostgresError) -> list[str]:
    """Return the message of an error, followed by the reasons where there are several together."""
    if isinstance(error, SettingsError) and len(error.faults) > 1:
        return [f"{len(error.faults)} settings are wrong:", *error.faults]
    if isinstance(error, PreflightFailed):
        return [f"nothing was done, for {len(error.reasons)} reasons:", *map(str, error.reasons)]
    return [str(error)]


def aimed(ctx: click.Context, text: str) -> str:
    """Add to a message that ends with a command to run what makes that mean the same database."""
    flag = ctx.find_root().meta.get(AIMED)
    return f"{text.rstrip('.')} (with {flag})" if flag and ": flask psql " in text else text


def one_line(text: str) -> str:
    """Return a message as one line that cannot steer the terminal, whatever names are in it."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return a text with a ``?`` for every character that is not to be seen."""
    return text if text.isprintable() else "".join(ch if ch.isprintable() else "?" for ch in text)


def _say(ctx: click.Context, lines: t.Sequence[str], error: BaseException) -> None:
    hide = redactor(ctx)
    first, *rest = lines
    label = click.style("Error:", fg="red", bold=True)
    click.echo(f"{label} {one_line(hide(aimed(ctx, first)))}", err=True, color=colour(ctx))
    for line in rest:
        click.echo(f"  - {one_line(hide(aimed(ctx, line)))}", err=True)
    if ctx.find_root().meta.get(VERBOSE):
        click.echo(hide("".join(traceback.format_exception(error))), err=True, nl=False)


def colour(ctx: click.Context) -> bool | None:
    """Tell whether to colour: False with NO_COLOR, None to let Click see whether this is a terminal."""
    return False if os.environ.get("NO_COLOR") or not sys.stderr.isatty() else ctx.color
