"""One invocation: the app, the settings, and everything a command needs, made when it is asked for."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import typing as t

import click
from click.core import ParameterSource
from werkzeug.utils import cached_property  # without a lock, which an app that patches locks would break

from ..errors import AppNotLoaded, EnvironmentNotAllowed, ExtensionNotFound, FlaskPostgresError, UsageError
from ..redaction import Redactor
from ..remedies import GROUPS, Option, Remedy
from ..settings.schema import BY_NAME
from .boundary import SELECTION, VERBOSE, in_shell, redactor
from .console import Console
from .foreign import redacted

if t.TYPE_CHECKING:
    from flask import Flask

    from ..app.discovery import Extension
    from ..app.loading import Loaded, OnConnect
    from ..settings.resolution import Resolution
    from ..settings.schema import Settings
    from ..uri import PostgresUri


DESTRUCTIVE = ("drop", "reset", "unprotect", "shell", "delete")
DESTRUCTIVE_FLAGS = ("overwrite", "discard", "force")
"""Commands that may destroy something, and flags with which others may."""


class Invocation:
    """One call of a command."""

    def __init__(self, ctx: click.Context) -> None:
        self.ctx = ctx
        self.options: dict[str, t.Any] = ctx.params
        self.hide: Redactor = redactor(ctx)
        quiet, verbose = bool(ctx.params.get("quiet")), bool(ctx.params.get("verbose"))
        ctx.find_root().meta[VERBOSE] = verbose
        ctx.find_root().meta[SELECTION] = self._selection()
        self.reporter: Console = Console(ctx, self.hide, quiet=quiet, verbose=verbose)
        self.on_connect: OnConnect | None = None
        self.connected: list[PostgresUri] = []
        """What the app has connected to while it was loaded, or tried to, where ``on_connect`` was told."""
        self._cwd = _working_directory()

    @classmethod
    def current(cls) -> Invocation:
        """Return the invocation of the command that is running."""
        return cls(click.get_current_context())

    def echo_data(self, text: str) -> None:
        """Print data on stdout, without secrets."""
        self.reporter.data(text)

    def render(self, remedy: Remedy) -> str:
        """Return a remedy with the flags that the user has typed."""
        return in_shell(self.ctx)(remedy)

    @cached_property
    def loaded(self) -> Loaded:
        """The app, or why it could not be loaded."""
        from flask.cli import ScriptInfo

        from ..app.loading import Loaded, load

        self._learn_before_loading()
        if self.options.get("no_app"):
            return Loaded()
        # What the app prints while it is imported is no data of ours.
        with redacted(self.hide), contextlib.redirect_stdout(sys.stderr):
            return load(self.ctx.ensure_object(ScriptInfo), on_connect=self.on_connect)

    @property
    def app(self) -> Flask:
        """The app.

        :raises AppNotLoaded: if there is none.
        """
        if self.loaded.app is None:
            raise self.loaded.error or AppNotLoaded("there is no app.")
        return self.loaded.app

    @cached_property
    def extension(self) -> Extension:
        """The app's extension.

        :raises AppError: if it has none, or cannot be loaded.
        """
        from ..app.discovery import find_extension

        return find_extension(self.app)

    def resolution(self) -> Resolution:
        """Return every setting with its origin; never fails for a wrong one."""
        return self._resolution

    @cached_property
    def _resolution(self) -> Resolution:
        app = self.loaded.app
        return self._resolve(app if app is not None or not self.only_looks else self.loaded.unready)

    @property
    def command(self) -> str:
        """The command, as it stands after ``flask psql``."""
        group = self.ctx.parent.info_name if self.ctx.parent is not None else None
        return f"{group} {self.ctx.info_name}" if group in GROUPS else str(self.ctx.info_name)

    @property
    def only_looks(self) -> bool:
        """Whether the command changes no database, so that half an app's config is better than none."""
        return self.command.startswith("server ") or self.command in ("status", "wait")

    def _resolve(self, app: Flask | None) -> Resolution:
        from flask.helpers import get_debug_flag

        from ..settings.merge import resolve

        resolution = resolve(
            cli=self._typed(),
            app_config=None if app is None else app.config,
            cwd=self._cwd,
            root_path=None if app is None else pathlib.Path(app.root_path),
            debug=get_debug_flag() if app is None else app.debug,
            config_file=self.options.get("config_file"),
            engine_url=lambda: self._engine_url(app),
            default_bind=not self.several,
        )
        self.hide.add(resolution.secrets(), shown=resolution.shown_names())
        if app is not None:
            self._learn_from_app(app)
        return resolution

    def before_loaded(self) -> Resolution:
        """Return every setting as far as it is known although the app could not be loaded."""
        return self._resolve(self.loaded.unready)

    def before_app(self) -> Resolution:
        """Return every setting as it is before the app is loaded."""
        return self._resolve(None)

    @property
    def cwd(self) -> pathlib.Path:
        """The folder in which the command was called."""
        return self._cwd

    @cached_property
    def settings(self) -> Settings:
        """The settings.

        :raises SettingsError: if one is wrong; it holds all faults.
        """
        settings = self._resolution.settings
        for note in self._resolution.notes:
            self.reporter.note(note)
        if self.loaded.error is not None and settings.target_database_uri is not None:
            half = self.only_looks and self.loaded.unready is not None
            what = "may be incomplete" if half else "was not read"
            self.reporter.note(f"the app's config {what}: {self.loaded.error}")
        return settings

    @property
    def several(self) -> bool:
        """Whether the user has chosen binds of the app, and not just its default database."""
        return bool(self.options.get("bind_key") or self.options.get("all_binds"))

    @property
    def target(self) -> PostgresUri:
        """The URI of the target.

        :raises FlaskPostgresError: if no source names one.
        """
        uri = self.settings.target_database_uri
        if uri is not None:
            return uri
        if self.loaded.error is not None:
            raise self.loaded.error
        looked = "checked --uri, FLASK_POSTGRES_TARGET_DATABASE_URI, SQLALCHEMY_DATABASE_URI, the TOML file"
        raise UsageError(
            f"no target database is configured ({looked}, and the app's engine).",
            remedy='Set app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql://localhost:5432/mydb"',
        )

    def guard(self) -> None:
        """Refuse to run where ``cli_disallowed_envs`` says so, or may say so in an app that cannot be loaded.

        :raises EnvironmentNotAllowed: if so.
        """
        from ..settings.guard import refusal

        command = f"flask psql {self.command}"
        reason = refusal(self._resolution)
        if reason is not None:
            raise EnvironmentNotAllowed(f"{command} {reason}")
        destroys = self.ctx.info_name in DESTRUCTIVE or any(map(self.options.get, DESTRUCTIVE_FLAGS))
        known = self._resolution.is_set("cli_disallowed_envs")
        if destroys and self.app_is_named and self.loaded.error is not None and not known:
            raise EnvironmentNotAllowed(
                f"{command} is not allowed: the app, whose config may set cli_disallowed_envs, "
                "cannot be loaded.",
                remedy=Option("To do without the app, add {}", "no_app"),
            )

    @property
    def app_is_named(self) -> bool:
        """Whether ``--app``, ``FLASK_APP`` or the program names the app, so that there must be one."""
        from flask.cli import ScriptInfo

        script = self.ctx.ensure_object(ScriptInfo)
        return bool(script.app_import_path or script.create_app)

    @property
    def app_is_broken(self) -> bool:
        """Whether the app cannot be loaded. False where none is named and there is none."""
        if self.loaded.error is None or self.app_is_named:
            return self.loaded.error is not None
        return any((self._cwd / name).exists() for name in ("wsgi.py", "app.py"))  # where Flask looks

    def require_app(self) -> None:
        """Make sure that there is an app to initialize a database with, and an extension of it.

        :raises AppError: if not.
        """
        _ = self.extension

    def _selection(self) -> list[str]:
        """Return the flags that select the database and its server, as they were typed."""
        typed = self._typed()
        flags = [
            word
            for name, flag in (("target_database_uri", "--uri"), ("admin_dbname", "--admin-dbname"))
            if name in typed
            for word in (flag, _as_typed(typed[name]))
        ]
        if self.options.get("config_file"):
            flags += ["--config", str(self.options["config_file"])]
        for key in self.options.get("bind_key") or ():
            flags += ["--bind-key", key]
        return [*flags, "--all-binds"] if self.options.get("all_binds") else flags

    def _typed(self) -> dict[str, t.Any]:
        """Return the settings whose flags the user has typed, not a flag's default."""
        return {
            name: value
            for name, value in self.options.items()
            if name in BY_NAME and self.ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        }

    def _engine_url(self, app: Flask | None) -> t.Any:
        from ..app.discovery import find_extension

        try:
            return None if app is None else find_extension(app).engine_url()
        except ExtensionNotFound:
            return None

    def _learn_before_loading(self) -> None:
        """Know the secrets of --uri and of the environment before the app is loaded: it may quote them."""
        self._learn(self.options.get("target_database_uri"))
        names = (os.environ.get(name) for name in ("PGUSER", "PGHOST", "PGDATABASE"))
        self.hide.add([os.environ.get("PGPASSWORD")], shown=names)
        for name, value in os.environ.items():
            if "DATABASE_URI" in name or "DATABASE_URL" in name:
                self._learn(value)

    def _learn_from_app(self, app: Flask) -> None:
        """Know the secrets of all the app's engines, also of binds that the command is not about."""
        for name, value in app.config.items():
            if str(name).startswith("SQLALCHEMY_"):
                self._learn(value)

    def _learn(self, value: t.Any) -> None:
        from ..settings.masking import names_in, secrets_in

        self.hide.add(secrets_in(value), shown=names_in(value))


def _as_typed(value: t.Any) -> str:
    from ..uri import PostgresUri

    return value.render(hide_password=False) if isinstance(value, PostgresUri) else str(value)


def _working_directory() -> pathlib.Path:
    try:
        return pathlib.Path.cwd()
    except OSError:
        raise FlaskPostgresError(
            "the working directory does not exist any more.", remedy="Change to one that does."
        ) from None
