"""Choose what initializes the database, and run it: callback, migrations or ``create_all``."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from sqlalchemy import inspect

from ..errors import AppError, CallbackFailed, FlaskPostgresError, MigrationFailed, ServerError
from ..postgres import failures
from ..remedies import Command, as_tuple
from ..reporting import Reporter, Silence
from . import faults
from .callbacks import Callback, callback_for
from .engines import is_postgresql
from .migrations import Migrations, find_migrations, require_migrations, unbegun_migrations
from .models import load_metadata

if t.TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine, MetaData, Table

    from .discovery import BindKey, Extension

UNDEFINED_TABLE, DUPLICATE_TABLE = "42P01", "42P07"

How = t.Literal["auto", "callback", "migrations", "create_all"]
CreateTables = t.Callable[..., t.Any]
"""``create_tables(engine, metadata)``: without naming tables, for only that makes sequences of no table."""


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """What would initialize the database; exactly one of the three is set.

    :param tables: for ``create_all``: the bind, its metadata and the tables of it.
    """

    callback: Callback | None = None
    migrations: Migrations | None = None
    tables: tuple[tuple[BindKey, MetaData, tuple[Table, ...]], ...] = ()

    @property
    def kind(self) -> str:
        """A value of ``init_with`` other than auto."""
        if self.callback is not None:
            return "callback"
        return "migrations" if self.migrations is not None else "create_all"

    @property
    def table_count(self) -> int:
        """How many tables ``create_all`` makes."""
        return sum(len(tables) for _, _, tables in self.tables)

    def __str__(self) -> str:
        if self.callback is not None:
            return f"the init callback {self.callback.name}"
        if self.migrations is not None:
            return f"the migrations of {self.migrations.tool} in {self.migrations.folder}"
        count = self.table_count
        if not count:
            return "create_all, without any table: no model is imported"
        return f"create_all, {count} table{'s' if count > 1 else ''}"


def choose(
    app: Flask,
    extension: Extension,
    *,
    how: str = "auto",
    metadata: str | None = None,
    binds: t.Sequence[BindKey] = (None,),
) -> Choice:
    """Tell what would run, without connecting to anything.

    :param how: the ``init_with`` setting.
    :param metadata: the ``metadata`` setting.
    :param binds: the binds whose tables ``create_all`` makes. A callback and migrations decide for
        themselves.
    :raises AppError: if what ``how`` names is not there.
    """
    if how in ("auto", "callback"):
        callback = callback_for(app)
        if callback is not None:
            return Choice(callback=callback)
        if how == "callback":
            message = "init_with is callback, but the app registers none."
            raise AppError(message, remedy="Decorate a function with @flask_postgres.init_db_callback.")
    if how == "migrations":
        return Choice(migrations=require_migrations(app, extension))
    if how == "auto" and (migrations := find_migrations(app, extension)) is not None:
        return Choice(migrations=migrations)
    return Choice(tables=tuple(_tables(app, extension, metadata, binds)))


def initialize(
    app: Flask,
    extension: Extension,
    *,
    create_tables: CreateTables,
    how: str = "auto",
    metadata: str | None = None,
    binds: t.Sequence[BindKey] = (None,),
    reporter: Reporter | None = None,
) -> str:
    """Initialize the database that the app's connections lead to, and tell what did it.

    :param create_tables: makes what is not there yet: ``(engine, metadata)``.
    :param reporter: is told when there was nothing to make, and why it took longer than it could.
    :raises AppError: if nothing can, or the app's own code fails.
    """
    choice = choose(app, extension, how=how, metadata=metadata, binds=binds)
    reporter = reporter or Silence()
    try:
        if choice.callback is not None:
            if choice.callback.run(app, extension.db):
                place = faults.at(choice.callback.place)
                reporter.note(
                    f"the init callback {choice.callback.name}{place} left changes in db.session that it "
                    "did not commit: they are lost. Call db.session.commit() at its end."
                )
        elif choice.migrations is not None:
            heads = choice.migrations.upgrade()
            return f"{choice}, to {', '.join(heads)}"
        else:
            if how == "auto":
                _tell_of_unbegun(app, extension, reporter)
            replaced = _migrations_of_empty(app, extension, binds)
            _create_all(app, extension, choice, create_tables, reporter)
            if replaced is not None:
                reached = ", ".join(replaced.stamp())
                instead = f"create_all ran in place of the migrations of {replaced.tool}"
                reporter.note(f"{instead}: they count as run, to {reached}")
    except (CallbackFailed, MigrationFailed, ServerError) as error:
        default = extension.engines().get(None)
        known = failures.of_the_apps_statements(error, role=default.url.username if default else None)
        if choice.callback is not None and failures.sqlstate_of_cause(error) == UNDEFINED_TABLE:
            known = _not_by_migrations(app, extension) or known
        if choice.migrations is not None and failures.sqlstate_of_cause(error) == DUPLICATE_TABLE:
            error.remedies = (
                "If create_all has made them, mark the migrations as run, such as with flask db stamp head",
                Command("make the database anew", "reset"),
            )
        error.remedies = as_tuple(known) or error.remedies or as_tuple(_other_binds(error, extension, binds))
        raise
    return str(choice)


def _not_by_migrations(app: Flask, extension: Extension) -> str | None:
    """Return the remedy where the app's callback wants tables that its migrations would make."""
    migrations = find_migrations(app, extension)
    if migrations is None:
        return None
    return (
        f"The init callback runs in place of the migrations of {migrations.tool}: "
        "let it begin with flask_migrate.upgrade(), or run them with --init-with migrations, "
        "and the function after them, as a seed"
    )


def _tell_of_unbegun(app: Flask, extension: Extension, reporter: Reporter) -> None:
    tool = unbegun_migrations(app, extension)
    if tool is not None:
        reporter.note(
            f"{tool} has no revision yet, so create_all makes the tables, and the first flask db migrate "
            "will find nothing to do: make a revision first, or say --init-with create_all"
        )


def _migrations_of_empty(app: Flask, extension: Extension, binds: t.Sequence[BindKey]) -> Migrations | None:
    """Return the app's migrations, if the default database is chosen and has no table and no revision yet.

    After ``create_all`` the first of them would fail at a table that is there.
    """
    if None not in binds:
        return None
    try:
        migrations = find_migrations(app, extension)
        if migrations is None or migrations.state().current:
            return None
    except MigrationFailed:  # whoever chose create_all may do without them
        return None
    with app.app_context(), _synchronous(extension, None) as engine:
        return None if inspect(engine).get_table_names() else migrations


def _create_all(
    app: Flask, extension: Extension, choice: Choice, create_tables: CreateTables, reporter: Reporter
) -> None:
    if not choice.table_count:
        reporter.note("create_all found no table: the app imports no model")
    try:
        with app.app_context():
            for bind_key, of_bind, _ in choice.tables:
                with _synchronous(extension, bind_key) as engine:
                    report = create_tables(engine, of_bind)
                if report.fallback is not None:
                    reporter.detail(f"the tables were made one by one: {report.fallback}")
    except (FlaskPostgresError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a model's mistake, or a listener of the app
        place = faults.at(faults.where(error, root=app.root_path))
        remedy = _AS_BYTES if "bytes-like" in str(error) else None
        raise AppError(f"create_all failed: {faults.describe(error)}{place}", remedy=remedy) from error


def _tables(
    app: Flask, extension: Extension, metadata: str | None, binds: t.Sequence[BindKey]
) -> t.Iterator[tuple[BindKey, MetaData, tuple[Table, ...]]]:
    for key in binds:
        found = extension.metadata(key)
        if key is None and metadata is not None and (found is None or not found.tables):
            found = load_metadata(metadata, app)
        if found is not None:
            yield key, found, tuple(found.tables.values())
        elif key is None:
            raise AppError(
                f"{extension.name} does not know the app's tables, so create_all has nothing to make.",
                remedy='Set metadata = "myapp.models:Base", or register an init_db_callback.',
            )


def _other_binds(error: FlaskPostgresError, extension: Extension, chosen: t.Sequence[BindKey]) -> str | None:
    """Return the remedy where the databases of binds that were not chosen may be missing.

    Flask-SQLAlchemy's own ``db.create_all()`` and an ``env.py`` for several databases want them all.
    """
    others = [
        key for key, engine in extension.engines().items() if key not in chosen and is_postgresql(engine)
    ]
    if others and faults.is_connection_failure(error.__cause__):
        return "The app has other binds, which were not chosen: --all-binds chooses them."
    return None


@contextlib.contextmanager
def _synchronous(extension: Extension, bind_key: BindKey) -> t.Iterator[Engine]:
    """Give the bind's engine, or one like it where that one speaks asyncio."""
    engine = extension.engine(bind_key)
    if not engine.dialect.is_async:
        yield engine
        return
    from sqlalchemy import NullPool, create_engine

    from ..postgres.drivers import administrative, libpq_arguments
    from ..uri import PostgresUri

    uri = administrative(PostgresUri(engine.url)).uri
    yield create_engine(
        uri.url,
        poolclass=NullPool,
        connect_args=libpq_arguments(
            extension.connect_args(bind_key), engine.dialect.driver, wanted=str(uri.driver)
        ),
        execution_options=engine.get_execution_options(),
    )


_AS_BYTES = (
    "psycopg gives bytes for text where a database's encoding is SQL_ASCII: create it with --encoding UTF8 "
    '--template template0, or let connect_args have "client_encoding": "utf8".'
)
