"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shlex
import signal
import sys
import traceback
import typing as t

import click
from click.core import ParameterSource

from ..errors import FlaskPostgresError, Interrupted, PreflightFailed, SettingsError
from ..redaction import Redactor
from ..remedies import Option, Remedy, for_shell, joined

REDACTOR = "flask_postgres.redactor"
VERBOSE = "flask_postgres.verbose"
SELECTION = "flask_postgres.selection"
"""The flags that select the database, as they were typed: a command in a remedy needs them again."""


@contextlib.contextmanager
def boundary(ctx: click.Context) -> t.Iterator[None]:
    """End the command with one line, and the exit code of the error, for anything a user can cause."""
    _complete_streams()
    try:
        yield
        sys.stdout.flush()  # not at the end of the process, where an error would be a traceback
    except FlaskPostgresError as error:
        _say(ctx, error_lines(ctx, error), error)
        ctx.exit(error.exit_code)
    except Interrupted as error:
        name = signal.Signals(error.signum).name
        notes = error.notes or ["Nothing is left half done."]
        shown = [in_shell(ctx)(remedy) for remedy in error.remedies]
        _say(ctx, [joined(f"stopped by {name}.", notes=notes, remedies=shown)], error)
        ctx.exit(1)
    except BrokenPipeError:
        raise  # whoever reads the output has seen enough; Click ends quietly
    except OSError as error:
        _discard_output()
        _say(ctx, [f"the system refuses: {error}."], error)
        ctx.exit(1)
    except KeyboardInterrupt as error:
        _say(ctx, ["stopped."], error)
        ctx.exit(1)
    except click.UsageError as error:
        message = error.format_message()
        hidden = redactor(ctx)(message)  # it may quote an argument, such as a URI without --uri
        hint = _usage_hint(message, error.ctx)
        if hidden == message and not hint:
            raise
        raise click.UsageError(f"{hidden}{hint}", error.ctx) from None
    except (click.exceptions.Exit, click.Abort, click.ClickException):
        raise
    except Exception as error:
        _say(ctx, [_unexpected(ctx, error)], error)
        ctx.exit(1)


def _usage_hint(message: str, ctx: click.Context | None) -> str:
    """Return what to type for what other tools take, or nothing."""
    name = ctx.info_name if ctx is not None else None
    if name == "shell" and ("argument" in message or "option" in message):
        return " What psql itself takes comes after --, as in: flask psql shell -- -c 'SELECT 1'"
    if "unexpected extra argument" in message:
        return (
            f" The database is named by its URI, as in: flask psql {name} --uri postgresql://localhost/mydb"
        )
    return ""


def _unexpected(ctx: click.Context, error: Exception) -> str:
    """Return the message of an error that is nobody's answer: its type, its text and its place."""
    from ..app import faults

    try:
        described = faults.describe(error)
    except Exception:  # an error of the app's can have a __str__ that fails
        described = type(error).__name__
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = faults.where(error) or f"{faults.shown_path(last.filename)}:{last.lineno}"
    remedy = in_shell(ctx)(Option("For the traceback, add {}", "verbose"))
    return joined(f"unexpected {described} ({place}).", remedies=[remedy])


def _complete_streams() -> None:
    """Open what a daemon or a shell has closed, and let no character of a name stop the output.

    The null device also takes their numbers, so that no connection gets one and is written to by mistake.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for good
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Send what could not be written, and is still buffered, to the null device.

    Python flushes stdout again when it ends, and exits with 120 if that fails.
    """
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def redactor(ctx: click.Context) -> Redactor:
    """Return the redactor of this command: everything that is printed goes through it."""
    found: Redactor = ctx.find_root().meta.setdefault(REDACTOR, Redactor())
    return found


def error_lines(ctx: click.Context, error: FlaskPostgresError) -> list[str]:
    """Return the message of an error, followed by the reasons where there are several together.

    On a terminal, what to do stands on a line of its own, so that a command in it is not broken.
    """
    if isinstance(error, SettingsError) and len(error.faults) > 1:
        return [f"{len(error.faults)} settings are wrong:", *error.faults]
    if isinstance(error, PreflightFailed):
        render = in_shell(ctx)
        reasons = [reason.text(render) for reason in error.reasons]
        return [f"{len(reasons)} checks failed; nothing was changed:", *reasons]
    said, advice = error.parts(in_shell(ctx))
    if advice and not sys.stderr.isatty():
        return [f"{said} {advice}"]
    return [said, advice] if advice else [said]


def in_shell(ctx: click.Context) -> t.Callable[[Remedy], str]:
    """Return what renders a remedy with the flags that the user has typed, ready to copy."""
    flags = ctx.find_root().meta.get(SELECTION, ())
    return functools.partial(for_shell, flags=flags, flask=flask_command(ctx))


def flask_command(ctx: click.Context) -> str:
    """Return how the user called ``flask``: with the app that was named to it."""
    from flask.cli import ScriptInfo

    script, source = ctx.find_object(ScriptInfo), ctx.find_root().get_parameter_source("app")
    app = script.app_import_path if script and source is ParameterSource.COMMANDLINE else None
    return f"flask --app {shlex.quote(app)}" if app else "flask"


def one_line(text: str) -> str:
    """Return a message as one line that cannot steer the terminal, whatever names are in it."""
    return printable(" ".join(text.split()))


def printable(text: str, *, keep: str = "") -> str:
    """Return a text with an escape sequence of Python's for every character that is not to be seen.

    :param keep: characters to leave as they are.
    """
    shown = (ch if ch in keep or ch.isprintable() else ch.encode("unicode_escape").decode() for ch in text)
    return text if text.isprintable() else "".join(shown)


def _say(ctx: click.Context, lines: t.Sequence[str], error: BaseException) -> None:
    hide = redactor(ctx)
    first, *rest = lines
    label = click.style("Error:", fg="red", bold=True)
    click.echo(f"{label} {one_line(hide(first))}", err=True, color=colour(ctx))
    several = isinstance(error, (SettingsError, PreflightFailed))
    for line in rest:
        click.echo(f"  {'- ' if several else ''}{one_line(hide(line))}", err=True)
    if ctx.find_root().meta.get(VERBOSE):
        click.echo(hide("".join(traceback.format_exception(error))), err=True, nl=False)


def colour(ctx: click.Context) -> bool | None:
    """Tell whether to colour: False with NO_COLOR, None to let Click see whether this is a terminal."""
    return False if os.environ.get("NO_COLOR") or not sys.stderr.isatty() else ctx.color
