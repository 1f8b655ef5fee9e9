"""Commands on the same target take turns.

The lock is an advisory lock of the database that we administer from. It keeps commands from getting in
each other's way; safety does not rest on it, because a pooler or another ``admin_dbname`` defeats it.
"""

from __future__ import annotations

import random
import time
import typing as t
import zlib

from ..errors import CannotConnect, Refused
from ..postgres.admin import APPLICATION, Connector, Session

POLL = 0.2
"""Seconds between two tries, about: a waiter that stayed connected would block CREATE DATABASE from
``template1`` and use up ``max_connections``."""

PATIENCE = 600.0
"""Seconds after which a waiting command gives up."""

TOO_MANY_CONNECTIONS = "53300"


def take(
    connector: Connector,
    *,
    session: Session | None = None,
    sleep: t.Callable[[float], None] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
) -> Session:
    """Wait for this command's turn and return the session that holds it; closing it ends the turn.

    :param session: one that is open already, to begin with.
    :raises Refused: if the turn does not come within ``PATIENCE`` seconds.
    """
    deadline = clock() + PATIENCE
    told = False
    while True:
        reason = None
        try:
            session = session or connector.admin()
            if _try_lock(session, connector.uri.dbname):
                return session
            reason = _holder(session, connector)
        except CannotConnect as error:
            if error.sqlstate != TOO_MANY_CONNECTIONS:
                raise
            reason = "the server has no free connection"
        finally:
            if reason is not None and session is not None:
                session.close()
        session = None
        if not told:
            connector.reporter.note(f'waiting for a turn on database "{connector.uri.dbname}": {reason}')
            told = True
        if clock() > deadline:
            message = f'no turn on database "{connector.uri.dbname}" in {PATIENCE:.0f} s: {reason}.'
            raise Refused(message, hint="Look at pg_stat_activity for what holds it.")
        sleep(POLL * (0.5 + random.random()))


def _try_lock(session: Session, dbname: str) -> bool:
    query = "SELECT pg_catalog.pg_try_advisory_lock(:space, :key)"
    return bool(session.value(query, space=_signed(APPLICATION), key=_signed(dbname), doing="take a turn"))


def _holder(session: Session, connector: Connector) -> str:
    rows = session.rows(_HOLDER, space=_signed(APPLICATION), key=_signed(connector.uri.dbname))
    if not rows:
        return "another command has just had it"
    pid, user, address = rows[0]
    where = f" from {address}" if address else ""
    return f"another command has it (pid {pid} of the server, user {user}{where})"


def _signed(text: str) -> int:
    """Return a 32-bit hash as PostgreSQL's integer."""
    value = zlib.crc32(text.encode())
    return value - (1 << 32) if value >= 1 << 31 else value


_HOLDER = """
SELECT a.pid, a.usename, host(a.client_addr) FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted
  AND l.classid = CAST(CAST(:space AS bigint) & 4294967295 AS oid)
  AND l.objid = CAST(CAST(:key AS bigint) & 4294967295 AS oid)
"""
