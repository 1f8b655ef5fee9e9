"""Other sessions of a server: ending them, and waiting until they are gone."""

from __future__ import annotations

import json
import time
import typing as t

from ..errors import DatabaseInUse
from . import ddl
from .admin import APP_APPLICATION, APPLICATION
from .session import Session

PATIENCE = 10.0
"""Seconds in which an ended session must be gone; one that rolls back much work takes a while."""


def end_all(
    admin: Session,
    dbname: str,
    *,
    but: int | None = None,
    sleep: t.Callable[[float], None] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
) -> None:
    """End every session on a database, and wait until they are gone.

    New ones must be blocked already, or be harmless.

    :param but: the process id of a session that stays.

    :raises PermissionDenied: if one may not be ended.
    :raises DatabaseInUse: if one is still there after ``PATIENCE`` seconds.
    """

    def end() -> t.Sequence[t.Any]:
        return admin.rows(
            _END_ALL, dbname=dbname, but=but or 0, doing=f'end the sessions on database "{dbname}"'
        )

    _until_gone(end, f'sessions on database "{dbname}" do not end', sleep=sleep, clock=clock)


def end_ours(admin: Session, *, token: str, made: t.Sequence[int] = ()) -> t.Sequence[t.Any]:
    """End the other sessions of one command, wherever they are; return those that were still there.

    :param made: the numbers of databases that it is making: an app may name its sessions as it likes, but
        nobody else has any business there yet.
    """
    return admin.rows(
        _END_OURS,
        ours=f"{APPLICATION} {token} %",
        apps=f"{APP_APPLICATION} {token} %",
        made=json.dumps([*made]),
        doing="end this command's own sessions",
    )


def end_former(
    admin: Session,
    *,
    token: str,
    sleep: t.Callable[[float], None] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
) -> None:
    """End the sessions that a command has had, and wait until they are gone.

    One that the command has lost may still be in the middle of something, such as its COMMIT.

    :raises DatabaseInUse: if one is still there after ``PATIENCE`` seconds.
    """

    def end() -> t.Sequence[t.Any]:
        return end_ours(admin, token=token)

    _until_gone(end, "earlier sessions of this command do not end", sleep=sleep, clock=clock)


def of_others(admin: Session, dbname: str, *, token: str) -> str:
    """Name those who are connected to a database, without one command's own sessions; empty for nobody."""
    rows = admin.rows(_OF_OTHERS, dbname=dbname, ours=f"{APPLICATION}% {token} %")
    return ", ".join(f"pid {pid} as {user}" for pid, user in rows)


def has_prepared(admin: Session, dbname: str) -> bool:
    """Tell whether our role has prepared transactions in a database."""
    return bool(admin.value(_PREPARED.format("count(*) > 0", ":dbname"), dbname=dbname))


def roll_back_prepared(inside: Session) -> None:
    """Roll back every transaction that our role has prepared in the session's database."""
    for (name,) in inside.rows(_PREPARED.format("x.gid", "pg_catalog.current_database()")):
        inside.run(ddl.RollbackPrepared(name), doing=f'roll back the prepared transaction "{name}"')


def _until_gone(
    end: t.Callable[[], t.Sequence[t.Any]],
    problem: str,
    *,
    sleep: t.Callable[[float], None],
    clock: t.Callable[[], float],
) -> None:
    deadline = clock() + PATIENCE
    while left := end():
        if clock() > deadline:
            pids = ", ".join(str(pid) for pid, _ in left)
            raise DatabaseInUse(f"{problem}: pid {pids}.", remedy="Look at them in pg_stat_activity.")
        sleep(0.02)


_PREPARED = "SELECT {} FROM pg_catalog.pg_prepared_xacts x WHERE x.database = {} AND x.owner = current_user"

_OF_OTHERS = """
SELECT a.pid, a.usename FROM pg_catalog.pg_stat_activity a
WHERE a.datname = :dbname AND a.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL
  AND coalesce(a.backend_type, '') <> 'parallel worker' AND a.application_name NOT LIKE :ours
ORDER BY a.pid
"""

_END_ALL = """
SELECT a.pid, pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
WHERE a.datname = :dbname AND a.pid NOT IN (pg_catalog.pg_backend_pid(), :but)
  AND a.usesysid IS NOT NULL AND coalesce(a.backend_type, '') <> 'parallel worker'
  AND coalesce(a.application_name, '') NOT LIKE 'TimescaleDB Background Worker%'
"""
"""Without ``pg_read_all_stats`` the backend_type of others is NULL; an autovacuum worker has no user."""

_END_OURS = """
SELECT a.pid, pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
WHERE a.pid <> pg_catalog.pg_backend_pid() AND (
  a.application_name LIKE :ours OR a.application_name LIKE :apps
  OR (a.usesysid IS NOT NULL
      AND CAST(a.datid AS text) IN (SELECT json_array_elements_text(CAST(:made AS json)))))
"""
