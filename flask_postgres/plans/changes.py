"""What steps send to the server, as values: a dry run prints the very statements that a run executes."""

from __future__ import annotations

import typing as t

from sqlalchemy.schema import ExecutableDDLElement

from ..postgres import ddl, dropping
from ..postgres.marks import Mark, Signature, State
from ..postgres.session import Session
from .identity import Found, expect, look_up, lost_race

Statements = tuple[ExecutableDDLElement, ...]


class Plain(t.NamedTuple):
    """Statements that are sent as they are, each on its own."""

    doing: str
    statements: Statements

    def parts(self) -> tuple[Action, ...]:
        """Return what is sent, and sent again after waiting for a lock, on its own."""
        return tuple(Plain(self.doing, (statement,)) for statement in self.statements)

    def send(self, admin: Session) -> Found | None:
        admin.run(*self.statements, doing=self.doing)
        return None


class Together(t.NamedTuple):
    """Statements that happen together or not at all."""

    doing: str
    statements: Statements

    def parts(self) -> tuple[Action, ...]:
        return (self,)

    def send(self, admin: Session) -> Found | None:
        with admin.transaction(doing=self.doing):
            admin.run(*self.statements, doing=self.doing)
        return None


class Drop(t.NamedTuple):
    """DROP DATABASE; see :func:`flask_postgres.postgres.dropping.drop`, which may have to repeat it."""

    doing: str
    name: str
    force: bool = False

    @property
    def statements(self) -> Statements:
        return (ddl.DropDatabase(self.name, force=self.force),)

    def parts(self) -> tuple[Action, ...]:
        return (self,)

    def send(self, admin: Session) -> Found | None:
        dropping.drop(admin, self.name, force=self.force, doing=self.doing)
        return None


class Change(t.NamedTuple):
    """Statements about one database, of which the last ones depend on what it is found to be.

    A name is resolved when a statement runs. The first statement locks the row in ``pg_database``: from then
    on nobody else renames, changes or drops the database, so what is found is what will be committed.

    :param name: the name of the database after the first statements.
    :param check: raises if what is found is not what the plan was made for.
    :param then: the statements that follow.
    :param planned: what the plan expects to find.
    """

    doing: str
    first: Statements
    name: str
    check: t.Callable[[Found | None], object]
    then: t.Callable[[Found], Statements] = lambda _: ()
    planned: Found = Found()

    @property
    def statements(self) -> Statements:
        return (*self.first, *self.then(self.planned))

    def parts(self) -> tuple[Action, ...]:
        return (self,)

    def send(self, admin: Session) -> Found | None:
        admin.run(*self.first, doing=self.doing)
        found = look_up(admin, self.name)
        self.check(found)
        if found is not None:
            admin.run(*self.then(found), doing=self.doing)
        return found


class Transaction(t.NamedTuple):
    """Changes that happen together or not at all."""

    doing: str
    changes: tuple[Change, ...]

    @property
    def statements(self) -> Statements:
        return tuple(statement for change in self.changes for statement in change.statements)

    def parts(self) -> tuple[Action, ...]:
        return (self,)

    def send(self, admin: Session) -> Found | None:
        with admin.transaction(doing=self.doing):
            for change in self.changes:
                change.send(admin)
        return None


Action = Plain | Together | Drop | Change | Transaction
"""Something that a step does to the server: its statements, and how they are sent."""


def close_unfinished(name: str, database: Found, by: Signature) -> Transaction:
    """Close a database that is to be dropped to new connections. Its mark says so, should we be killed here.

    It keeps the token of its mark, which tells which former database is its own.
    """
    doing = f'close "{name}" to connections'
    mark = _unfinished(name, database, by)

    def check(found: Found | None) -> None:
        if found is None or (found.oid, found.mark) != (database.oid, database.mark):
            raise lost_race(name)

    change = Change(
        doing,
        first=(ddl.AllowConnections(name, False),),
        name=name,
        check=check,
        then=lambda found: (ddl.CommentOnDatabase(name, mark.under(found.comment)),),
        planned=database,
    )
    return Transaction(doing, (change,))


def move(name: str, database: Found, by: Signature, *, spare: str, doing: str) -> Change:
    """Give a database that is to be dropped another name, which only this database can have."""
    mark = _unfinished(name, database, by)

    def check(found: Found | None) -> None:
        if found is None or found.oid != database.oid:
            raise lost_race(name)

    return Change(
        doing,
        first=(ddl.RenameDatabase(name, spare),),
        name=spare,
        check=check,
        then=lambda found: (ddl.CommentOnDatabase(spare, mark.under(found.comment)),),
        planned=database,
    )


def put_back(
    name: str,
    aside: str,
    former: Found,
    by: Signature,
    *,
    spare: str,
    present: Found | None,
    mark: Mark | None = None,
) -> Transaction:
    """Give a database that was set aside its name and its former state again.

    :param former: the database that was set aside.
    :param spare: the name that the database gets which has the name now; it is marked as unfinished.
    :param mark: the mark that it had before.
    """
    doing = f'put "{name}" back'
    allowed = former.mark.allowed if former.mark is not None else True
    token = former.mark.token if former.mark is not None and former.mark.token else by.token
    back = Change(
        doing,
        first=(ddl.RenameDatabase(aside, name),),
        name=name,
        check=lambda found: expect(found, name, oid=former.oid, mark=former.mark, token=token),
        then=lambda found: (
            ddl.AllowConnections(name, allowed),
            ddl.CommentOnDatabase(name, mark.under(found.comment) if mark else found.comment),
        ),
        planned=former,
    )
    away = () if present is None else (move(name, present, by, spare=spare, doing=doing),)
    return Transaction(doing, (*away, back))


def kept(name: str, by: Signature, database: Found, *, allowed: bool | None = None) -> Mark:
    """Return the mark of a database that is kept for ``undo``.

    :param name: the name that it had.
    :param allowed: whether it accepted connections; None where the mark that it has says so.
    """
    if allowed is None:
        allowed = database.mark is None or database.mark.allowed
    return Mark(State.KEPT, name, by.token, allowed, oid=database.oid or None, server=by.server, at=by.at)


def _unfinished(name: str, database: Found, by: Signature) -> Mark:
    token = database.mark.token if database.mark is not None and database.mark.token else by.token
    return Mark(
        State.UNFINISHED, of=name, token=token, allowed=False, oid=database.oid or None, server=by.server
    )
