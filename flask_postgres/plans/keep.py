"""Plans that keep databases: ``protect``, ``unprotect`` and ``recover``."""

from __future__ import annotations

import dataclasses
import typing as t

from sqlalchemy.schema import ExecutableDDLElement

from ..errors import (
    AuthenticationFailed,
    CannotConnect,
    DatabaseMissing,
    FlaskPostgresError,
    PermissionDenied,
    Refused,
    ServerError,
)
from ..postgres import ddl, dropping, marks
from ..postgres.facts import Database, Facts
from ..postgres.marks import State
from ..remedies import Command, Sql
from . import checks
from .build import Plan, Request, at_work, refuse_at_work, removing_leftovers
from .run import Run
from .steps import SWAP, CloseToOthers, DropDatabase, Protect, Step, look_up, put_back
from .steps.base import expect, lost_race
from .steps.moving import close_unfinished


def protect(request: Request, facts: Facts, _token: str) -> Plan:
    """Plan to mark the target as protected."""
    target = _present(facts, request.dbname)
    if target.state is State.PROTECTED:
        return Plan(request=request, outcome=f'database "{request.dbname}" is already protected')
    if target.state is not None:
        message = f'database "{request.dbname}" is not complete: a command was interrupted, or is at work.'
        raise Refused(message, remedy=Command("Look at it", "status"))
    protection = Protect(name=request.dbname, oid=target.oid, comment=target.comment, said=True)
    return Plan(request=request, steps=(protection,))


def unprotect(request: Request, facts: Facts, _token: str) -> Plan:
    """Plan to take the mark away again."""
    target = _present(facts, request.dbname)
    if target.state is not State.PROTECTED:
        return Plan(request=request, outcome=f'database "{request.dbname}" is not protected')
    return Plan(request=request, steps=(Unprotect(database=target),), unprotects=target)


def recover(request: Request, facts: Facts, token: str) -> Plan:
    """Plan to put back what an interrupted command had set aside."""
    _refuse_at_work(facts, request.dbname)
    target, clean, notes = facts.target, tuple(removing_leftovers(facts)), _out_of_reach(facts)
    if target is not None and target.state in (State.BLOCKED, State.ASIDE):
        return Plan(request=request, steps=(Reopen(database=target), *clean), notes=notes)
    if not facts.asides:
        abandoned = target if target is not None and target.abandoned else None
        outcome = None if clean or notes else f'nothing to recover for database "{request.dbname}"'
        return Plan(request=request, steps=clean, outcome=outcome, unfinished=abandoned, notes=notes)
    aside = _chosen(request, facts)
    if aside.invalid:
        raise Refused(
            f'"{aside.name}" cannot be put back: a DROP of it was interrupted.',
            remedy=Command("Remove what is left of it", "recover --discard"),
        )
    step = PutBack(name=request.dbname, aside=aside, present=target, token=token)
    others = tuple(item for item in clean if item.database.name != request.dbname)
    if target is None or target.abandoned:
        return Plan(request=request, steps=(step, *others), notes=notes)
    if target.invalid:
        raise Refused(
            f'database "{request.dbname}" cannot be used: a DROP of it was interrupted.',
            remedy="Remove what is left of it: flask psql drop, then flask psql recover",
        )
    close = CloseToOthers(database=target, token=token)
    return Plan(request=request, steps=(close, step, *others), destroys=target, notes=notes)


def discard(request: Request, facts: Facts, token: str) -> Plan:
    """Plan to drop what an interrupted command had set aside."""
    _refuse_at_work(facts, request.dbname)
    if not facts.asides:
        return recover(request, facts, token)
    dropped: tuple[Step, ...] = tuple(DropDatabase(database=item) for item in facts.asides)
    first, *others = facts.asides
    notes = [f'so will "{item.name}"' for item in others]
    if facts.target is None or facts.target.abandoned:
        notes.insert(0, f'it is the only complete one: there will be no database "{request.dbname}" at all')
    steps = (*dropped, *removing_leftovers(facts))
    return Plan(request=request, steps=steps, destroys=first, notes=(*notes, *_out_of_reach(facts)))


def _refuse_at_work(facts: Facts, dbname: str) -> None:
    refuse_at_work(facts, dbname)
    if any(item.maker_alive for item in facts.asides):
        raise at_work(dbname)


def _out_of_reach(facts: Facts) -> tuple[str, ...]:
    """Name the leftovers that our role may not remove."""
    return tuple(
        f'an interrupted command has left "{item.name}", which only the role "{item.owner}" may remove'
        for item in facts.unmade
        if not item.owned
    )


def _chosen(request: Request, facts: Facts) -> Database:
    """Return the former database that belongs to the unfinished one, or is the only one.

    :raises Refused: if that cannot be told.
    """
    token = facts.target.mark.token if facts.target and facts.target.mark else None
    matching = [item for item in facts.asides if item.mark and item.mark.token == token]
    candidates = matching or facts.asides
    if len(candidates) == 1:
        return candidates[0]
    names = ", ".join(f'"{item.name}"' for item in candidates)
    raise Refused(
        f"several former databases are set aside: {names}.",
        remedy=f'Rename the one to keep to "{request.dbname}" by hand, then run: flask psql recover. '
        "To drop them all: flask psql recover --discard",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unprotect(Step):
    """Take the protection away."""

    database: Database
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'take the protection of "{self.database.name}" away'

    def statements(self) -> tuple[ExecutableDDLElement, ...]:
        return (ddl.CommentOnDatabase(self.database.name, self.database.comment),)

    def faults(self, facts: Facts) -> t.Iterator[FlaskPostgresError]:
        yield from checks.owning(self.database, facts)

    def run(self, run: Run) -> None:
        found = look_up(run.admin, self.database.name)
        if found is None or found.oid != self.database.oid:
            raise lost_race(self.database.name)
        run.admin.run(*self.statements(), doing=self.describe())
        run.outcomes.append(f'database "{self.database.name}" is no longer protected')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reopen(Step):
    """Lift the block on new connections that a killed command has left."""

    database: Database
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'open "{self.database.name}" to connections again'

    def statements(self) -> tuple[ExecutableDDLElement, ...]:
        mark = self.database.mark
        allow = mark.allowed if mark is not None else True
        name = self.database.name
        return (ddl.AllowConnections(name, allow), ddl.CommentOnDatabase(name, self.database.comment))

    def faults(self, facts: Facts) -> t.Iterator[FlaskPostgresError]:
        yield from checks.owning(self.database, facts)

    def run(self, run: Run) -> None:
        mark = self.database.mark
        with run.admin.transaction(doing=self.describe()):
            run.admin.run(*self.statements()[:1], doing=self.describe())
            token = mark.token if mark is not None else None
            expect(run.admin, self.database.name, self.database.oid, token=token)
            run.admin.run(*self.statements()[1:], doing=self.describe())
        run.outcomes.append(f'database "{self.database.name}" was opened again')


@dataclasses.dataclass(frozen=True, kw_only=True)
class PutBack(Step):
    """Give the database that was set aside its name again, and drop what stands there now.

    :param present: what stands there now; None when nothing does.
    """

    name: str
    aside: Database
    present: Database | None
    token: str
    phase: int = SWAP
    held: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'put "{self.aside.name}" back as "{self.name}"'

    @property
    def _spare(self) -> str:
        return marks.name_for_new(self.name, self.token)

    def statements(self) -> tuple[ExecutableDDLElement, ...]:
        allowed = self.aside.mark.allowed if self.aside.mark else True
        tried = (ddl.AllowConnections(self.aside.name, True),) if self._to_be_tried else ()
        out = (ddl.RenameDatabase(self.name, self._spare),) if self.present else ()
        drop = (ddl.DropDatabase(self._spare, force=True),) if self.present else ()
        return (
            *tried,
            *out,
            ddl.RenameDatabase(self.aside.name, self.name),
            ddl.AllowConnections(self.name, allowed),
            ddl.CommentOnDatabase(self.name, self.aside.comment),
            *drop,
        )

    def faults(self, facts: Facts) -> t.Iterator[FlaskPostgresError]:
        yield from checks.owning(self.aside, facts)
        if not facts.role.createdb:
            yield PermissionDenied(
                f'the role "{facts.role.name}" may not rename databases: that takes CREATEDB.',
                remedy=Sql("As a superuser, run", f"ALTER ROLE {checks.quoted(facts.role.name)} CREATEDB"),
            )
        if self.present is not None:
            yield from checks.taking_away(self.present, facts)
            if self.present.abandoned:
                yield from checks.used_unfinished(self.present)
            yield from checks.ending_sessions(self.present, facts)

    def run(self, run: Run) -> None:
        run.release()
        found, present = look_up(run.admin, self.aside.name), look_up(run.admin, self.name)
        planned = self.present.oid if self.present is not None else None
        if found is None or found.oid != self.aside.oid or (present.oid if present else None) != planned:
            raise lost_race(self.name)
        if self._to_be_tried and not run.admin.pooled:
            self._try(run)
        if present is not None and self.present is not None and self.present.abandoned:
            if present.mark != self.present.mark:
                raise lost_race(self.name)  # whoever made it has come to the end after all
            close_unfinished(run.admin, self.name, present, token=self.token)
        put_back(run.admin, self.name, aside=self.aside.name, found=found, spare=self._spare, present=present)
        run.reporter.outcome(f'database "{self.name}" was recovered')
        if present is not None:
            self._drop_spare(run)

    @property
    def _to_be_tried(self) -> bool:
        """Whether our role may connect to what was set aside."""
        return self.aside.may_connect and self.aside.connection_limit != 0

    def _try(self, run: Run) -> None:
        """Make sure that the former database can be opened, before another is dropped for it.

        Versions before 13.12, 14.9 and 15.4 mark no database whose DROP was interrupted.

        :raises ServerError: if it cannot.
        """
        name = self.aside.name
        try:
            run.admin.run(ddl.AllowConnections(name, True), doing=f'open "{name}"')
        except DatabaseMissing as error:
            raise lost_race(self.name) from error
        try:
            with run.connector.open(name):
                pass
        except AuthenticationFailed:
            pass  # a pg_hba.conf that lists databases does not list this one
        except CannotConnect as error:
            run.admin.run(ddl.AllowConnections(name, False), doing=f'close "{name}"')
            raise ServerError(
                f'"{name}" is not put back, for it cannot be opened: {error.message}',
                remedy=Command("Look at the server's log. To drop it", "recover --discard"),
            ) from error

    def _drop_spare(self, run: Run) -> None:
        try:
            dropping.drop(run.admin, self._spare, force=True, doing=f'drop "{self._spare}"')
        except FlaskPostgresError as error:
            run.reporter.note(f"{error.message} It is left; remove it with: flask psql recover")


def _present(facts: Facts, name: str) -> Database:
    if facts.target is None:
        raise DatabaseMissing(f'database "{name}" does not exist.', remedy=Command("Create it", "create"))
    return facts.target
