"""The steps that plans are made of.

Every step is data: what it will say, its SQL, what could stand in its way, how to run it and how to
undo it. ``undo`` is called for every step that has begun, also when it was interrupted in the middle,
so it looks at what is there before it acts.
"""

from __future__ import annotations

import dataclasses
import typing as t

from sqlalchemy.schema import ExecutableDDLElement

from ..errors import DatabaseExists, FlaskPostgresError, LostRace
from ..postgres import ddl, marks, sessions
from ..postgres.admin import Session
from ..postgres.facts import Database, Facts, Grant, Parameter
from ..postgres.marks import Mark, State
from . import checks

if t.TYPE_CHECKING:
    from .run import Run

Faults = t.Iterator[FlaskPostgresError]
Statements = tuple[ExecutableDDLElement, ...]

MAKE, SWAP, FILL, FINISH, DISCARD = range(5)
"""The phases: over many databases, all of one come before any of the next."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a plan."""

    phase: t.ClassVar[int] = MAKE
    final: t.ClassVar[bool] = False
    """Whether the step comes after the point of no return: never undone, not interrupted."""
    undoable: t.ClassVar[bool] = True

    def describe(self) -> str:
        """Say what the step does, in the imperative."""
        raise NotImplementedError

    def statements(self) -> Statements:
        """Return the SQL that the step sends, as far as it is known beforehand."""
        return ()

    def faults(self, facts: Facts) -> Faults:  # noqa: ARG002
        """Yield every reason why the step would fail."""
        yield from ()

    def run(self, run: Run) -> None:
        raise NotImplementedError

    def undo(self, run: Run) -> None:
        """Undo the step, or whatever part of it has happened."""


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
        run.admin.run(*self.statements(), doing=self.describe())
        run.created.add(self.name)
        run.reporter.outcome(f'database "{self.name}" was created')

    def undo(self, run: Run) -> None:
        if self.name in run.created:
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
        with run.reporter.progress(f'creating database "{self.of}"'):
            run.admin.run(*self.statements(), doing=f'create database "{self.of}"')

    def undo(self, run: Run) -> None:
        # The name holds this command's token: nobody else has made it.
        _drop(run.admin, self.name)


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
    token: str
    phase: t.ClassVar[int] = SWAP

    def describe(self) -> str:
        return f'rename "{self.name}" to "{self.to}"'

    def statements(self) -> Statements:
        return (ddl.RenameDatabase(self.name, self.to),)

    def run(self, run: Run) -> None:
        try:
            run.admin.run(*self.statements(), doing=self.describe())
        except DatabaseExists as error:
            raise _lost_race(self.to) from error

    def undo(self, run: Run) -> None:
        if _bears(run.admin, self.to, State.UNFINISHED, self.token):
            _drop(run.admin, self.to)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloseToOthers(Step):
    """Block new connections to a database, with a mark that says so, and end the sessions it has."""

    database: Database
    token: str
    phase: t.ClassVar[int] = SWAP

    def describe(self) -> str:
        return f'close "{self.database.name}" to new connections and end its sessions'

    def statements(self) -> Statements:
        name = self.database.name
        mark = Mark(State.BLOCKED, of=name, token=self.token, allowed=self.database.allow_connections)
        comment = ddl.CommentOnDatabase(name, mark.under(self.database.comment))
        return (comment, ddl.AllowConnections(name, False))

    def faults(self, facts: Facts) -> Faults:
        yield from checks.ending_sessions(self.database, facts)

    def run(self, run: Run) -> None:
        with run.admin.transaction(doing=self.describe()):
            _expect(run.admin, self.database.name, self.database.oid, token=self.token)
            run.admin.run(*self.statements(), doing=self.describe())
        sessions.end_all(run.admin, self.database.name)

    def undo(self, run: Run) -> None:
        name = self.database.name
        if _bears(run.admin, name, State.BLOCKED, self.token):
            with run.admin.transaction(doing=f'open "{name}" again'):
                run.admin.run(
                    ddl.CommentOnDatabase(name, self.database.raw_comment),
                    ddl.AllowConnections(name, self.database.allow_connections),
                    doing=f'open "{name}" again',
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swap(Step):
    """Set the old database aside and put the new one in its place, in one transaction."""

    old: Database
    new: str
    aside: str
    token: str
    phase: t.ClassVar[int] = SWAP

    def describe(self) -> str:
        return f'in one transaction, set "{self.old.name}" aside as "{self.aside}" and put the new one there'

    def statements(self) -> Statements:
        mark = Mark(State.ASIDE, of=self.old.name, token=self.token, allowed=self.old.allow_connections)
        return (
            ddl.RenameDatabase(self.old.name, self.aside),
            ddl.AllowConnections(self.aside, False),
            ddl.CommentOnDatabase(self.aside, mark.under(self.old.comment)),
            ddl.RenameDatabase(self.new, self.old.name),
        )

    def faults(self, facts: Facts) -> Faults:
        yield from checks.taking_away(self.old, facts)

    def run(self, run: Run) -> None:
        run.release()
        rename, *rest = self.statements()
        doing = f'put the new database in the place of "{self.old.name}"'
        with run.admin.transaction(doing=doing):
            run.admin.run(rename, doing=doing)
            # Only now is the database locked; what another command did before shows here.
            _expect(run.admin, self.aside, self.old.oid, token=self.token)
            run.admin.run(*rest, doing=doing)

    def undo(self, run: Run) -> None:
        put_back(run.admin, self.old.name, aside=self.aside, new=self.new, token=self.token)


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
        except FlaskPostgresError as error:
            if not self.transient:
                stays = f'What it had committed to "{self.name}" stays.'
                error.hint = f"{error.hint} {stays}" if error.hint else stays
            raise
        finally:
            run.release()
        run.reporter.detail(did)
        if not self.transient:
            run.reporter.outcome(f'database "{self.name}" was initialized')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finish(Step):
    """Take the "unfinished" mark away: once it is gone, the plan has succeeded.

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
        comment = Mark(State.PROTECTED).under(self.comment) if self.protect else self.comment
        limit = self.connection_limit
        limits = (ddl.ConnectionLimit(self.name, limit),) if limit is not None else ()
        return (*limits, ddl.CommentOnDatabase(self.name, comment))

    def run(self, run: Run) -> None:
        doing = f'finish database "{self.name}"'
        with run.admin.transaction(doing=doing):
            run.admin.run(*self.statements(), doing=doing)
            if not _exists(run.admin, self.name):
                raise _lost_race(self.name)
        run.outcomes.extend(self.outcomes)

    def undo(self, run: Run) -> None:
        """Mark it again: with several databases, one that cannot finish takes all of them back."""
        row = _comment_row(run.admin, self.name)
        if row is None:
            return
        comment, mark = marks.split(row[1])
        if mark is None or mark.state is State.PROTECTED:
            unfinished = Mark(State.UNFINISHED, of=self.name, token=self.token)
            run.admin.run(ddl.CommentOnDatabase(self.name, unfinished.under(comment)), doing="mark it again")
        run.outcomes.clear()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Discard(Step):
    """Drop the database that was set aside. The reset has succeeded, whatever happens here."""

    name: str
    of: str
    phase: t.ClassVar[int] = DISCARD
    final: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'drop the old database "{self.name}"'

    def statements(self) -> Statements:
        return (ddl.DropDatabase(self.name),)

    def run(self, run: Run) -> None:
        try:
            with run.reporter.progress(f'dropping the old database "{self.of}"'):
                run.admin.run(*self.statements(), doing=self.describe())
        except FlaskPostgresError as error:
            run.reporter.note(
                f'The new database "{self.of}" is complete. The old one is left as "{self.name}": '
                f"{error.message}. Remove it with: flask psql recover --discard"
            )
            return
        run.reporter.outcome(f'database "{self.of}" was deleted')


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoveLeftover(Step):
    """Drop what a command that is gone had begun to make: it holds nothing that was ever complete."""

    name: str
    of: str
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'drop "{self.name}", which an interrupted command has left unfinished'

    def statements(self) -> Statements:
        return (ddl.DropDatabase(self.name, force=True),)

    def run(self, run: Run) -> None:
        row = _comment_row(run.admin, self.name)
        if row is None:
            return
        _, mark = marks.split(row[1])
        if not marks.is_ours(self.name) and (mark is None or mark.state is not State.UNFINISHED):
            raise _lost_race(self.name)
        run.admin.run(*self.statements(), doing=self.describe())
        run.reporter.note(f'removed "{self.name}", which an interrupted command had left unfinished')


@dataclasses.dataclass(frozen=True, kw_only=True)
class DropDatabase(Step):
    """Drop a database for good.

    :param force: end other sessions first.
    :param discards: whether it is one that was set aside, so that its marks are no reason against it.
    """

    database: Database
    force: bool = False
    discards: bool = False
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'drop database "{self.database.name}"'

    def statements(self) -> Statements:
        return (ddl.DropDatabase(self.database.name, force=self.force),)

    def faults(self, facts: Facts) -> Faults:
        yield from checks.taking_away(self.database, facts)
        if self.force:
            yield from checks.ending_sessions(self.database, facts)

    def run(self, run: Run) -> None:
        run.release()
        name = self.database.name
        row = _comment_row(run.admin, name)
        if row is not None and row[0] != self.database.oid:
            raise _lost_race(name)
        if row is not None:
            _refuse_if_protected(row[1], name)
        with run.reporter.progress(f'dropping database "{name}"'):
            run.admin.run(*self.statements(), doing=self.describe())
        run.reporter.outcome(f'database "{name}" was deleted')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protect(Step):
    """Mark a database as protected.

    :param said: whether that is an outcome of its own.
    """

    name: str
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
        run.admin.run(*self.statements(), doing=self.describe())
        if self.said:
            run.reporter.outcome(f'database "{self.name}" is now protected')


def put_back(admin: Session, name: str, *, aside: str, new: str, token: str | None) -> None:
    """Undo a swap, if it has happened: the old database gets its name and its former state again.

    :param new: the name that the database which now stands under the real name gets.
    :raises LostRace: if what stands under the real name is not of this command; nothing is changed.
    """
    row = _comment_row(admin, aside)
    if row is None:
        return
    comment, mark = marks.split(row[1])
    if mark is None or mark.state is not State.ASIDE:
        return
    doing = f'put "{name}" back'
    present = _exists(admin, name)
    if present:
        if token is not None and not _bears(admin, name, State.UNFINISHED, token):
            raise _lost_race(name)
        admin.run(ddl.AllowConnections(name, False), doing=doing)
        sessions.end_all(admin, name)
    with admin.transaction(doing=doing):
        if present:
            admin.run(ddl.RenameDatabase(name, new), doing=doing)
        admin.run(
            ddl.RenameDatabase(aside, name),
            ddl.AllowConnections(name, mark.allowed),
            ddl.CommentOnDatabase(name, comment),
            doing=doing,
        )


def _drop(admin: Session, name: str) -> None:
    admin.run(ddl.DropDatabase(name, force=True, if_exists=True), doing=f'drop "{name}"')


def _grants(name: str, owner: str, grants: t.Sequence[Grant]) -> Statements:
    given = [item for item in grants if item.grantee != owner]
    return (
        ddl.RevokeOnDatabase(name, None),
        *(ddl.GrantOnDatabase(name, item.privilege, item.grantee, item.grantable) for item in given),
    )


def _comment_row(admin: Session, name: str) -> t.Any:
    """Return oid and comment of a database; None when it does not exist."""
    rows = admin.rows(
        "SELECT CAST(d.oid AS bigint), pg_catalog.shobj_description(d.oid, 'pg_database') "
        "FROM pg_catalog.pg_database d WHERE d.datname = :name",
        name=name,
    )
    return rows[0] if rows else None


def _exists(admin: Session, name: str) -> bool:
    return _comment_row(admin, name) is not None


def _bears(admin: Session, name: str, state: State, token: str) -> bool:
    """Tell whether a database bears this mark of this command."""
    row = _comment_row(admin, name)
    if row is None:
        return False
    _, mark = marks.split(row[1])
    return mark is not None and mark.state is state and mark.token == token


def _expect(admin: Session, name: str, oid: int, *, token: str) -> None:
    """Make sure that a database is the one that the plan was made for, and bears no mark but ours."""
    row = _comment_row(admin, name)
    if row is None or row[0] != oid:
        raise _lost_race(name)
    _, mark = marks.split(row[1])
    if mark is None or mark.token == token:
        return
    _refuse_if_protected(row[1], name)
    raise _lost_race(name)


def _refuse_if_protected(comment: str | None, name: str) -> None:
    _, mark = marks.split(comment)
    if mark is not None and mark.state is State.PROTECTED:
        raise checks.protected(name)


def _lost_race(name: str) -> LostRace:
    message = f'another command has changed database "{name}" meanwhile; this one changed nothing.'
    return LostRace(message, hint="Look at it: flask psql status")
