"""Which database has a name at this moment, and whether it is the one that a plan was made for."""

from __future__ import annotations

import typing as t

from ..errors import LostRace
from ..postgres import marks
from ..postgres.facts import INVALID
from ..postgres.marks import Mark, State
from ..postgres.session import Session
from ..remedies import Command
from . import preflight


class Found(t.NamedTuple):
    """A database as the catalogue has it at this moment.

    :param oid: 0 where it is not known yet, as in a dry run.
    :param comment: what others wrote; our mark is in ``mark``.
    :param invalid: whether a DROP of it was interrupted.
    """

    oid: int = 0
    comment: str | None = None
    mark: Mark | None = None
    invalid: bool = False

    def bears(self, state: State, token: str) -> bool:
        """Tell whether it bears this mark of this command."""
        return self.mark is not None and self.mark.state is state and self.mark.token == token


def look_up(admin: Session, name: str) -> Found | None:
    """Return a database as it is now; None when it does not exist."""
    rows = admin.rows(
        "SELECT CAST(d.oid AS bigint), pg_catalog.shobj_description(d.oid, 'pg_database'), d.datconnlimit "
        "FROM pg_catalog.pg_database d WHERE d.datname = :name",
        name=name,
    )
    return Found(rows[0][0], *marks.split(rows[0][1]), invalid=rows[0][2] == INVALID) if rows else None


def expect(found: Found | None, name: str, *, oid: int | None, mark: Mark | None = None, token: str) -> None:
    """Make sure that a database is the one that the plan was made for.

    :param mark: the mark that it had when the plan was made.
    :param token: of this command: a mark that bears it is our own.
    :raises LostRace: if it is another one, or another command has marked it.
    :raises DatabaseProtected: if it has been protected in the meantime.
    """
    if found is None or found.oid != oid:
        raise lost_race(name)
    refuse_protected(found, name)
    if found.mark is not None and found.mark != mark and found.mark.token != token:
        raise lost_race(name)


def refuse_protected(found: Found, name: str) -> None:
    """Refuse what would take a protected database away.

    :raises DatabaseProtected: if it is protected.
    """
    if found.mark is not None and found.mark.state is State.PROTECTED:
        raise preflight.protected(name)


def lost_race(name: str) -> LostRace:
    """Return the error that another command was faster."""
    message = f'another command has changed database "{name}" in the meantime; this one leaves it alone.'
    return LostRace(message, remedy=Command("Look at it", "status"))
