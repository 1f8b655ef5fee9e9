"""Send statements to the server, many in one flight."""

from __future__ import annotations

import typing as t

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ..failures import lost_connection, server_line, sqlstate
from .fallback import OUT_OF_LOCKS, autocommits, failure, within
from .statement import NotBatchable, Statement


def send(connection: Connection, statements: t.Sequence[Statement], *, split: bool) -> int:
    """Execute the statements in one transaction and return the number of transactions.

    :param split: where the server cannot hold the locks of one transaction, use as many as it takes.
    :raises NotBatchable: when the server refuses a statement. Which one the answer does not tell, and
        whether SQLAlchemy, which asks in between, would have sent it is not known here.
    """
    if not statements:
        return 0
    try:
        with within(connection):
            _fly(connection, statements)
        return 1
    except DBAPIError as error:
        code = sqlstate(error)
        if lost_connection(error):
            raise failure(error) from error
        if code != OUT_OF_LOCKS:
            raise NotBatchable(f"the server refused the batch: {server_line(error)}", statements) from error
        middle = _middle(statements) if split and autocommits(connection) else 0
        if not middle:
            raise failure(error, doing=f"create {_count(statements)} tables in one transaction") from error
    return sum(send(connection, half, split=split) for half in (statements[:middle], statements[middle:]))


def _fly(connection: Connection, statements: t.Sequence[Statement]) -> None:
    # The separator stands on a line of its own, because a statement may end in a comment. Without
    # parameters both drivers send the text as it is, by the protocol that takes many statements at once.
    batch = "\n;\n".join(statement.sql for statement in statements)
    options = {"no_parameters": True, "stream_results": False}
    connection.exec_driver_sql(batch, execution_options=options).close()


def _middle(statements: t.Sequence[Statement]) -> int:
    """Return where a table begins, near the middle; 0 if none begins after the first."""
    starts = [index for index, statement in enumerate(statements) if index and statement.creates is not None]
    return min(starts, key=lambda index: abs(index - len(statements) // 2), default=0)


def _count(statements: t.Sequence[Statement]) -> int:
    return sum(statement.creates is not None for statement in statements)
