"""Steps that make a database and bring it to its end."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import DatabaseExists, DatabaseMissing, ServerError, ServerUnreachable
from ...postgres import ddl
from ...postgres.facts import Database, Facts, Grant, Parameter
from ...postgres.marks import Mark, State
from .. import checks
from .base import (
    DISCARD,
    FILL,
    FINISH,
    SWAP,
    Faults,
    Statements,
    Step,
    drop,
    expect,
    look_up,
    lost_race,
    made_here,
)

if t.TYPE_CHECKING:
    from ..run import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class CreateDatabase(Step):
    """Create an empty database under its own name: one statement, all or nothing by itself."""

    name: str
    clauses: ddl.Clauses

    def describe(self) -> str:
        return f'create database "{self.name}"'

    def statements(self) -> Statements:
        return (ddl.CreateDatabase(self.name, self.clauses),)

    def faults(self, facts: Facts) -> Faults:
        yield from checks.creating(facts, self.clauses)

    def run(self, run: Run) -> None:
        run.unsure.add(self.name)
        try:
            run.admin.run(*self.statements(), doing=self.describe())
        except ServerUnreachable:
            raise  # the server may have done it all the same
        except ServerError as error:
            if error.sqlstate is not None:
                run.unsure.discard(self.name)
            raise
        run.unsure.discard(self.name)
        run.created.add(self.name)
        run.reporter.outcome(f'database "{self.name}" was created')

    def undo(self, run: Run) -> None:
        if self.name in run.created:
            run.admin.run(ddl.DropDatabase(self.name, if_exists=True), doing=f'drop "{self.name}" again')
            run.reporter.outcome(f'database "{self.name}" was deleted again')
        elif self.name in run.unsure and look_up(run.admin, self.name) is not None:
            # Perhaps ours, perhaps another command's: it has no mark that would tell.
            run.remarks.append(f'Database "{self.name}" was created all the same, and is empty.')


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
        return (ddl.CreateDatabase(self.name, clauses), comment, *self._carried())

    def _carried(self) -> Statements:
        grants = self.like.grants if self.like else None
        return (
            *(_grants(self.name, self.like.owner, grants) if self.like and grants is not None else ()),
            *(ddl.SetInDatabase(self.name, item.name, item.value, item.role) for item in self.parameters),
        )

    def faults(self, facts: Facts) -> Faults:
        yield from checks.creating(facts, self.clauses)

    def run(self, run: Run) -> None:
        doing = f'create database "{self.of}"'
        with run.reporter.progress(f'creating database "{self.of}"'):
            create, *rest = self.statements()
            run.admin.run(create, doing=doing)
            made = look_up(run.admin, self.name)
            if made is None:
                raise lost_race(self.name)
            run.made[self.of] = made.oid
            run.admin.run(*rest, doing=doing)

    def undo(self, run: Run) -> None:
        # The name holds this command's token: nobody else has made it.
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
    phase: t.ClassVar[int] = SWAP

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
        if made_here(run, self.to, look_up(run.admin, self.to)):
            drop(run.admin, self.to)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Initialize(Step):
    """Let the app fill the database, under its real name.

    :param how: what will run, in words.
    :param transient: whether the plan undoes everything when this fails.
    """

    name: str
    how: str
    transient: bool = True
    phase: t.ClassVar[int] = FILL
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'initialize "{self.name}": {self.how}'

    def run(self, run: Run) -> None:
        assert run.initialize is not None, "the plan was built to initialize"
        try:
            with run.reporter.progress(f'initializing database "{self.name}"'):
                did = run.initialize()
        finally:
            run.release()
        run.reporter.detail(did)
        if not self.transient:
            run.outcomes.append(f'database "{self.name}" was initialized')

    def remains(self, *, done: bool) -> str | None:  # noqa: ARG002
        return None if self.transient else f'What it had committed to "{self.name}" stays.'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finish(Step):
    """Take the "unfinished" mark away: once it is gone, the plan has succeeded.

    :param comment: the one that the former database had; the app may have written another since.
    :param outcomes: what is said once every database of the command has got so far.
    """

    name: str
    token: str
    comment: str | None = None
    connection_limit: int | None = None
    protect: bool = False
    outcomes: tuple[str, ...] = ()
    phase: t.ClassVar[int] = FINISH

    def describe(self) -> str:
        mark = "mark it as protected" if self.protect else 'clear the mark "unfinished"'
        return f'finish "{self.name}": {mark}; from here on there is no way back'

    def statements(self) -> Statements:
        return self._statements(self.comment)

    def _statements(self, comment: str | None) -> Statements:
        final = Mark(State.PROTECTED).under(comment) if self.protect else comment
        limit = self.connection_limit
        limits = (ddl.ConnectionLimit(self.name, limit),) if limit is not None else ()
        # Changing the row keeps others from renaming or dropping the database until we are done.
        hold = ddl.AllowConnections(self.name, True)
        return (hold, *limits, ddl.CommentOnDatabase(self.name, final))

    def run(self, run: Run) -> None:
        doing = f'finish database "{self.name}"'
        with run.admin.transaction(doing=doing):
            hold, *_ = self.statements()
            try:
                run.admin.run(hold, doing=doing)
            except DatabaseMissing as error:
                raise lost_race(self.name) from error
            found = expect(run.admin, self.name, run.made[self.name], token=self.token)
            run.admin.run(*self._statements(found.comment)[1:], doing=doing)
        run.outcomes.extend(self.outcomes)

    def undo(self, run: Run) -> None:
        """Mark it again: with several databases, one that cannot finish takes all of them back."""
        found = look_up(run.admin, self.name)
        if found is not None and made_here(run, self.name, found):
            mark = Mark(State.UNFINISHED, of=self.name, token=self.token)
            run.admin.run(ddl.CommentOnDatabase(self.name, mark.under(found.comment)), doing="mark it again")
        run.outcomes.clear()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protect(Step):
    """Mark a database as protected.

    :param oid: of the database that is meant; None for one that this plan has made.
    :param said: whether that is an outcome of its own.
    """

    name: str
    oid: int | None = None
    comment: str | None = None
    said: bool = False
    phase: t.ClassVar[int] = DISCARD
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'mark "{self.name}" as protected'

    def statements(self) -> Statements:
        return (ddl.CommentOnDatabase(self.name, Mark(State.PROTECTED).under(self.comment)),)

    def faults(self, facts: Facts) -> Faults:
        if facts.target is not None:
            yield from checks.owning(facts.target, facts)

    def run(self, run: Run) -> None:
        if self.oid is not None:
            expect(run.admin, self.name, self.oid, token=run.token)
        run.admin.run(*self.statements(), doing=self.describe())
        if self.said:
            run.outcomes.append(f'database "{self.name}" is now protected')


def _grants(name: str, owner: str, grants: t.Sequence[Grant]) -> Statements:
    given = [item for item in grants if item.grantee != owner]
    return (
        ddl.RevokeOnDatabase(name, None),
        *(ddl.GrantOnDatabase(name, item.privilege, item.grantee, item.grantable) for item in given),
    )
