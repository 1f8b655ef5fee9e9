"""Steps that set a database aside, perhaps put a new one in its place, and undo that."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import DatabaseMissing, FlaskPostgresError
from ...postgres import ddl, sessions
from ...postgres.facts import Database, Facts
from ...postgres.marks import Mark, Signature, State
from ...remedies import Command
from .. import preflight
from ..changes import Action, Change, Plain, Statements, Transaction, kept, put_back
from ..context import StepContext
from ..identity import Found, expect, look_up, lost_race
from .base import DISCARD, SWAP, Faults, Step, vacate


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloseToOthers(Step):
    """Close a database to new connections, with a mark that says so, and end its sessions."""

    database: Database
    by: Signature
    phase: int = SWAP

    def describe(self) -> str:
        return f'close "{self.database.name}" to new connections and end its sessions'

    def actions(self) -> tuple[Action, ...]:
        database, name = self.database, self.database.name
        change = Change(
            self.describe(),
            first=(ddl.AllowConnections(name, False),),
            name=name,
            check=lambda found: expect(
                found, name, oid=database.oid, mark=database.found_mark, token=self.by.token
            ),
            then=self._marked,
            planned=Found(database.oid, database.comment, database.mark),
        )
        return (Transaction(self.describe(), (change,)),)

    def _marked(self, found: Found) -> Statements:
        allowed, by, name = self.database.allowed_before, self.by, self.database.name
        mark = Mark(State.BLOCKED, name, by.token, allowed, oid=found.oid, server=by.server)
        return (ddl.CommentOnDatabase(name, mark.under(found.comment)),)

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.ending_sessions(self.database, facts)

    def run(self, context: StepContext) -> None:
        context.send(*self.actions())
        sessions.end_all(context.admin, self.database.name)

    def undo(self, context: StepContext) -> None:
        name = self.database.name
        found = look_up(context.admin, name)
        if found is None or found.oid != self.database.oid or not found.bears(State.BLOCKED, self.by.token):
            return
        doing = f'open "{name}" again'
        statements = (
            ddl.CommentOnDatabase(name, self.database.raw_comment),
            ddl.AllowConnections(name, self.database.allow_connections),
        )
        change = Change(doing, first=statements, name=name, check=lambda _: None)
        context.send(Transaction(doing, (change,)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swap(Step):
    """Set a database aside and put the new one in its place, in one transaction.

    :param new: the name of the new one; None where the database is only set aside, to be kept or dropped.
    :param keep: whether it is kept, for ``undo``; with a new one, the step that finishes that says so.
    :param outcomes: what is reported once every database of the command has got so far.
    """

    old: Database
    new: str | None
    aside: str
    by: Signature
    keep: bool = False
    outcomes: tuple[str | Command, ...] = ()
    phase: int = SWAP

    def describe(self) -> str:
        aside = f'set "{self.old.name}" aside as "{self.aside}"'
        return aside if self.new is None else f"in one transaction, {aside} and put the new one there"

    def actions(self) -> tuple[Action, ...]:
        old = self.old
        doing = f'set database "{old.name}" aside'
        change = Change(
            doing,
            first=(ddl.RenameDatabase(old.name, self.aside),),
            name=self.aside,
            # Only now is the database locked; what another command did before shows here.
            check=lambda found: expect(
                found, old.name, oid=old.oid, mark=old.found_mark, token=self.by.token
            ),
            then=self._set_aside,
            planned=Found(old.oid, old.comment, old.mark),
        )
        return (Transaction(doing, (change,)),)

    def _check(self, found: Found | None) -> None:
        old = self.old
        expect(found, old.name, oid=old.oid, mark=old.found_mark, token=self.by.token)

    def _set_aside(self, found: Found) -> Statements:
        old, by = self.old, self.by
        if self.keep:
            mark = kept(old.name, by, found, allowed=old.allowed_before)
        else:
            # What was never complete is not put back: its mark goes on saying so.
            state = State.UNFINISHED if old.state is State.UNFINISHED else State.ASIDE
            mark = Mark(state, old.name, by.token, old.allowed_before, oid=found.oid, server=by.server)
        return (
            ddl.AllowConnections(self.aside, False),
            ddl.CommentOnDatabase(self.aside, mark.under(found.comment)),
            *(() if self.new is None else (ddl.RenameDatabase(self.new, old.name),)),
        )

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.taking_away(self.old, facts)

    def run(self, context: StepContext) -> None:
        context.release()
        context.send(*self.actions())
        context.outcomes.extend(self.outcomes)

    def undo(self, context: StepContext) -> None:
        context.outcomes.clear()
        aside, present = look_up(context.admin, self.aside), look_up(context.admin, self.old.name)
        swapped = context.made_here(self.old.name, present)
        if aside is None or aside.oid != self.old.oid:
            if swapped:  # somebody has taken the old one away
                raise lost_race(self.aside)
            return
        if aside.invalid:
            context.remarks.append(
                f'A DROP of database "{self.old.name}" was interrupted: it can only be dropped '
                f'and is named "{self.aside}" now.'
            )
            return
        if present is not None and not swapped:
            raise lost_race(self.old.name)
        if present is not None:
            vacate(context, self.old.name, present, self.by)
        context.send(
            put_back(
                self.old.name,
                self.aside,
                aside,
                self.by,
                spare=self.new or self.aside,
                present=present and look_up(context.admin, self.old.name),
                mark=self.old.mark,
            )
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Discard(Step):
    """Drop a database that was set aside or kept. The command has succeeded, whatever happens here.

    :param of: the name that it had.
    :param outcome: what is reported, if anything.
    """

    name: str
    of: str
    outcome: str | None = "the old database was deleted"
    phase: int = DISCARD
    final: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'drop the old database "{self.name}"'

    def actions(self) -> tuple[Action, ...]:
        return (Plain(self.describe(), (ddl.DropDatabase(self.name),)),)

    def run(self, context: StepContext) -> None:
        try:
            with context.reporter.progress(f'dropping the old database "{self.of}"'):
                context.send(*self.actions())
        except DatabaseMissing:
            context.reporter.note(f'the old database "{self.name}" was gone already')
            return
        except FlaskPostgresError as error:
            context.reporter.note(
                f'The old database "{self.name}" is left: {error.message.rstrip(".")}. '
                f'What was asked of "{self.of}" is done.',
                Command("Remove it", "recover --discard"),
            )
            return
        if self.outcome is not None:
            context.reporter.outcome(self.outcome)
