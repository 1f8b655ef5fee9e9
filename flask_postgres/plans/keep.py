"""Plans that keep databases: ``protect``, ``unprotect`` and ``recover``."""

from __future__ import annotations

import dataclasses
import typing as t

from sqlalchemy.schema import ExecutableDDLElement

from ..errors import DatabaseMissing, FlaskPostgresError, PermissionDenied, Refused
from ..postgres import ddl, dropping, marks
from ..postgres.facts import Database, Facts
from ..postgres.marks import State
from . import checks
from .build import Plan, Request, refuse_at_work
from .run import Run
from .steps import SWAP, CloseToOthers, DropDatabase, Protect, RemoveLeftover, Step, look_up, put_back
from .steps.base import expect, lost_race
from .steps.moving import close_unfinished


def protect(request: Request, facts: Facts, _token: str) -> Plan:
    """Plan to mark the target as protected."""
    target = _present(facts, request.dbname)
    if target.state is State.PROTECTED:
        return Plan(request=request, outcome=f'database "{request.dbname}" is already protected')
    if target.state is not None:
        message = f'database "{request.dbname}" is not complete: a command was interrupted, or is at work.'
        raise Refused(message, hint="Look at it: flask psql status")
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
    refuse_at_work(facts, request.dbname)
    target, clean = facts.target, _clean(facts)
    if target is not None and target.state in (State.BLOCKED, State.ASIDE):
        return Plan(request=request, steps=(Reopen(database=target), *clean))
    if not facts.asides:
        outcome = None if clean else f'nothing to recover for database "{request.dbname}"'
        return Plan(request=request, steps=clean, outcome=outcome)
    aside = _chosen(request, facts)
    if aside.invalid:
        raise Refused(
            f'"{aside.name}" cannot be put back: a DROP of it was interrupted.',
            hint="Remove what is left of it: flask psql recover --discard",
        )
    step = PutBack(name=request.dbname, aside=aside, present=target, token=token)
    others = tuple(item for item in clean if item.database.name != request.dbname)
    if target is None or target.abandoned:
        return Plan(request=request, steps=(step, *others))
    if target.invalid:
        raise Refused(
            f'database "{request.dbname}" cannot be used: a DROP of it was interrupted.',
            hint="Remove what is left of it: flask psql drop, then flask psql recover",
        )
    close = CloseToOthers(database=target, token=token)
    return Plan(request=request, steps=(close, step, *others), destroys=target)


def discard(request: Request, facts: Facts, token: str) -> Plan:
    """Plan to drop what an interrupted command had set aside."""
    refuse_at_work(facts, request.dbname)
    if not facts.asides:
        return recover(request, facts, token)
    dropped: tuple[Step, ...] = tuple(DropDatabase(database=item) for item in facts.asides)
    first, *others = facts.asides
    notes = [f'so will "{item.name}"' for item in others]
    if facts.target is None or facts.target.abandoned:
        notes.insert(0, f'it is the only complete one: there will be no database "{request.dbname}" at all')
    return Plan(request=request, steps=(*dropped, *_clean(facts)), destroys=first, notes=tuple(notes))


def _clean(facts: Facts) -> tuple[RemoveLeftover, ...]:
    """Return the steps that remove what interrupted commands had begun to make."""
    items = [item for item in facts.unmade if item.owned]
    if facts.target is not None and facts.target.abandoned:
        items.insert(0, facts.target)
    return tuple(RemoveLeftover(database=item) for item in items)


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
        hint=f'Rename the one to keep to "{request.dbname}" by hand, then run: flask psql recover. '
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
            expect(run.admin, self.database.name, self.database.oid, token=token or "")
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
    phase: t.ClassVar[int] = SWAP
    held: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'put "{self.aside.name}" back as "{self.name}"'

    @property
    def _spare(self) -> str:
        return marks.name_for_new(self.name, self.token)

    def statements(self) -> tuple[ExecutableDDLElement, ...]:
        allowed = self.aside.mark.allowed if self.aside.mark else True
        out = (ddl.RenameDatabase(self.name, self._spare),) if self.present else ()
        drop = (ddl.DropDatabase(self._spare, force=True),) if self.present else ()
        return (
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
                hint=f"As a superuser, run: ALTER ROLE {checks.quoted(facts.role.name)} CREATEDB",
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
        if present is not None and self.present is not None and self.present.abandoned:
            if present.mark != self.present.mark:
                raise lost_race(self.name)  # whoever made it has come to the end after all
            close_unfinished(run.admin, self.name, present, token=self.token)
        put_back(run.admin, self.name, aside=self.aside.name, found=found, spare=self._spare, present=present)
        run.reporter.outcome(f'database "{self.name}" was recovered')
        if present is not None:
            self._drop_spare(run)

    def _drop_spare(self, run: Run) -> None:
        try:
            dropping.drop(run.admin, self._spare, force=True, doing=f'drop "{self._spare}"')
        except FlaskPostgresError as error:
            run.reporter.note(f"{error.message} It is left; remove it with: flask psql recover")


def _present(facts: Facts, name: str) -> Database:
    if facts.target is None:
        raise DatabaseMissing(f'database "{name}" does not exist.', hint="Create it: flask psql create")
    return facts.target
