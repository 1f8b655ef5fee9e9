"""The step that makes a copy of a database a snapshot."""

from __future__ import annotations

import dataclasses

from ...postgres import ddl
from ...postgres.facts import Database
from ...postgres.marks import Mark, Signature, State
from ..changes import Action, Change, Drop, Statements, Transaction
from ..context import StepContext
from ..identity import Found, expect, look_up
from .base import FINISH, Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shelve(Step):
    """Rename a complete copy, close it and mark it as a snapshot, in one transaction.

    :param name: the name of ours that it has.
    :param to: the name of ours that it gets.
    :param of: the database that it is a copy of.
    :param label: what the user calls it.
    :param like: that database, whose comment and connection limit the copy has too.
    :param revision: at which revision of Alembic it is.
    """

    name: str
    to: str
    of: str
    by: Signature
    label: str
    like: Database
    revision: str | None = None
    phase: int = FINISH

    def describe(self) -> str:
        return f'close the copy, and mark it as snapshot "{self.label}"'

    def actions(self) -> tuple[Action, ...]:
        return (self._transaction(made=None),)

    def _transaction(self, *, made: int | None) -> Transaction:
        change = Change(
            self.describe(),
            first=(ddl.RenameDatabase(self.name, self.to),),
            name=self.to,
            check=lambda found: expect(found, self.name, oid=made, token=self.by.token),
            then=self._marked,
            planned=Found(comment=self.like.comment),
        )
        return Transaction(self.describe(), (change,))

    def _marked(self, found: Found) -> Statements:
        by = self.by
        mark = Mark(
            State.SNAPSHOT,
            self.of,
            by.token,
            oid=found.oid or None,
            server=by.server,
            at=by.at,
            label=self.label,
            revision=self.revision,
        )
        limit = self.like.connection_limit
        return (
            *((ddl.ConnectionLimit(self.to, limit),) if limit != -1 else ()),
            ddl.AllowConnections(self.to, False),
            ddl.CommentOnDatabase(self.to, mark.under(found.comment)),
        )

    def run(self, context: StepContext) -> None:
        context.send(self._transaction(made=context.made.get(self.of)))
        context.outcomes.append(f'snapshot "{self.label}" was saved')

    def undo(self, context: StepContext) -> None:
        context.outcomes.clear()
        # The name has this command's token: nobody else has made it.
        if look_up(context.admin, self.to) is not None:
            context.send(Drop(f'drop "{self.to}"', self.to, force=True))
