"""What every step is, and how steps make sure that a database is still the one they mean."""

from __future__ import annotations

import dataclasses
import typing as t

from sqlalchemy.schema import ExecutableDDLElement

from ...errors import FlaskPostgresError, LostRace
from ...postgres import dropping, marks
from ...postgres.admin import Session
from ...postgres.facts import Facts
from ...postgres.marks import Mark, State
from ...remedies import Command
from .. import checks

if t.TYPE_CHECKING:
    from ..run import Run

Faults = t.Iterator[FlaskPostgresError]
Statements = tuple[ExecutableDDLElement, ...]

MAKE, SWAP, REPLACE, FILL, FINISH, DISCARD = range(6)
"""The phases: over many databases, all of one come before any of the next. REPLACE is what SWAP is where the
server cannot swap: it drops for good, so it comes when all that can fail before has been done."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a plan.

    ``undo`` is called for every step that has begun, also when it was interrupted in the middle, so it
    looks at what is there before it acts.
    """

    phase: int = MAKE
    final: t.ClassVar[bool] = False
    """Whether the step comes after the point of no return: never undone, not interrupted."""
    held: t.ClassVar[bool] = False
    """Whether signals wait until it is done: half of it would be worse than all of it or nothing."""
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

    def remains(self, *, done: bool) -> str | None:  # noqa: ARG002
        """Say what of the step stays although the plan has failed.

        :param done: whether the step came to its end.
        """
        return None


class Found(t.NamedTuple):
    """A database as it is found at this moment."""

    oid: int
    comment: str | None
    mark: Mark | None

    def bears(self, state: State, token: str) -> bool:
        """Tell whether it bears this mark of this command."""
        return self.mark is not None and self.mark.state is state and self.mark.token == token


def look_up(admin: Session, name: str) -> Found | None:
    """Return a database as it is now; None when it does not exist."""
    rows = admin.rows(
        "SELECT CAST(d.oid AS bigint), pg_catalog.shobj_description(d.oid, 'pg_database') "
        "FROM pg_catalog.pg_database d WHERE d.datname = :name",
        name=name,
    )
    return Found(rows[0][0], *marks.split(rows[0][1])) if rows else None


def made_here(run: Run, name: str, found: Found | None) -> bool:
    """Tell whether what stands under a name is what this command has made for it.

    Its number tells, not its mark: an app that fills a database may comment on it too.
    """
    return found is not None and found.oid == run.made.get(name)


def expect(admin: Session, name: str, oid: int | None, *, token: str | None) -> Found:
    """Make sure that a database is the one that the plan was made for, and bears no mark but ours.

    :raises LostRace: if it is not.
    :raises DatabaseProtected: if it has been protected meanwhile.
    """
    found = look_up(admin, name)
    if found is None or found.oid != oid:
        raise lost_race(name)
    refuse_protected(found, name)
    if found.mark is not None and found.mark.token != token:
        raise lost_race(name)
    return found


def refuse_protected(found: Found, name: str) -> None:
    if found.mark is not None and found.mark.state is State.PROTECTED:
        raise checks.protected(name)


def drop(admin: Session, name: str) -> None:
    """Drop a database of ours with whatever sessions it has, if it is there."""
    dropping.drop(admin, name, force=True, if_exists=True, doing=f'drop "{name}"')


def lost_race(name: str) -> LostRace:
    message = f'another command has changed database "{name}" meanwhile; this one leaves it alone.'
    return LostRace(message, remedy=Command("Look at it", "status"))
