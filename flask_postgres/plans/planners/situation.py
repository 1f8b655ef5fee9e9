"""What planners decide on, and what they refuse for every command alike."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import AtWork, Refused, ServerError
from ...postgres import marks
from ...postgres.facts import Database, Facts
from ...postgres.marks import Signature, State
from ...remedies import Command
from .. import preflight
from ..plan import Note, Request
from ..steps import RemoveLeftover


@dataclasses.dataclass(frozen=True, slots=True)
class Situation:
    """A request, the facts that it meets, and the token that names the command in its marks."""

    request: Request
    facts: Facts
    token: str

    @property
    def name(self) -> str:
        return self.request.dbname

    @property
    def by(self) -> Signature:
        return Signature(self.token, self.facts.server, self.facts.now)

    @property
    def present(self) -> Database | None:
        """The target; None as well when an interrupted command has left it unfinished, without a row."""
        target = self.facts.target
        return None if target is None or target.abandoned else target


def refuse_at_work(case: Situation) -> None:
    """Refuse to touch a database that a running command is creating or has closed.

    :raises AtWork: if so. It may be over in a moment, because such a command may be undoing, or waiting for
        its lock elsewhere.
    """
    target = case.facts.target
    if target is not None and target.maker_alive and target.state in (State.UNFINISHED, State.BLOCKED):
        raise at_work(case.name)


def at_work(dbname: str) -> AtWork:
    """Return the refusal to touch what a running command works on."""
    message = f'another command is at work on database "{dbname}".'
    return AtWork(message, remedy=Command("Wait until it is done", "status"))


def refuse_interrupted(case: Situation) -> None:
    """Refuse where an interrupted command has left something that only the user can decide about.

    :raises Refused: with the commands that decide it.
    :raises AtWork: see :func:`refuse_at_work`.
    """
    refuse_at_work(case)
    refuse_interrupted_inside(case)
    target, aside = case.facts.target, case.facts.aside
    if target is not None and target.state in (State.BLOCKED, State.ASIDE):
        message = f'an interrupted command has left database "{case.name}" closed to connections.'
        raise Refused(message, remedy=Command("Open it again", "recover"))
    if aside is not None and (target is None or target.abandoned):
        message = f'an interrupted reset has set database "{case.name}" aside as "{aside.name}".'
        them = "it" if len(case.facts.asides) == 1 else "all that are set aside"
        raise Refused(
            message, remedy=(Command("Put it back", "recover"), Command(f"drop {them}", "recover --discard"))
        )


def refuse_interrupted_inside(case: Situation) -> None:
    """Refuse where an interrupted reset has set aside what is in the target.

    :raises AtWork: if it is at work still.
    :raises Refused: with the commands that decide what to keep.
    """
    content = case.facts.inside
    for schema in content.asides if content is not None else ():
        if schema.mark is None or schema.mark.superseded:
            continue
        if schema.mark.token in case.facts.alive:
            raise at_work(case.name)
        message = f'an interrupted command has set aside what database "{case.name}" held.'
        remedies = (Command("Put it back", "recover"), Command("drop it", "recover --discard"))
        raise Refused(message, remedy=remedies)


def refuse_rows(case: Situation) -> None:
    """Refuse to replace an unfinished database that somebody may have put rows into.

    :raises DatabaseInUse: if it holds a row, or if that cannot be told.
    """
    target = case.facts.target
    if target is not None and target.abandoned and target.holds_rows:
        raise preflight.in_use(target)


def invalid(target: Database) -> ServerError:
    """Return the refusal to use a database whose DROP was interrupted."""
    message = f'database "{target.name}" cannot be used: a DROP of it was interrupted.'
    return ServerError(message, remedy=Command("Remove what is left", "drop"))


def removing_leftovers(case: Situation, *, agreed: bool = False) -> t.Iterator[RemoveLeftover]:
    """Yield the steps that remove what interrupted commands had begun to make.

    :param agreed: whether the user is asked about the database that has the real name.
    """
    facts = case.facts
    target = facts.target
    if target is not None and target.abandoned:
        movable = facts.can.swap and facts.role.createdb
        spare = marks.name_for_new(target.name, case.token) if movable else None
        yield RemoveLeftover(database=target, by=case.by, agreed=agreed, spare=spare)
    for item in facts.unmade:
        if item.owned:
            yield RemoveLeftover(database=item, by=case.by, agreed=True)


def leftover_notes(case: Situation, *, redone: bool = False) -> tuple[Note, ...]:
    """Point at what interrupted commands have left, and at a flag without effect.

    :param redone: whether the plan itself removes the beginnings that it may remove.
    """
    facts, notes = case.facts, []
    if case.request.force_disconnect and not facts.can.force:
        notes.append(Note(f"--force-disconnect has no effect: {facts.can.product} has no FORCE"))
    put_back, discard = Command("Put it back", "recover"), Command("drop it", "recover --discard")
    notes += [
        Note(f'an interrupted reset has left a former database as "{item.name}".', (put_back, discard))
        for item in facts.asides
        if not item.maker_alive
    ]
    notes += [
        Note(f'an interrupted command has left "{item.name}" unfinished.', (Command("Remove it", "recover"),))
        for item in facts.unmade
        if not (redone and item.owned)
    ]
    return tuple(notes)
