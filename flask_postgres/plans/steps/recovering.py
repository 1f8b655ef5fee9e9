"""Steps that put right what an interrupted command has left."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import (
    AuthenticationFailed,
    CannotConnect,
    DatabaseMissing,
    FlaskPostgresError,
    ServerError,
)
from ...postgres import ddl, marks
from ...postgres.facts import Database, Facts
from ...postgres.marks import Signature
from ...remedies import Command
from .. import preflight
from ..changes import Action, Change, Drop, Plain, Transaction, close_unfinished, put_back
from ..context import StepContext
from ..identity import Found, expect, look_up, lost_race
from .base import SWAP, Faults, Step
from .dropping import close_and_look


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reopen(Step):
    """Make a database usable again that an interrupted command has closed, or left marked as unfinished.

    :param said: whether that is an outcome.
    """

    database: Database
    by: Signature
    said: bool = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        kept = "keep" if self.database.abandoned else "open"
        return f'{kept} "{self.database.name}": accept connections, and remove its mark'

    def actions(self) -> tuple[Action, ...]:
        database, name = self.database, self.database.name
        allow = True if database.abandoned else database.allowed_before
        change = Change(
            self.describe(),
            first=(ddl.AllowConnections(name, allow),),
            name=name,
            check=lambda found: expect(
                found, name, oid=database.oid, mark=database.found_mark, token=self.by.token
            ),
            then=lambda found: (ddl.CommentOnDatabase(name, found.comment),),
            planned=Found(database.oid, database.comment, database.mark),
        )
        return (Transaction(self.describe(), (change,)),)

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.owning(self.database, facts)

    def run(self, context: StepContext) -> None:
        context.send(*self.actions())
        kept = f'database "{self.database.name}" is kept as it is'
        opened = f'database "{self.database.name}" was opened again'
        if self.said:
            context.outcomes.append(kept if self.database.abandoned else opened)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PutBack(Step):
    """Give the database that was set aside its name again, and drop the one that has the name now.

    :param present: the database that has the name now; None when there is none.
    :param agreed: whether that one may hold rows, because the user has agreed.
    """

    name: str
    aside: Database
    present: Database | None
    by: Signature
    agreed: bool = False
    phase: int = SWAP
    held: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'put "{self.aside.name}" back as "{self.name}"'

    @property
    def _spare(self) -> str:
        return marks.name_for_new(self.name, self.by.token)

    def actions(self) -> tuple[Action, ...]:
        present = _found(self.present)
        return (
            *self._opening(),
            *self._closing(),
            put_back(self.name, self.aside.name, self._former(), self.by, spare=self._spare, present=present),
            *self._dropping(),
        )

    def _former(self) -> Found:
        return Found(self.aside.oid, self.aside.comment, self.aside.mark)

    def _opening(self) -> tuple[Action, ...]:
        """Return what opens the former database for a try, where our role may connect to it."""
        if not self.aside.may_connect or self.aside.connection_limit == 0:
            return ()
        name = self.aside.name
        return (Plain(f'open "{name}"', (ddl.AllowConnections(name, True),)),)

    def _closing(self) -> tuple[Action, ...]:
        """Return what closes the unfinished database; a complete one was closed by a step of its own."""
        if self.present is None or not self.present.abandoned:
            return ()
        return (close_unfinished(self.name, t.cast("Found", _found(self.present)), self.by),)

    def _dropping(self) -> tuple[Action, ...]:
        return (Drop(f'drop "{self._spare}"', self._spare, force=True),) if self.present else ()

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.owning(self.aside, facts)
        yield from preflight.renaming(facts)
        if self.present is not None:
            yield from preflight.taking_away(self.present, facts)
            if self.present.abandoned and not self.agreed:
                yield from preflight.used_unfinished(self.present)
            yield from preflight.ending_sessions(self.present, facts)

    def run(self, context: StepContext) -> None:
        context.release()
        found, present = look_up(context.admin, self.aside.name), look_up(context.admin, self.name)
        planned = self.present.oid if self.present is not None else None
        if found is None or found.oid != self.aside.oid or (present.oid if present else None) != planned:
            raise lost_race(self.name)
        if not context.admin.pooled:
            self._try(context)
        for close in self._closing():
            close_and_look(context, t.cast("Database", self.present), close, agreed=self.agreed)
        *_, back = (action for action in self.actions() if isinstance(action, Transaction))
        context.send(back)
        context.reporter.outcome(f'database "{self.name}" was recovered')
        self._drop(context)

    def _try(self, context: StepContext) -> None:
        """Make sure that the former database accepts connections, before another is dropped for it.

        Versions before 13.12, 14.9 and 15.4 mark no database whose DROP was interrupted.

        :raises ServerError: if it does not.
        """
        name, opening = self.aside.name, self._opening()
        if not opening:
            return
        try:
            context.send(*opening)
        except DatabaseMissing as error:
            raise lost_race(self.name) from error
        try:
            with context.connector.open(name):
                pass
        except AuthenticationFailed:
            pass  # a pg_hba.conf that lists databases does not list this one
        except CannotConnect as error:
            context.send(Plain(f'close "{name}"', (ddl.AllowConnections(name, False),)))
            raise ServerError(
                f'"{name}" cannot be restored: it does not accept connections: {error.message}',
                remedy=("Look at the server's log", Command("To drop it", "recover --discard")),
            ) from error

    def _drop(self, context: StepContext) -> None:
        try:
            with context.hold():
                context.send(*self._dropping())
        except FlaskPostgresError as error:
            context.reporter.note(f"{error.message} It is left as it is.", Command("Remove it", "recover"))


def _found(database: Database | None) -> Found | None:
    return None if database is None else Found(database.oid, database.comment, database.mark)
