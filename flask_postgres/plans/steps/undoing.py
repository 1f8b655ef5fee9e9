"""The step that swaps a database with the former one that was kept."""

from __future__ import annotations

import dataclasses

from ...postgres import ddl
from ...postgres.facts import Database, Facts
from ...postgres.marks import Mark, Signature
from ...remedies import Command
from .. import preflight
from ..changes import Action, Change, Transaction, kept
from ..context import StepContext
from ..identity import Found, expect, look_up
from .base import SWAP, Faults, Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exchange(Step):
    """Give the former database its name again, in one transaction, and keep the one that has it now.

    :param present: the database that has the name now; None when there is none.
    :param aside: the name of ours that it gets.
    :param outcomes: what is reported once every database of the command has got so far.
    """

    name: str
    former: Database
    present: Database | None
    aside: str
    by: Signature
    outcomes: tuple[str | Command, ...] = ()
    phase: int = SWAP

    def describe(self) -> str:
        back = f'put "{self.former.name}" back as "{self.name}"'
        return back if self.present is None else f'in one transaction, keep "{self.name}" and {back}'

    def actions(self) -> tuple[Action, ...]:
        back = self._move(self.former, self.former.name, self.name, mark=None)
        if self.present is None:
            return (Transaction(self.describe(), (back,)),)
        mark = kept(self.name, self.by, Found(self.present.oid), allowed=self.present.allowed_before)
        return (
            Transaction(self.describe(), (self._move(self.present, self.name, self.aside, mark=mark), back)),
        )

    def _move(self, database: Database, name: str, to: str, *, mark: Mark | None) -> Change:
        """Rename a database: one that is marked as kept is closed, and the other is as it was before that."""
        allowed = False if mark is not None else database.allowed_before

        def check(found: Found | None) -> None:
            expect(found, self.name, oid=database.oid, mark=database.found_mark, token=self.by.token)

        return Change(
            self.describe(),
            first=(ddl.RenameDatabase(name, to),),
            name=to,
            check=check,
            then=lambda found: (
                ddl.AllowConnections(to, allowed),
                ddl.CommentOnDatabase(to, mark.under(found.comment) if mark else found.comment),
            ),
            planned=Found(database.oid, database.comment, database.mark),
        )

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.owning(self.former, facts)
        yield from preflight.renaming(facts)
        if self.present is not None:
            yield from preflight.taking_away(self.present, facts)

    def run(self, context: StepContext) -> None:
        context.release()
        context.send(*self.actions())
        context.outcomes.extend(self.outcomes)

    def undo(self, context: StepContext) -> None:
        """Exchange them again: with several databases, one that cannot be put back takes all of them back."""
        context.outcomes.clear()
        found = look_up(context.admin, self.name)
        if found is None or found.oid != self.former.oid:
            return
        again = [self._move(self.former, self.name, self.former.name, mark=self.former.mark)]
        if self.present is not None:
            again.append(self._move(self.present, self.aside, self.name, mark=None))
        context.send(Transaction(f'exchange "{self.name}" and "{self.former.name}" again', tuple(again)))
