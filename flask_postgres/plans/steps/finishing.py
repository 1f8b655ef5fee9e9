"""Steps that end a command's work on a database: it is complete, protected, or no longer protected."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import DatabaseMissing
from ...postgres import ddl
from ...postgres.facts import Database, Facts
from ...postgres.marks import Mark, Signature, State
from ...remedies import Command
from .. import preflight
from ..changes import Action, Change, Plain, Statements, Transaction, kept
from ..context import StepContext
from ..identity import Found, expect, look_up, lost_race
from .base import FINISH, Faults, Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finish(Step):
    """Remove the "unfinished" mark: once that is committed, the plan has succeeded.

    The mark of the former database then says that it is kept, or superseded; no other database is ever said
    to be one to discard, not even when the app has overwritten the mark of the new one.

    :param former: the database whose place it takes, if there is one.
    :param aside: the name under which that was set aside.
    :param keep: whether that is kept, for ``undo``.
    :param outcomes: what is reported once every database of the command has got so far.
    """

    name: str
    by: Signature
    former: Database | None = None
    aside: str | None = None
    keep: bool = False
    connection_limit: int | None = None
    protect: bool = False
    outcomes: tuple[str | Command, ...] = ()
    phase: int = FINISH

    def describe(self) -> str:
        mark = "mark it as protected" if self.protect else 'clear the mark "unfinished"'
        then = "keep the old one for undo" if self.keep else "from here on there is no way back"
        return f'finish "{self.name}": {mark}; {then}'

    def actions(self) -> tuple[Action, ...]:
        return (self._transaction(made=None),)

    def _transaction(self, *, made: int | None) -> Transaction:
        doing = f'finish database "{self.name}"'
        complete = Change(
            doing,
            first=(ddl.AllowConnections(self.name, True),),
            name=self.name,
            check=lambda found: expect(found, self.name, oid=made, token=self.by.token),
            then=self._complete,
            planned=Found(comment=self.former.comment if self.former else None),
        )
        if self.former is None or self.aside is None:
            return Transaction(doing, (complete,))
        supersede = Change(
            doing,
            first=(),
            name=self.aside,
            check=lambda _: None,
            then=self._superseded,
            planned=Found(self.former.oid, self.former.comment, self._aside(self.former.allow_connections)),
        )
        return Transaction(doing, (complete, supersede))

    def _complete(self, found: Found) -> Statements:
        # The comment may be another one by now: the app's.
        final = Mark(State.PROTECTED).under(found.comment) if self.protect else found.comment
        limit = self.connection_limit
        limits = (ddl.ConnectionLimit(self.name, limit),) if limit is not None else ()
        return (*limits, ddl.CommentOnDatabase(self.name, final))

    def _superseded(self, found: Found) -> Statements:
        if self.aside is None or found.mark is None or not found.bears(State.ASIDE, self.by.token):
            return ()
        if self.keep:
            mark = kept(self.name, self.by, found)
        else:
            mark = self._aside(found.mark.allowed, superseded=True, oid=found.oid)
        return (ddl.CommentOnDatabase(self.aside, mark.under(found.comment)),)

    def _aside(self, allowed: bool, *, superseded: bool = False, oid: int | None = None) -> Mark:
        by = self.by
        return Mark(State.ASIDE, self.name, by.token, allowed, superseded, oid=oid, server=by.server)

    def run(self, context: StepContext) -> None:
        try:
            context.send(self._transaction(made=context.made.get(self.name)))
        except DatabaseMissing as error:
            raise lost_race(self.name) from error
        context.outcomes.extend(self.outcomes)

    def undo(self, context: StepContext) -> None:
        """Mark it again: with several databases, one that cannot finish takes all of them back."""
        found = look_up(context.admin, self.name)
        if found is not None and context.made_here(self.name, found):
            mark = Mark(State.UNFINISHED, self.name, self.by.token, oid=found.oid, server=self.by.server)
            comment = ddl.CommentOnDatabase(self.name, mark.under(found.comment))
            context.send(Plain(f'mark "{self.name}" again', (comment,)))
        context.outcomes.clear()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protect(Step):
    """Mark a database as protected.

    :param target: the database that is meant; None for one that this plan creates.
    :param comment: the comment that such a one gets.
    :param said: whether that is an outcome of its own.
    """

    name: str
    by: Signature
    target: Database | None = None
    comment: str | None = None
    said: bool = False
    phase: int = FINISH

    def describe(self) -> str:
        return f'mark "{self.name}" as protected'

    def actions(self) -> tuple[Action, ...]:
        return (self._change(oid=self.target.oid if self.target else None),)

    def _change(self, *, oid: int | None) -> Change:
        mark = self.target.found_mark if self.target else None
        return Change(
            self.describe(),
            first=(),
            name=self.name,
            check=lambda found: expect(found, self.name, oid=oid, mark=mark, token=self.by.token),
            then=lambda found: (
                ddl.CommentOnDatabase(self.name, Mark(State.PROTECTED).under(found.comment)),
            ),
            planned=Found(comment=self.target.comment if self.target else self.comment),
        )

    def faults(self, facts: Facts) -> Faults:
        if facts.target is not None:
            yield from preflight.owning(facts.target, facts)

    def run(self, context: StepContext) -> None:
        context.send(self._change(oid=self._oid(context)))
        context.protected.add(self.name)
        if self.said:
            context.outcomes.append(f'database "{self.name}" is now protected')

    def undo(self, context: StepContext) -> None:
        found = look_up(context.admin, self.name) if self.name in context.protected else None
        if found is None or found.oid != self._oid(context):
            return
        comment = ddl.CommentOnDatabase(self.name, found.comment)
        context.send(Plain(f'unprotect "{self.name}" again', (comment,)))
        context.outcomes.clear()

    def _oid(self, context: StepContext) -> int | None:
        return self.target.oid if self.target else context.made.get(self.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unprotect(Step):
    """Remove the protection."""

    database: Database
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'remove the protection of "{self.database.name}"'

    def actions(self) -> tuple[Action, ...]:
        database = self.database

        def check(found: Found | None) -> None:
            if found is None or found.oid != database.oid:
                raise lost_race(database.name)

        change = Change(
            self.describe(),
            first=(),
            name=database.name,
            check=check,
            then=lambda found: (ddl.CommentOnDatabase(database.name, found.comment),),
            planned=Found(database.oid, database.comment),
        )
        return (change,)

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.owning(self.database, facts)

    def run(self, context: StepContext) -> None:
        context.send(*self.actions())
        context.outcomes.append(f'database "{self.database.name}" is no longer protected')
