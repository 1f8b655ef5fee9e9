"""The lock that makes commands on the same database wait for each other.

It is an advisory lock in the database that we administer from. It keeps commands from getting in each other's
way; safety does not rest on it, because a pooler or another ``admin_dbname`` defeats it.
"""

from __future__ import annotations

import hashlib
import random
import time
import typing as t

from ..errors import AtWork, CannotConnect, Refused, Unsupported, UsageError
from ..postgres.admin import APPLICATION, Connector
from ..postgres.session import Session
from ..remedies import Option

POLLS = (0.1, 1.0)
"""Seconds between two tries, about: at first, and after a while. A waiter that stayed connected would block
CREATE DATABASE from ``template1`` and use up ``max_connections``; so would many that ask too often."""

PATIENCE = 600.0
"""Seconds after which a waiting command gives up."""

TOO_MANY_CONNECTIONS = "53300"


Looked = t.TypeVar("Looked")


def acquire(
    connector: Connector,
    look: t.Callable[[Session], Looked],
    *,
    held: t.Sequence[Session] = (),
    sleep: t.Callable[[float], None] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
    timeout: float = PATIENCE,
) -> tuple[Session, Looked]:
    """Wait for the lock of the target; return the session that holds it, and what was seen then.

    Closing the session releases the lock.

    :param look: looks at the database while the lock is held; ``AtWork`` releases it again.
    :param held: the sessions that hold this command's locks of other databases.
    :param timeout: seconds to wait.
    :raises UsageError: if one of them holds this very lock.
    :raises Refused: if the lock is not free within that time.
    :raises Unsupported: if sessions do not hold what they lock.
    """
    deadline = clock() + timeout
    pause, failed = POLLS[0], 0
    while True:
        found = _try(connector, look, held)
        if not isinstance(found, str):
            return found
        failed += 1
        if failed == 2:  # a command that has just ended may take the server a moment
            connector.reporter.note(f'waiting for the lock of database "{connector.uri.dbname}": {found}')
        if clock() > deadline:
            message = (
                f'the lock of database "{connector.uri.dbname}" is not free after {timeout:g} s: {found}.'
            )
            raise Refused(message, remedy="Look at pg_stat_activity for the session that holds it.")
        sleep(pause * (0.5 + random.random()))
        pause = min(pause * 1.25, POLLS[1])


def _try(
    connector: Connector, look: t.Callable[[Session], Looked], held: t.Sequence[Session]
) -> tuple[Session, Looked] | str:
    """Take the lock, or return why that is not possible yet."""
    try:
        session = connector.admin()
    except CannotConnect as error:
        if error.sqlstate != TOO_MANY_CONNECTIONS:
            raise
        if held:  # waiting would not help, as long as we hold them
            message = (
                f"the server has no free connection, and this command holds {len(held)}, one a database."
            )
            hint = Option("Raise max_connections, or give some of the binds at a time: {}", "bind_key")
            raise Refused(message, remedy=hint) from error
        return "the server has no free connection"
    try:
        refuse_shared(connector, session)
        if _try_lock(session, connector.uri.dbname):
            return session, look(session)
        reason = _holder(session, connector, held)
    except AtWork as error:
        reason = error.message.rstrip(".")
    except BaseException:
        session.close()
        raise
    session.close()
    return reason


def refuse_shared(connector: Connector, session: Session) -> None:
    """Refuse a pooler that gives each transaction another server process; lift the timeouts behind another.

    :raises Unsupported: if it is one.
    """
    if not session.pooled:
        return
    if connector.shares(session):
        raise Unsupported(
            "the server is reached through a pooler, such as PgBouncer, in transaction mode: "
            "sessions share its processes, so neither a lock nor a setting belongs to one of them.",
            remedy=Option("Connect to the server directly: {}", "uri"),
        )
    session.lift_timeouts()


def _try_lock(session: Session, dbname: str) -> bool:
    query = "SELECT pg_catalog.pg_try_advisory_lock(CAST(:key AS bigint))"
    return bool(session.value(query, key=_key(dbname), doing="take the lock"))


def _holder(session: Session, connector: Connector, held: t.Sequence[Session]) -> str:
    rows = session.rows(_HOLDER, key=_key(connector.uri.dbname))
    if not rows:
        return "the lock was just released"
    pid, since, user, address = rows[0]
    if (pid, since) in [tuple(one.rows(_SELF)[0]) for one in held]:
        message = f'two binds lead to one database, "{connector.uri.dbname}", by different addresses.'
        raise UsageError(message, remedy="Write the same host and port in both URIs.")
    where = f" from {address}" if address else ""
    return f"another command has it (pid {pid} of the server, user {user}{where})"


def _key(dbname: str) -> int:
    """Return the key of a database's lock, a bigint: names must not meet in one key by accident."""
    digest = hashlib.sha256(f"{APPLICATION} {dbname}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


_SELF = """
SELECT a.pid, CAST(a.backend_start AS text) FROM pg_catalog.pg_stat_activity a
WHERE a.pid = pg_catalog.pg_backend_pid()
"""
"""Servers in containers give the same process ids; together with the time they tell one from another."""

_HOLDER = """
SELECT a.pid, CAST(a.backend_start AS text), a.usename, host(a.client_addr) FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
  AND l.classid = CAST((CAST(:key AS bigint) >> 32) & 4294967295 AS oid)
  AND l.objid = CAST(CAST(:key AS bigint) & 4294967295 AS oid) AND l.objsubid = 1
"""
