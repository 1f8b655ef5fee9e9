"""Closing databases and giving them other names: each in a transaction that makes sure which one it is."""

from __future__ import annotations

from sqlalchemy.schema import ExecutableDDLElement

from ...postgres import ddl, sessions
from ...postgres.admin import Session
from ...postgres.facts import Database
from ...postgres.marks import Mark, State
from .base import Found, look_up, lost_race


def close_unfinished(admin: Session, name: str, found: Found, *, token: str | None) -> None:
    """Close a database that is to go, and end its sessions. It is marked, so a kill here is no secret."""
    doing = f'close "{name}" to connections'
    with admin.transaction(doing=doing):
        # Changing the row comes first: from then on it is known which database has the name.
        admin.run(ddl.AllowConnections(name, False), doing=doing)
        now = look_up(admin, name)
        if now is None or (now.oid, now.mark) != (found.oid, found.mark):
            raise lost_race(name)
        # It keeps the token that tells which former database is its own.
        mark = Mark(State.UNFINISHED, of=name, token=found.mark.token if found.mark else token)
        admin.run(ddl.CommentOnDatabase(name, mark.under(now.comment)), doing=doing)
    sessions.end_all(admin, name)


def take_away(admin: Session, name: str, found: Found, *, spare: str, token: str) -> None:
    """Close a database that is to go, and give it another name, under which it can only be that one."""
    close_unfinished(admin, name, found, token=token)
    doing = f'take "{name}" away'
    with admin.transaction(doing=doing):
        _move(admin, name, found, spare=spare, doing=doing)


def taking_away(database: Database, *, spare: str) -> tuple[ExecutableDDLElement, ...]:
    """Return the statements by which an unfinished database is taken away."""
    mark = Mark(State.UNFINISHED, of=database.name, token=database.mark.token if database.mark else None)
    text = mark.under(database.comment)
    return (
        ddl.AllowConnections(database.name, False),
        ddl.CommentOnDatabase(database.name, text),
        ddl.RenameDatabase(database.name, spare),
        ddl.CommentOnDatabase(spare, text),
    )


def put_back(
    admin: Session, name: str, *, aside: str, found: Found, spare: str, present: Found | None
) -> None:
    """Give a database that was set aside its name and its former state again, in one transaction.

    :param found: the database that was set aside.
    :param spare: the name that what now stands under the real name gets, marked as unfinished.
    """
    doing = f'put "{name}" back'
    allowed = found.mark.allowed if found.mark is not None else True
    with admin.transaction(doing=doing):
        if present is not None:
            _move(admin, name, present, spare=spare, doing=doing)
        admin.run(
            ddl.RenameDatabase(aside, name),
            ddl.AllowConnections(name, allowed),
            ddl.CommentOnDatabase(name, found.comment),
            doing=doing,
        )


def _move(admin: Session, name: str, found: Found, *, spare: str, doing: str) -> None:
    admin.run(ddl.RenameDatabase(name, spare), doing=doing)
    moved = look_up(admin, spare)
    if moved is None or moved.oid != found.oid:
        raise lost_race(name)
    mark = Mark(State.UNFINISHED, of=name, token=moved.mark.token if moved.mark else None)
    admin.run(ddl.CommentOnDatabase(spare, mark.under(moved.comment)), doing=doing)
