"""Steps that drop databases for good."""

from __future__ import annotations

import dataclasses
import typing as t

from ...postgres import ddl, dropping
from ...postgres.facts import Database, Facts
from .. import checks
from .base import Faults, Statements, Step, look_up, lost_race, refuse_protected
from .moving import take_away, taking_away

if t.TYPE_CHECKING:
    from ..run import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoveLeftover(Step):
    """Drop what a command that is gone had begun to make: it holds nothing that was ever complete.

    One that has the real name is first given another: a DROP that waits for a lock drops whatever has the
    name when it gets it, and that may be a former database that somebody has just put back.

    :param in_use: whether it may have sessions of others: somebody may have taken it for complete.
    :param spare: the other name; None when the database may not or cannot be renamed, or has such a name.
    """

    database: Database
    in_use: bool = False
    spare: str | None = None
    held: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'drop "{self.database.name}", which an interrupted command has left unfinished'

    def statements(self) -> Statements:
        away = () if self.spare is None else taking_away(self.database, spare=self.spare)
        return (*away, ddl.DropDatabase(self.spare or self.database.name, force=True))

    def faults(self, facts: Facts) -> Faults:  # noqa: ARG002
        if not self.in_use:
            yield from checks.used_unfinished(self.database)

    def run(self, run: Run) -> None:
        name = self.database.name
        found = look_up(run.admin, name)
        if found is None:
            return
        if (found.oid, found.mark) != (self.database.oid, self.database.mark):
            raise lost_race(name)
        if self.spare is not None:
            take_away(run.admin, name, found, spare=self.spare, token=run.token)
        dropping.drop(run.admin, self.spare or name, force=True, doing=self.describe())
        run.reporter.note(f'removed "{name}", which an interrupted command had left unfinished')


@dataclasses.dataclass(frozen=True, kw_only=True)
class DropDatabase(Step):
    """Drop a database for good.

    It is not interrupted: half a DROP leaves a database that nobody can open again.

    :param force: end other sessions first.
    """

    database: Database
    force: bool = False
    held: t.ClassVar[bool] = True
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
        found = look_up(run.admin, name)
        if found is None or found.oid != self.database.oid:
            raise lost_race(name)
        refuse_protected(found, name)
        with run.reporter.progress(f'dropping database "{name}"'):
            dropping.drop(run.admin, name, force=self.force, doing=self.describe())
        run.reporter.outcome(f'database "{name}" was deleted')

    def remains(self, *, done: bool) -> str | None:
        return f'Database "{self.database.name}" had been dropped before.' if done else None
