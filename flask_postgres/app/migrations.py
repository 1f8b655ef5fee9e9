"""The app's migrations: Flask-Migrate, Flask-Alembic, or a config of Alembic's own beside the app."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import traceback
import typing as t
from pathlib import Path

from ..errors import AppError, MigrationFailed
from ..remedies import Command, Remedies
from ..settings.tomlfile import SHARED_FILE, Unreadable, parsed
from . import faults
from .output import output_kept

if t.TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from flask import Flask
    from sqlalchemy.engine import URL

    from .discovery import Extension

INI = "alembic.ini"


@dataclasses.dataclass(frozen=True, slots=True)
class MigrationState:
    """At which revision a database is.

    :param current: its revisions; empty when no migration has run.
    :param heads: the revisions at which it would be up to date.
    """

    tool: str
    current: tuple[str, ...]
    heads: tuple[str, ...]
    behind: bool


class Migrations:
    """The migrations of one app; each subclass is one way to keep them."""

    tool: t.ClassVar[str]

    def __init__(self, app: Flask, extension: Extension) -> None:
        self.app = app
        self.extension = extension

    @property
    def folder(self) -> str | None:
        """The folder of the scripts; None if there is none."""
        raise NotImplementedError

    def upgrade(self) -> tuple[str, ...]:
        """Run every migration that has not run yet, and return the heads.

        :raises MigrationFailed: whatever goes wrong, with the place in the user's scripts.
        """
        with self._running():
            self._upgrade()
            return self._heads()

    def stamp(self) -> tuple[str, ...]:
        """Mark every migration as run, without running any, and return the heads.

        :raises MigrationFailed: whatever goes wrong.
        """
        with self._running():
            self._stamp()
            return self._heads()

    def state(self) -> MigrationState:
        """Ask the database for its revision. Nothing is changed.

        :raises MigrationFailed: if the scripts or the database cannot be read.
        """
        with self._running(quiet=True):
            script = self._script()
            found = self._current()
            heads = tuple(script.get_heads())
            reached = [{each.revision for each in script.get_all_current(revisions)} for revisions in found]
            current = tuple(dict.fromkeys(revision for revisions in found for revision in revisions))
            return MigrationState(
                tool=self.tool,
                current=current,
                heads=heads,
                behind=any(not set(heads) <= revisions for revisions in reached),
            )

    def heads(self) -> tuple[str, ...]:
        """Return the newest revisions; none if no revision was ever made.

        :raises MigrationFailed: if the scripts cannot be read.
        """
        with self._running():
            return self._heads()

    def _heads(self) -> tuple[str, ...]:
        return tuple(self._script().get_heads())

    def _script(self) -> ScriptDirectory:
        raise NotImplementedError

    def _upgrade(self) -> None:
        raise NotImplementedError

    def _stamp(self) -> None:
        raise NotImplementedError

    def _current(self) -> list[tuple[str, ...]]:
        """Return the revisions of each database that the migrations are for."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _running(self, *, quiet: bool = False) -> t.Iterator[None]:
        try:
            with output_kept(quiet=quiet), self.app.app_context():
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            place = faults.at(faults.where(error, root=self.app.root_path))
            message = f"the migrations ({self.tool}) failed: {faults.describe(error)}{place}"
            raise MigrationFailed(message, remedy=_hint(error)) from error


class _WithConfig(Migrations):
    """Migrations that have an Alembic config and an ``env.py``."""

    def _config(self) -> Config:
        raise NotImplementedError

    def _script(self) -> ScriptDirectory:
        from alembic.script import ScriptDirectory

        return ScriptDirectory.from_config(self._config())

    def _upgrade(self) -> None:
        from alembic import command

        command.upgrade(self._config(), "heads")

    def _stamp(self) -> None:
        from alembic import command

        command.stamp(self._config(), "heads")

    def _current(self) -> list[tuple[str, ...]]:
        from alembic.runtime.environment import EnvironmentContext

        found: list[tuple[str, ...]] = []

        def note(revision: t.Any, _: t.Any) -> list[t.Any]:
            found.append(tuple(revision))
            return []

        config, script = self._config(), self._script()
        with EnvironmentContext(config, script, fn=note, dont_mutate=True):
            script.run_env()
        return found


class FlaskMigrate(_WithConfig):
    """Flask-Migrate. Its folder is relative to the working directory; the app's folder is tried too."""

    tool = "Flask-Migrate"

    @property
    def folder(self) -> str | None:
        directory = self.app.extensions["migrate"].directory
        root = Path(self.app.root_path)
        for base in (Path.cwd(), root, root.parent):
            if (base / directory / "env.py").is_file():
                return faults.shown_path(str(base / directory))
        return None

    def _config(self) -> Config:
        return t.cast("Config", self.app.extensions["migrate"].migrate.get_config(self.folder))


class FlaskAlembic(Migrations):
    """Flask-Alembic, which needs no ``env.py``."""

    tool = "Flask-Alembic"

    @property
    def folder(self) -> str | None:
        location = Path(self.app.root_path, self.app.config["ALEMBIC"]["script_location"])
        return faults.shown_path(str(location)) if location.is_dir() else None

    @property
    def _alembic(self) -> t.Any:
        return self.app.extensions["alembic"]

    def _script(self) -> ScriptDirectory:
        return t.cast("ScriptDirectory", self._alembic.script_directory)

    def _upgrade(self) -> None:
        self._alembic.upgrade("heads")

    def _stamp(self) -> None:
        self._alembic.stamp("heads")

    def _current(self) -> list[tuple[str, ...]]:
        contexts = self._alembic.migration_contexts
        return [tuple(context.get_current_heads()) for context in contexts.values()]


class PlainAlembic(_WithConfig):
    """Alembic as its own command runs it, from the folder that has its config.

    The config is an ``alembic.ini``, the table ``[tool.alembic]`` of a ``pyproject.toml``, or both: the
    table for the scripts and the file for the connection.
    """

    tool = "Alembic"

    def __init__(self, app: Flask, extension: Extension, root: Path) -> None:
        super().__init__(app, extension)
        self._root = root

    @property
    def folder(self) -> str | None:
        with self._running():
            config = self._config()
            # Alembic before 1.16 reads the file alone.
            option = getattr(config, "get_alembic_option", config.get_main_option)
            location = option("script_location") or ""
        folder = self._root / location
        # "package:folder" is inside an installed package.
        return faults.shown_path(str(folder)) if ":" in location or folder.is_dir() else None

    def _config(self) -> Config:
        from alembic.config import Config

        ini, shared = self._root / INI, self._root / SHARED_FILE
        toml: dict[str, t.Any] = {"toml_file": str(shared)} if _has_table(shared) else {}
        config = Config(str(ini) if ini.is_file() else None, **toml)
        default = self.extension.engines().get(None)
        if default is not None:
            url = _by_written_driver(default.url, config)
            config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        return config

    @contextlib.contextmanager
    def _running(self, *, quiet: bool = False) -> t.Iterator[None]:
        before = Path.cwd()
        with super()._running(quiet=quiet):
            os.chdir(self._root)
            try:
                yield
            finally:
                os.chdir(before)


def find_migrations(app: Flask, extension: Extension) -> Migrations | None:
    """Return the app's migrations if they have at least one revision.

    :raises MigrationFailed: if there are scripts that cannot be read.
    """
    for migrations in _candidates(app, extension):
        if migrations.folder is not None and migrations.heads():
            return migrations
    return None


def unbegun_migrations(app: Flask, extension: Extension) -> str | None:
    """Return the tool of the app's migrations, if it has one and not a single revision."""
    for migrations in _candidates(app, extension):
        if migrations.folder is None or not migrations.heads():
            return migrations.tool
    return None


def require_migrations(app: Flask, extension: Extension) -> Migrations:
    """Return the app's migrations.

    :raises AppError: if it has none; the message says what was looked at.
    """
    found = find_migrations(app, extension)
    if found is None:
        looked = ", ".join(str(faults.shown_path(str(folder / INI))) for folder in _folders(app))
        raise AppError(
            "the app has no migrations: neither Flask-Migrate nor Flask-Alembic has a revision,"
            f" and there is none by {looked}.",
            remedy='Make the first one, such as with "flask db init" and "flask db migrate".',
        )
    return found


def _candidates(app: Flask, extension: Extension) -> t.Iterator[Migrations]:
    migrate = app.extensions.get("migrate")
    if hasattr(migrate, "migrate") and hasattr(migrate, "directory"):
        yield FlaskMigrate(app, extension)
    flask_alembic = sys.modules.get("flask_alembic")
    if flask_alembic is not None and isinstance(app.extensions.get("alembic"), flask_alembic.Alembic):
        yield FlaskAlembic(app, extension)
    for folder in _folders(app):
        if (folder / INI).is_file() or _has_table(folder / SHARED_FILE):
            yield PlainAlembic(app, extension, folder)


def _hint(error: BaseException) -> Remedies:
    """Return what to do about what goes wrong in many an app."""
    if isinstance(error, ValueError) and "invalid interpolation syntax" in str(error):
        return 'In env.py, write the URL with %% for each %: set_main_option(…, uri.replace("%", "%%"))'
    if isinstance(error, KeyError) and _is_of_the_revisions(error):
        return f"A migration may name {error} as its down_revision, and there is none of that name"
    if "Can't locate revision" in str(error):
        found = "The database has it from other scripts, such as another branch's: go back to those"
        return (found, Command("make the database anew", "reset"))
    return None


def _is_of_the_revisions(error: BaseException) -> bool:
    """Tell whether Alembic itself has failed, while it brought the revisions in order."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Path(last.filename).parts[-3:] == ("alembic", "script", "revision.py")


def _by_written_driver(url: URL, config: Config) -> str:
    """Return the app's URL with the driver that the file asks for: its env.py may be asynchronous."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    from ..uri import PostgresUri
    from .targets import for_driver

    section = config.config_ini_section
    written = config.file_config.get(section, "sqlalchemy.url", raw=True, fallback="")
    with contextlib.suppress(ArgumentError, ValueError):
        own = make_url(written)
        if own.get_backend_name() == url.get_backend_name() == "postgresql":
            url = for_driver(PostgresUri(url), own.drivername)
    return url.render_as_string(hide_password=False)


def _has_table(file: Path) -> bool:
    """Tell whether a ``pyproject.toml`` configures Alembic. One that cannot be read does not."""
    with contextlib.suppress(OSError, Unreadable):
        return "alembic" in parsed(file).get("tool", {})
    return False


def _folders(app: Flask) -> list[Path]:
    """Return the app's folder and those above it, up to the repository's or the working directory.

    Without either of them above, nothing tells where the project begins.
    """
    root = Path(app.root_path).resolve()
    folders: list[Path] = []
    for folder in (root, *root.parents):
        folders.append(folder)
        if (folder / ".git").exists() or folder == Path.cwd():
            return folders
    return [root]
