"""The way through: from metadata to tables."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from sqlalchemy import Connection, Engine, MetaData, Table

from ..drivers import SYNCHRONOUS
from .collect import collect
from .existing import ask, questions
from .fallback import run_create_all
from .listeners import check_connection, check_metadata
from .send import send
from .statement import NotBatchable


@dataclasses.dataclass(frozen=True, slots=True)
class BatchReport:
    """What ``create_tables`` has done.

    :param tables: the tables that were created, in order; None when SQLAlchemy's own ``create_all`` ran,
        which does not tell.
    :param statements: how many statements were sent; none when nothing was missing.
    :param transactions: how many transactions they were sent in; more than one only with ``split``.
    :param fallback: why SQLAlchemy's own ``create_all`` ran instead; None when it did not.
    """

    tables: tuple[str, ...] | None
    statements: int = 0
    transactions: int = 0
    fallback: str | None = None


def create_tables(
    bind: Engine | Connection,
    metadata: MetaData,
    *,
    tables: t.Sequence[Table] | None = None,
    split: bool = False,
) -> BatchReport:
    """Create what is missing of the metadata, as ``metadata.create_all(bind, tables=tables)`` would.

    One query asks what exists, then everything that is missing goes out in one flight and one transaction.
    An engine gets a connection of its own. On a connection that is in a transaction, the work becomes part
    of that transaction, within a savepoint; committing stays with the caller.

    The result is the one of SQLAlchemy's own ``create_all``, which takes over wherever this cannot be
    promised: for other drivers, for listeners of the app that want a connection, and when the server
    refuses the batch. A failure leaves nothing behind.

    :param split: allow several transactions when the server's lock table cannot hold one. A failure in a
        later one then leaves the earlier ones' tables, so this is for a database that is thrown away as a
        whole when its creation fails. No effect on a connection that is in a transaction.
    :raises FlaskPostgresError: when the server refuses a statement; the message names the statement and
        its table, ``sqlstate`` is the server's code, and the driver's error is the cause.
    """
    try:
        with _connection(bind) as connection:
            return _create(connection, metadata, tables, split=split)
    except NotBatchable as reason:
        run_create_all(bind, metadata, tables, expected=reason.statements)
        return BatchReport(tables=None, fallback=str(reason))


@contextlib.contextmanager
def _connection(bind: Engine | Connection) -> t.Iterator[Connection]:
    dialect = bind.dialect
    if dialect.name != "postgresql" or dialect.driver not in SYNCHRONOUS:
        raise NotBatchable(f"{dialect.name}+{dialect.driver} cannot send a batch")
    if isinstance(bind, Connection):
        yield bind
        return
    with bind.connect() as connection, _mode(connection):
        yield connection


def _mode(connection: Connection) -> t.ContextManager[object]:
    """Return autocommit, which saves flights, or a transaction where the app would notice its absence."""
    driver: t.Any = connection.connection.driver_connection
    dispatch: t.Any = connection.dispatch
    # Listeners of the app: for connect and checkout they may leave a transaction open, and for begin they
    # may set what lasts as long as one.
    begun = driver.info.transaction_status != _IDLE
    if begun or dispatch.begin or dispatch.commit:
        return connection.begin()
    return _autocommit(connection)


@contextlib.contextmanager
def _autocommit(connection: Connection) -> t.Iterator[None]:
    # Several statements in one message are one transaction of their own. With autocommit the driver adds no
    # BEGIN and COMMIT, each of which would be a flight; and after a failure nothing is open. The driver is
    # told directly, because SQLAlchemy's way there has psycopg2 send a SET on the way back.
    driver: t.Any = connection.connection.driver_connection
    before = driver.autocommit
    driver.autocommit = True
    try:
        yield
    finally:
        try:
            driver.autocommit = before
        except Exception:  # a session that is gone, or that an interrupt has left in the middle
            connection.invalidate()


def _create(
    connection: Connection, metadata: MetaData, tables: t.Sequence[Table] | None, *, split: bool
) -> BatchReport:
    chosen = list(metadata.tables.values()) if tables is None else list(tables)
    check_connection(connection)
    check_metadata(metadata, chosen)
    existing = ask(connection, questions(connection, metadata, chosen))
    statements = collect(connection, metadata, tables, existing)
    return BatchReport(
        tables=tuple(statement.creates for statement in statements if statement.creates is not None),
        statements=len(statements),
        transactions=send(connection, statements, split=split),
    )


_IDLE = 0
"""libpq's ``PQTRANS_IDLE``, which both drivers hand on."""
