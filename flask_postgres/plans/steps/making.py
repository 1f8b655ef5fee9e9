"""Steps that make a database and bring it to its end."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ...errors import CannotConnect, DatabaseExists, DatabaseMissing, ServerError, ServerUnreachable
from ...postgres import ddl
from ...postgres.admin import Session
from ...postgres.facts import Database, Facts, Grant, Parameter
from ...postgres.marks import Mark, State
from .. import checks
from .base import (
    FILL,
    SWAP,
    Faults,
    Statements,
    Step,
    drop,
    look_up,
    lost_race,
    made_here,
    refuse_protected,
)
from .moving import take_away

if t.TYPE_CHECKING:
    from ..run import Run

STANDBY_ATTEMPTS = 40
STANDBY_PAUSE = 0.25
"""Seconds between two attempts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rehearse(Step):
    """Create a database and drop it, before another one is dropped that could perhaps not be made again.

    :param like: that other one, whose privileges and settings it gets for a try.
    """

    name: str
    of: str
    clauses: ddl.Clauses
    like: Database | None = None
    parameters: tuple[Parameter, ...] = ()

    def describe(self) -> str:
        return f'make sure that "{self.of}" can be created: create "{self.name}", and drop it'

    def statements(self) -> Statements:
        carried = _carried(self.name, self.like, self.parameters)
        return (ddl.CreateDatabase(self.name, self.clauses), *carried, ddl.DropDatabase(self.name))

    def faults(self, facts: Facts) -> Faults:
        yield from checks.creating(facts, self.clauses)

    def run(self, run: Run) -> None:
        run.admin.run(*self.statements(), doing=f'create a database like "{self.of}"')

    def undo(self, run: Run) -> None:
        if look_up(run.admin, self.name) is not None:
            run.admin.run(ddl.DropDatabase(self.name), doing=f'drop "{self.name}"')


@dataclasses.dataclass(frozen=True, kw_only=True)
class CreateDatabase(Step):
    """Create an empty database under its own name: one statement, all or nothing by itself.

    :param like: a former database, gone by then, whose comment, privileges and settings the new one gets.
    """

    name: str
    clauses: ddl.Clauses
    like: Database | None = None
    parameters: tuple[Parameter, ...] = ()

    def describe(self) -> str:
        return f'create database "{self.name}"'

    def statements(self) -> Statements:
        comment = self.like.comment if self.like else None
        return (
            ddl.CreateDatabase(self.name, self.clauses),
            *((ddl.CommentOnDatabase(self.name, comment),) if comment else ()),
            *_carried(self.name, self.like, self.parameters),
        )

    def faults(self, facts: Facts) -> Faults:
        yield from checks.creating(facts, self.clauses)

    def run(self, run: Run) -> None:
        create, *rest = self.statements()
        run.made[self.name] = None
        try:
            run.admin.run(create, doing=self.describe())
        except ServerUnreachable:
            raise  # the server may have done it all the same
        except ServerError as error:
            if error.sqlstate is not None:
                del run.made[self.name]
            raise
        run.made[self.name] = _number(run.admin, self.name)
        run.admin.run(*rest, doing=self.describe())
        run.reporter.outcome(f'database "{self.name}" was created')

    def undo(self, run: Run) -> None:
        found = look_up(run.admin, self.name)
        if found is None or self.name not in run.made:
            return
        if run.made[self.name] is None:
            # Perhaps ours, perhaps another command's: it has no mark that would tell.
            run.remarks.append(f'Database "{self.name}" was created all the same, and is empty.')
        elif self.like is not None and run.filled:
            run.remarks.append(f'Database "{self.name}" is the new one, and complete.')
        elif made_here(run, self.name, found):
            refuse_protected(found, self.name)
            run.admin.run(ddl.DropDatabase(self.name, if_exists=True), doing=f'drop "{self.name}" again')
            run.reporter.outcome(f'database "{self.name}" was deleted again')


@dataclasses.dataclass(frozen=True, kw_only=True)
class MakeUnfinished(Step):
    """Create a database under a name of ours, and mark it as ours and unfinished.

    :param like: the former database, whose privileges and settings the new one gets.
    """

    name: str
    of: str
    token: str
    clauses: ddl.Clauses
    like: Database | None = None
    parameters: tuple[Parameter, ...] = ()

    def describe(self) -> str:
        return f'create database "{self.of}" under the name "{self.name}", marked as unfinished'

    def statements(self) -> Statements:
        mark = Mark(State.UNFINISHED, of=self.of, token=self.token)
        clauses = {key: value for key, value in self.clauses.items() if key != "connection_limit"}
        comment = ddl.CommentOnDatabase(self.name, mark.under(self.like.comment if self.like else None))
        create = ddl.CreateDatabase(self.name, clauses)
        return (create, comment, *_carried(self.name, self.like, self.parameters))

    def faults(self, facts: Facts) -> Faults:
        yield from checks.creating(facts, self.clauses)

    def run(self, run: Run) -> None:
        doing = f'create database "{self.of}"'
        with run.reporter.progress(f'creating database "{self.of}"'):
            create, *rest = self.statements()
            run.admin.run(create, doing=doing)
            run.made[self.of] = _number(run.admin, self.name)
            run.admin.run(*rest, doing=doing)

    def undo(self, run: Run) -> None:
        # The name holds this command's token: nobody else has made it.
        if look_up(run.admin, self.name) is not None:
            drop(run.admin, self.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstallExtensions(Step):
    """Create the extensions that settings name, before anything else is in the database."""

    name: str
    extensions: tuple[str, ...]
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'create the extensions {", ".join(self.extensions)} in "{self.name}"'

    def statements(self) -> Statements:
        return tuple(ddl.CreateExtension(name) for name in self.extensions)

    def faults(self, facts: Facts) -> Faults:
        yield from checks.extensions(facts)

    def run(self, run: Run) -> None:
        if run.make_extensions is not None:
            run.make_extensions(self.name, self.extensions)
            return
        with run.connector.open(self.name) as session:
            for statement in self.statements():
                session.run(statement, doing=f"run {ddl.sql_text(statement)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Publish(Step):
    """Give the new database its real name; it keeps its mark."""

    name: str
    to: str
    phase: int = SWAP

    def describe(self) -> str:
        return f'rename "{self.name}" to "{self.to}"'

    def statements(self) -> Statements:
        return (ddl.RenameDatabase(self.name, self.to),)

    def run(self, run: Run) -> None:
        try:
            run.admin.run(*self.statements(), doing=self.describe())
        except (DatabaseExists, DatabaseMissing) as error:
            raise lost_race(self.to) from error

    def undo(self, run: Run) -> None:
        found = look_up(run.admin, self.to)
        if found is not None and made_here(run, self.to, found):
            take_away(run.admin, self.to, found, spare=self.name, token=run.token)  # making it is undone next


@dataclasses.dataclass(frozen=True, kw_only=True)
class Initialize(Step):
    """Let the app fill the database, under its real name.

    :param how: what will run, in words.
    :param transient: whether the plan undoes everything when this fails.
    :param said: whether that it was done is an outcome of its own.
    """

    name: str
    how: str
    transient: bool = True
    said: bool = False
    phase: int = FILL
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'initialize "{self.name}": {self.how}'

    def run(self, run: Run) -> None:
        assert run.initialize is not None, "the plan was built to initialize"
        if run.admin.pooled or len(run.connector.uri.hosts) > 1:
            _reach(run)
        try:
            with run.reporter.progress(f'initializing database "{self.name}"'):
                did = run.initialize()
        finally:
            run.release()
        run.filled = True
        run.reporter.detail(did)
        if self.said:
            run.outcomes.append(f'database "{self.name}" was initialized')

    def remains(self, *, done: bool) -> str | None:  # noqa: ARG002
        return None if self.transient else f'What it had committed to "{self.name}" stays.'


def _number(admin: Session, name: str) -> int:
    """Return the number of a database that has just been created.

    :raises LostRace: if it is gone already.
    """
    found = look_up(admin, name)
    if found is None:
        raise lost_race(name)
    return found.oid


def _reach(run: Run) -> None:
    """Make sure that the URI leads to the target, before the app fills what it leads to.

    libpq asks several hosts in turn, and gives up at a standby to which the new database has not come yet.
    A pooler may give an existing database the name of the new one.

    :raises Refused: if that is so.
    """
    for _ in range(STANDBY_ATTEMPTS if len(run.connector.uri.hosts) > 1 else 1):
        with contextlib.suppress(CannotConnect), run.connector.target():
            return
        run.sleep(STANDBY_PAUSE)


def _carried(name: str, like: Database | None, parameters: t.Sequence[Parameter]) -> Statements:
    grants = _grants(name, like.owner, like.grants) if like and like.grants is not None else ()
    settings = (ddl.SetInDatabase(name, item.name, item.value, item.role) for item in parameters)
    return (*grants, *settings)


def _grants(name: str, owner: str, grants: t.Sequence[Grant]) -> Statements:
    given = [item for item in grants if item.grantee != owner]
    return (
        ddl.RevokeOnDatabase(name, None),
        *(ddl.GrantOnDatabase(name, item.privilege, item.grantee, item.grantable) for item in given),
    )
