"""The Python API: the commands as functions, without prompts and exits."""

from __future__ import annotations

import typing as t

from .errors import UsageError
from .plans import engine
from .plans.context import StepContext
from .plans.engine import Task
from .plans.plan import Request
from .postgres import marks
from .postgres.admin import Connector
from .postgres.ddl import CLAUSES
from .reporting import Reporter, Silence
from .settings.convert import ConversionError, Raw, convert
from .settings.schema import BY_NAME
from .uri import PostgresUri

if t.TYPE_CHECKING:
    from sqlalchemy.engine import URL

Uri = t.Union["str", "URL", PostgresUri]


def create_db(
    uri: Uri,
    *,
    admin_dbname: str | None = None,
    template: str | None = None,
    schemas: t.Sequence[str] = (),
    extensions: t.Sequence[str] = (),
    connect_timeout: float = 10,
    timeout: float = 600,
    reporter: Reporter | None = None,
    **clauses: str | int | None,
) -> bool:
    """Create a database, unless it exists.

    It waits for other commands that work on the same database, and installs no signal handlers.

    :param uri: of the database: a string, a SQLAlchemy URL or a :class:`PostgresUri`. Its user needs
        CREATEDB.
    :param admin_dbname: the database to connect to meanwhile; when None, ``postgres``, or, when that is
        out of reach, ``template1`` or the target.
    :param template: the database to copy; ``template1`` when None.
    :param schemas: created in the database where they are missing.
    :param extensions: likewise, after the schemas.
    :param connect_timeout: seconds, for each connection.
    :param timeout: seconds to wait for other commands on the same database.
    :param reporter: is told what happens; nothing is printed when None.
    :param clauses: further clauses of CREATE DATABASE: ``owner``, ``encoding``, ``locale``,
        ``lc_collate``, ``lc_ctype``, ``locale_provider``, ``icu_locale``, ``tablespace``,
        ``connection_limit``.
    :returns: True if it was created, False if it existed.
    :raises UsageError: if an argument is not what the setting of that name takes.
    :raises FlaskPostgresError: why it could not be created; nothing is left of it then.
    :raises TypeError: if a clause is not known.
    """
    unknown = clauses.keys() - (CLAUSES.keys() - {"database_template"})  # its name here is template
    if unknown:
        raise TypeError(f"create_db() got an unexpected keyword argument {min(unknown)!r}")
    given = {"database_template": template, **clauses}
    uri = PostgresUri(uri)
    request = Request(
        command="create",
        dbname=uri.dbname,
        clauses={name: _valid(name, value) for name, value in given.items() if value is not None},
        schemas=_valid("schemas", schemas),
        extensions=_valid("extensions", extensions),
    )
    context = StepContext(connector=_connector(uri, admin_dbname, connect_timeout, reporter))
    engine.run([Task(request, context)], timeout=timeout, program=False)
    return bool(context.made)


def drop_db(
    uri: Uri,
    *,
    admin_dbname: str | None = None,
    force_disconnect: bool = False,
    connect_timeout: float = 10,
    timeout: float = 600,
    reporter: Reporter | None = None,
) -> bool:
    """Drop a database, if it exists, without a confirmation, and keep nothing of it for ``flask psql undo``.

    It waits for other commands that work on the same database, and installs no signal handlers.

    :param uri: of the database: a string, a SQLAlchemy URL or a :class:`PostgresUri`.
    :param admin_dbname: the database to connect to meanwhile; when None, ``postgres``, or, when that is
        out of reach, ``template1`` or the target.
    :param connect_timeout: seconds, for each connection.
    :param timeout: seconds to wait for other commands on the same database.
    :param reporter: is told what happens; nothing is printed when None.
    :param force_disconnect: end the sessions that others have on it.
    :returns: True if it was dropped, False if there was none.
    :raises DatabaseProtected: if it is marked as protected.
    :raises DatabaseInUse: if it has other sessions and ``force_disconnect`` is not set.
    :raises FlaskPostgresError: for any other reason; the database is as it was.
    """
    uri = PostgresUri(uri)
    request = Request(command="drop", dbname=uri.dbname, force_disconnect=force_disconnect, undo_limit=0)
    context = StepContext(connector=_connector(uri, admin_dbname, connect_timeout, reporter))
    return engine.run([Task(request, context)], timeout=timeout, program=False)


def database_exists(uri: Uri, *, admin_dbname: str | None = None, connect_timeout: float = 10) -> bool:
    """Tell whether a database exists, as ``pg_database`` says.

    :param uri: of the database: a string, a SQLAlchemy URL or a :class:`PostgresUri`.
    :param admin_dbname: the database to connect to meanwhile; when None, ``postgres``, or, when that is
        out of reach, ``template1`` or the target.
    :param connect_timeout: seconds, for each connection.
    :raises CannotConnect: if nobody could be asked: that is never "it does not exist".
    """
    uri = PostgresUri(uri)
    with _connector(uri, admin_dbname, connect_timeout, None).anywhere() as session:
        query = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = :name"
        return session.value(query, name=uri.dbname) is not None


def create_all(db: t.Any) -> None:
    """Create the tables of ``db``, in one flight and one transaction where the server is far away.

    The result is that of ``db.create_all()``; use it in an init callback, inside the application context.

    :param db: a Flask-SQLAlchemy instance. Flask-SQLAlchemy-Lite knows no tables of its own; there, use
        ``flask_postgres.postgres.batch.create_tables(db.engine, Model.metadata)``.
    :raises AppError: if it is anything else, or has tables of a bind that the app's config does not name.
    :raises ServerError: if a statement fails; the message names the table, and nothing is left behind.
    """
    from .errors import AppError
    from .postgres.batch import create_tables

    if not hasattr(type(db), "metadatas") and not hasattr(db, "metadatas"):
        kind = f"{type(db).__module__}.{type(db).__qualname__}"
        raise AppError(f"create_all(db) takes a Flask-SQLAlchemy instance, not {kind}.")
    engines = db.engines
    homeless = [key for key, metadata in db.metadatas.items() if metadata.tables and key not in engines]
    if homeless:
        names = ", ".join(f'"{table}"' for table in sorted(db.metadatas[homeless[0]].tables))
        where = "SQLALCHEMY_DATABASE_URI" if homeless[0] is None else f'"{homeless[0]}" in SQLALCHEMY_BINDS'
        raise AppError(f"create_all(db) has no database for {names}: the app's config has no {where}.")
    for bind_key, metadata in db.metadatas.items():
        if bind_key in engines:
            create_tables(engines[bind_key], metadata)


def _connector(
    uri: PostgresUri, admin_dbname: str | None, connect_timeout: float, reporter: Reporter | None
) -> Connector:
    return Connector(
        uri=uri,
        admin_dbname=None if admin_dbname is None else _valid("admin_dbname", admin_dbname),
        connect_timeout=_valid("connect_timeout", connect_timeout),
        token=marks.new_token(),
        reporter=reporter or Silence(),
    )


def _valid(name: str, value: t.Any) -> t.Any:
    """Return an argument as the setting of its name."""
    try:
        return convert(BY_NAME[name], Raw(value=value))
    except ConversionError as error:
        raise UsageError(f"{name.removeprefix('database_')} {error}.") from None
