"""Seeds that are commands of the app: looked up, and run in this process."""

from __future__ import annotations

import typing as t

import click

from ..app import faults
from ..errors import AppError

if t.TYPE_CHECKING:
    from flask import Flask

    from ..app.seeds.declared import AppCommand


def check_command(app: Flask, seed: AppCommand) -> None:
    """Make sure that the app has such a command.

    :raises AppError: if it has none.
    """
    from flask.cli import ScriptInfo

    group, name = _group(app), seed.words[0]
    ctx = click.Context(group, obj=ScriptInfo(create_app=lambda: app))
    if name == "psql" or group.get_command(ctx, name) is None:
        message = f"the seed {seed} cannot be run: the app has no such command."
        raise AppError(message, remedy="See: flask --help")


def run_command(app: Flask, seed: AppCommand) -> None:
    """Run a command of the app in this process.

    :raises AppError: if it fails.
    """
    group = _group(app)
    code: t.Any = None
    try:
        with group.make_context("flask", [*seed.words]) as ctx:
            group.invoke(ctx)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except SystemExit as error:
        code = error.code
    except click.ClickException as error:
        raise AppError(f"the seed {seed} failed: {error.format_message()}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        place = faults.at(faults.where(error, root=app.root_path))
        raise AppError(f"the seed {seed} failed: {faults.describe(error)}{place}") from error
    if code:
        raise AppError(f"the seed {seed} failed: it ended with {code}.")


def _group(app: Flask) -> click.Group:
    """Return the group that has the app's commands, and those of its extensions."""
    from flask.cli import FlaskGroup

    return FlaskGroup(create_app=lambda: app, load_dotenv=False, set_debug_flag=False)
