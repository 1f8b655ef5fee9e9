"""Steps that put a new database in the place of an old one, and take that back."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import DatabaseMissing, FlaskPostgresError
from ...postgres import ddl, sessions
from ...postgres.facts import Database, Facts
from ...postgres.marks import Mark, State
from .. import checks
from .base import (
    DISCARD,
    SWAP,
    Faults,
    Statements,
    Step,
    expect,
    look_up,
    lost_race,
    made_here,
)
from .moving import close_unfinished, put_back

if t.TYPE_CHECKING:
    from ..run import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloseToOthers(Step):
    """Block new connections to a database, with a mark that says so, and end the sessions it has."""

    database: Database
    token: str
    phase: int = SWAP

    def describe(self) -> str:
        return f'close "{self.database.name}" to new connections and end its sessions'

    def statements(self) -> Statements:
        name = self.database.name
        mark = Mark(State.BLOCKED, of=name, token=self.token, allowed=self.database.allow_connections)
        comment = ddl.CommentOnDatabase(name, mark.under(self.database.comment))
        return (ddl.AllowConnections(name, False), comment)

    def faults(self, facts: Facts) -> Faults:
        yield from checks.ending_sessions(self.database, facts)

    def run(self, run: Run) -> None:
        close, mark = self.statements()
        with run.admin.transaction(doing=self.describe()):
            # Changing the row comes first: from then on nobody else can rename or drop the database.
            run.admin.run(close, doing=self.describe())
            expect(run.admin, self.database.name, self.database.oid, token=self.token)
            run.admin.run(mark, doing=self.describe())
        sessions.end_all(run.admin, self.database.name)

    def undo(self, run: Run) -> None:
        name = self.database.name
        found = look_up(run.admin, name)
        if found is None or found.oid != self.database.oid or not found.bears(State.BLOCKED, self.token):
            return
        doing = f'open "{name}" again'
        with run.admin.transaction(doing=doing):
            run.admin.run(
                ddl.CommentOnDatabase(name, self.database.raw_comment),
                ddl.AllowConnections(name, self.database.allow_connections),
                doing=doing,
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swap(Step):
    """Set the old database aside and put the new one in its place, in one transaction."""

    old: Database
    new: str
    aside: str
    token: str
    phase: int = SWAP

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
            expect(run.admin, self.aside, self.old.oid, token=self.token)
            run.admin.run(*rest, doing=doing)

    def undo(self, run: Run) -> None:
        aside, present = look_up(run.admin, self.aside), look_up(run.admin, self.old.name)
        swapped = made_here(run, self.old.name, present)
        if aside is None or aside.oid != self.old.oid:
            if swapped:  # somebody has taken the old one away
                raise lost_race(self.aside)
            return
        if present is not None and not swapped:
            raise lost_race(self.old.name)
        if present is not None:
            close_unfinished(run.admin, self.old.name, present, token=self.token)
        put_back(run.admin, self.old.name, aside=self.aside, found=aside, spare=self.new, present=present)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Discard(Step):
    """Drop the database that was set aside. The reset has succeeded, whatever happens here."""

    name: str
    of: str
    phase: int = DISCARD
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
        except DatabaseMissing:
            run.reporter.note(f'the old database "{self.name}" was gone already')
            return
        except FlaskPostgresError as error:
            run.reporter.note(
                f'The new database "{self.of}" is complete. The old one is left as "{self.name}": '
                f"{error.message.rstrip('.')}. Remove it with: flask psql recover --discard"
            )
            return
        run.reporter.outcome(f'database "{self.of}" was deleted')
