"""Dropping a database, whatever is at work in it."""

from __future__ import annotations

import contextlib

from ..errors import DatabaseInUse, PermissionDenied
from . import ddl, sessions
from .session import Session

ATTEMPTS = 5


def drop(admin: Session, name: str, *, doing: str, force: bool = False, if_exists: bool = False) -> None:
    """Drop a database.

    ``FORCE`` refuses when a process is in the database whose role ours is no member of. An autovacuum worker
    has no role, so it stands in the way of everybody but superusers (``TerminateOtherDBBackends`` in
    PostgreSQL's procarray.c); a ``DROP`` without ``FORCE`` ends it by itself. So where there is one, the
    sessions are ended first, and the database is dropped without.

    :param force: end the sessions on it.
    :raises DatabaseInUse: if somebody has a session on it, or comes back again and again.
    :raises PermissionDenied: if our role may not drop it, or not end a session.
    """
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            admin.run(ddl.DropDatabase(name, force=force, if_exists=if_exists), doing=doing)
        except PermissionDenied:
            worker = force and _has_worker(admin, name)
            if not force or last or (attempt and not worker):
                raise
        else:
            return
        if not worker:
            continue  # there was none, or it has ended meanwhile: the second refusal tells
        sessions.end_all(admin, name)
        with contextlib.suppress(DatabaseInUse):  # somebody has come back
            admin.run(ddl.DropDatabase(name, if_exists=if_exists), doing=doing)
            return


def _has_worker(admin: Session, name: str) -> bool:
    return bool(admin.rows(_WORKERS, dbname=name, doing=f'look for who is at work in database "{name}"'))


_WORKERS = "SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.datname = :dbname AND a.usesysid IS NULL"
