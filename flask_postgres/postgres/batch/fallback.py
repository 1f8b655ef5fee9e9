"""SQLAlchemy's own ``create_all``, for whatever cannot be batched, and what a failure is called."""

from __future__ import annotations

import contextlib
import typing as t

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.exc import DBAPIError

from ...errors import FlaskPostgresError, ServerError
from ..failures import server_line, sqlstate, translate
from .statement import NotBatchable, Statement, as_sent, head

OUT_OF_LOCKS = "53200"
_OWN_TRANSACTION_WANTED = ("25001", "55P04")
"""As by CREATE INDEX CONCURRENTLY, and by the first use of a label that ALTER TYPE has added."""


def run_create_all(
    bind: Engine | Connection,
    metadata: MetaData,
    tables: t.Sequence[Table] | None,
    *,
    expected: t.Sequence[Statement] = (),
) -> None:
    """Run SQLAlchemy's own ``create_all``; a failure leaves nothing behind and names the statement.

    :param expected: statements that tell which table a failing one belongs to.
    """
    try:
        try:
            _in_one_transaction(bind, metadata, tables)
        except DBAPIError as error:
            if sqlstate(error) not in _OWN_TRANSACTION_WANTED:
                raise
            # It works where the app's engine is in autocommit mode, and fails again where it is not.
            metadata.create_all(bind, tables=tables)
    except DBAPIError as error:
        raise failure(error, doing=_deed(error, expected)) from error


def _in_one_transaction(
    bind: Engine | Connection, metadata: MetaData, tables: t.Sequence[Table] | None
) -> None:
    if isinstance(bind, Connection):
        with within(bind):
            metadata.create_all(bind, tables=tables)
        return
    with bind.connect() as connection:
        if autocommits(connection):
            connection.execution_options(isolation_level="READ COMMITTED")
        with connection.begin():
            metadata.create_all(connection, tables=tables)


def within(connection: Connection) -> t.ContextManager[object]:
    """Return a savepoint in the connection's transaction; in autocommit mode there is none to return to."""
    return contextlib.nullcontext() if autocommits(connection) else connection.begin_nested()


def autocommits(connection: Connection) -> bool:
    """Tell whether the driver is in autocommit mode, which all of PostgreSQL's drivers name alike."""
    return bool(getattr(connection.connection, "autocommit", False))


def failure(error: DBAPIError, *, doing: str = "create the tables") -> FlaskPostgresError:
    """Return our error for one of the server's.

    :param doing: what was being done, for ``could not …``.
    """
    if sqlstate(error) == OUT_OF_LOCKS:
        message = f"could not {doing}: {server_line(error)}"
        return ServerError(message, remedy=_MORE_LOCKS, sqlstate=OUT_OF_LOCKS)
    return translate(error, doing=doing)


def _deed(error: DBAPIError, expected: t.Sequence[Statement]) -> str:
    if error.statement is None:
        return "create the tables"
    with contextlib.suppress(NotBatchable):
        sql = as_sent(error.statement)
        known = (statement for statement in expected if statement.sql == sql)
        return next(known, Statement(sql, table=None, creates=None)).deed
    return f"run {head(error.statement)}"


_MORE_LOCKS = (
    "Raise max_locks_per_transaction on the server and restart it: 64, with 100 connections, holds some "
    "1,500 tables in one transaction."
)
