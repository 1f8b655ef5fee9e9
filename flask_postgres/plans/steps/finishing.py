"""Steps that bring a database to its end: complete, and protected where that is wanted."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import DatabaseMissing
from ...postgres import ddl
from ...postgres.facts import Database, Facts
from ...postgres.marks import Mark, State
from .. import checks
from .base import FINISH, Faults, Statements, Step, expect, look_up, lost_race, made_here

if t.TYPE_CHECKING:
    from ..run import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finish(Step):
    """Take the "unfinished" mark away: once it is gone, the plan has succeeded.

    The former database says then that it is superseded; no other is ever said to be one to discard, not even
    when the app has overwritten the mark of the new one.

    :param former: the database whose place it takes, if there is one.
    :param aside: the name under which that was set aside.
    :param outcomes: what is said once every database of the command has got so far.
    """

    name: str
    token: str
    former: Database | None = None
    aside: str | None = None
    connection_limit: int | None = None
    protect: bool = False
    outcomes: tuple[str, ...] = ()
    phase: int = FINISH

    def describe(self) -> str:
        mark = "mark it as protected" if self.protect else 'clear the mark "unfinished"'
        return f'finish "{self.name}": {mark}; from here on there is no way back'

    def statements(self) -> Statements:
        former = self.former
        superseded = (self._superseded(former.comment, former.allow_connections),) if former else ()
        # Another comment may be there by then: the app's.
        return (*self._statements(former.comment if former else None), *superseded)

    def _statements(self, comment: str | None) -> Statements:
        final = Mark(State.PROTECTED).under(comment) if self.protect else comment
        limit = self.connection_limit
        limits = (ddl.ConnectionLimit(self.name, limit),) if limit is not None else ()
        # Changing the row keeps others from renaming or dropping the database until we are done.
        hold = ddl.AllowConnections(self.name, True)
        return (hold, *limits, ddl.CommentOnDatabase(self.name, final))

    def _superseded(self, comment: str | None, allowed: bool) -> ddl.CommentOnDatabase:
        assert self.aside is not None, "a former database was set aside under a name"
        mark = Mark(State.ASIDE, of=self.name, token=self.token, allowed=allowed, superseded=True)
        return ddl.CommentOnDatabase(self.aside, mark.under(comment))

    def run(self, run: Run) -> None:
        doing = f'finish database "{self.name}"'
        with run.admin.transaction(doing=doing):
            hold, *_ = self.statements()
            try:
                run.admin.run(hold, doing=doing)
            except DatabaseMissing as error:
                raise lost_race(self.name) from error
            found = expect(run.admin, self.name, run.made.get(self.name), token=self.token)
            run.admin.run(*self._statements(found.comment)[1:], doing=doing)
            aside = look_up(run.admin, self.aside) if self.aside else None
            if aside is not None and aside.mark is not None and aside.bears(State.ASIDE, self.token):
                run.admin.run(self._superseded(aside.comment, aside.mark.allowed), doing=doing)
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
    phase: int = FINISH

    def describe(self) -> str:
        return f'mark "{self.name}" as protected'

    def statements(self) -> Statements:
        return (ddl.CommentOnDatabase(self.name, Mark(State.PROTECTED).under(self.comment)),)

    def faults(self, facts: Facts) -> Faults:
        if facts.target is not None:
            yield from checks.owning(facts.target, facts)

    def run(self, run: Run) -> None:
        expect(run.admin, self.name, self._number(run), token=run.token)
        run.admin.run(*self.statements(), doing=self.describe())
        run.protected.add(self.name)
        if self.said:
            run.outcomes.append(f'database "{self.name}" is now protected')

    def undo(self, run: Run) -> None:
        found = look_up(run.admin, self.name) if self.name in run.protected else None
        if found is None or found.oid != self._number(run):
            return
        run.admin.run(ddl.CommentOnDatabase(self.name, found.comment), doing=f'unprotect "{self.name}" again')
        run.outcomes.clear()

    def _number(self, run: Run) -> int | None:
        return self.oid if self.oid is not None else run.made.get(self.name)
