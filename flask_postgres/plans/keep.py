"""Plans that keep databases: ``protect``, ``unprotect`` and ``recover``."""

from __future__ import annotations

import dataclasses
import typing as t

from sqlalchemy.schema import ExecutableDDLElement

from ..errors import DatabaseMissing, FlaskPostgresError, PermissionDenied, Refused
from ..postgres import ddl, marks, sessions
from ..postgres.facts import Database, Facts
from ..postgres.marks import State
from . import checks, steps
from .build import Plan, Request, refuse_at_work
from .run import Run
from .steps import DropDatabase, Protect, RemoveLeftover, Step


def protect(request: Request, facts: Facts, _token: str) -> Plan:
    """Plan to mark the target as protected."""
    target = _present(facts, request.dbname)
    if target.state is State.PROTECTED:
        return Plan(request=request, outcome=f'database "{request.dbname}" is already protected')
    if target.state is not None:
        message = f'database "{request.dbname}" is not complete: a command was interrupted, or is at work.'
        raise Refused(message, hint="Look at it: flask psql status")
    return Plan(request=request, steps=(Protect(name=request.dbname, comment=target.comment, said=True),))


def unprotect(request: Request, facts: Facts, _token: str) -> Plan:
    """Plan to take the mark away again."""
    target = _present(facts, request.dbname)
    if target.state is not State.PROTECTED:
        return Plan(request=request, outcome=f'database "{request.dbname}" is not protected')
    return Plan(request=request, steps=(Unprotect(database=target),), unprotects=target)


def recover(request: Request, facts: Facts, _token: str) -> Plan:
    """Plan to put back what an interrupted command had set aside."""
    refuse_at_work(facts, request.dbname)
    target, aside = facts.target, facts.aside
    clean: tuple[Step, ...] = tuple(
        RemoveLeftover(name=item.name, of=request.dbname) for item in facts.unmade if item.owned
    )
    if target is not None and target.state is State.BLOCKED:
        return Plan(request=request, steps=(Reopen(database=target), *clean))
    if aside is None:
        if target is not None and target.abandoned:
            clean = (RemoveLeftover(name=target.name, of=target.name), *clean)
        outcome = None if clean else f'nothing to recover for database "{request.dbname}"'
        return Plan(request=request, steps=clean, outcome=outcome)
    if len(facts.asides) > 1:
        names = ", ".join(f'"{item.name}"' for item in facts.asides)
        raise Refused(
            f"several former databases are set aside: {names}.",
            hint="Drop them with flask psql recover --discard, or rename the one to keep by hand.",
        )
    if aside.invalid:
        raise Refused(
            f'"{aside.name}" cannot be put back: a DROP of it was interrupted.',
            hint="Remove what is left of it: flask psql recover --discard",
        )
    complete = target is not None and not target.abandoned
    step = PutBack(name=request.dbname, aside=aside, present=target)
    return Plan(request=request, steps=(step, *clean), destroys=target if complete else None)


def discard(request: Request, facts: Facts, _token: str) -> Plan:
    """Plan to drop what an interrupted command had set aside."""
    refuse_at_work(facts, request.dbname)
    if not facts.asides:
        return recover(request, facts, _token)
    dropped: tuple[Step, ...] = tuple(DropDatabase(database=item, discards=True) for item in facts.asides)
    clean = tuple(RemoveLeftover(name=item.name, of=request.dbname) for item in facts.unmade if item.owned)
    return Plan(request=request, steps=(*dropped, *clean), destroys=facts.asides[0])


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
        run.admin.run(*self.statements(), doing=self.describe())
        run.reporter.outcome(f'database "{self.database.name}" is no longer protected')


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
        with run.admin.transaction(doing=self.describe()):
            run.admin.run(*self.statements(), doing=self.describe())
        run.reporter.outcome(f'database "{self.database.name}" was opened again')


@dataclasses.dataclass(frozen=True, kw_only=True)
class PutBack(Step):
    """Give the database that was set aside its name again, and drop what stands there now.

    :param present: what stands there now; None when nothing does.
    """

    name: str
    aside: Database
    present: Database | None
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'put "{self.aside.name}" back as "{self.name}"'

    @property
    def _spare(self) -> str:
        token = self.aside.mark.token if self.aside.mark and self.aside.mark.token else marks.new_token()
        return marks.name_for_new(self.name, token)

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
            yield from checks.ending_sessions(self.present, facts)

    def run(self, run: Run) -> None:
        run.release()
        steps.put_back(run.admin, self.name, aside=self.aside.name, new=self._spare, token=None)
        if self.present is not None:
            sessions.end_all(run.admin, self._spare)
            run.admin.run(ddl.DropDatabase(self._spare, force=True), doing=f'drop "{self._spare}"')
        run.reporter.outcome(f'database "{self.name}" was recovered')


def _present(facts: Facts, name: str) -> Database:
    if facts.target is None:
        raise DatabaseMissing(f'database "{name}" does not exist.', hint="Create it: flask psql create")
    return facts.target
