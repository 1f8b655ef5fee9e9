"""Steps that drop databases for good."""

from __future__ import annotations

import dataclasses
import typing as t

from ...postgres import contents, ddl, sessions
from ...postgres.facts import Database, Facts
from ...postgres.marks import Signature
from .. import preflight
from ..changes import Action, Change, Drop, Transaction, close_unfinished, move
from ..context import StepContext
from ..identity import Found, look_up, lost_race, refuse_protected
from .base import Faults, Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoveLeftover(Step):
    """Drop what an interrupted command had begun to make.

    A database that has the real name is closed first, and then looked into: it is dropped only if no table
    in it holds a row, unless the user has agreed. Then it is renamed, because a DROP that waits for a lock
    drops whatever has the name when it gets the lock.

    :param by: the command that removes it.
    :param agreed: whether it may hold rows and have sessions of others: the user has been asked.
    :param spare: the other name; None when the database cannot be renamed, or has such a name.
    """

    database: Database
    by: Signature
    agreed: bool = False
    spare: str | None = None
    held: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'drop "{self.database.name}", which an interrupted command has left unfinished'

    def actions(self) -> tuple[Action, ...]:
        database, name = self.database, self.database.name
        found = Found(database.oid, database.comment, database.mark)
        close = close_unfinished(name, found, self.by)
        if self.spare is None:
            return (close, Drop(self.describe(), name, force=True))
        doing = f'take "{name}" away'
        away = move(name, found, self.by, spare=self.spare, doing=doing)
        return (close, Transaction(doing, (away,)), Drop(self.describe(), self.spare, force=True))

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.owning(self.database, facts)
        if not self.agreed:
            yield from preflight.used_unfinished(self.database)

    def run(self, context: StepContext) -> None:
        name = self.database.name
        found = look_up(context.admin, name)
        if found is None:
            return
        if (found.oid, found.mark) != (self.database.oid, self.database.mark):
            raise lost_race(name)
        close, *away, drop = self.actions()
        close_and_look(context, self.database, close, agreed=self.agreed)
        context.send(*away)
        with context.hold():
            context.send(drop)
        context.reporter.note(f'removed "{name}", which an interrupted command had left unfinished')


@dataclasses.dataclass(frozen=True, kw_only=True)
class DropDatabase(Step):
    """Drop a database for good.

    It is not interrupted: half a DROP leaves a database that nobody can open again.

    :param aside: the name of ours under which it was set aside; None where it is dropped under its own.
    :param force: end other sessions first.
    """

    database: Database
    aside: str | None = None
    force: bool = False
    held: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'drop database "{self.aside}"' if self.aside else f"drop {self.database.described}"

    def actions(self) -> tuple[Action, ...]:
        name = self.aside or self.database.name
        return (Drop(self.describe(), name, force=self.force),)

    def faults(self, facts: Facts) -> Faults:
        if self.aside is None:
            yield from preflight.taking_away(self.database, facts)
        if self.force:
            yield from preflight.ending_sessions(self.database, facts)

    def run(self, context: StepContext) -> None:
        context.release()
        if self.aside is None:  # a name of ours needs no second look
            found = look_up(context.admin, self.database.name)
            if found is None or found.oid != self.database.oid:
                raise lost_race(self.database.name)
            refuse_protected(found, self.database.name)
        with context.reporter.progress(f"dropping {self.database.described}"), context.hold():
            context.send(*self.actions())
        context.reporter.outcome(f"{self.database.described} was deleted")

    def remains(self, *, done: bool) -> str | None:
        return f'Database "{self.database.name}" had been dropped before.' if done else None


def close_and_look(context: StepContext, database: Database, close: Action, *, agreed: bool) -> None:
    """Close an unfinished database, end its sessions, and make sure that no table in it holds a row.

    The session that looks is opened first, because nobody can open one afterwards, and looks last.

    :param close: what closes it.
    :param agreed: whether it may hold rows, because the user has agreed.
    :raises DatabaseInUse: if it holds rows; it is as it was then.
    """
    name = database.name
    if agreed or not database.allow_connections:
        context.send(close)
        sessions.end_all(context.admin, name)
        return
    with context.connector.open(name) as inside:
        context.send(close)
        sessions.end_all(context.admin, name, but=inside.pid)
        rows = contents.holds_rows(inside)
    if rows:
        doing = f'open "{name}" again'
        statements = (ddl.CommentOnDatabase(name, database.raw_comment), ddl.AllowConnections(name, True))
        change = Change(doing, first=statements, name=name, check=lambda _: None)
        context.send(Transaction(doing, (change,)))
        raise preflight.in_use(database)
