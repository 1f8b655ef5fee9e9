"""Plans for ``undo`` and ``undo --discard``, and what other commands keep for them."""

from __future__ import annotations

import typing as t

from ...errors import Refused
from ...postgres import marks
from ...postgres.facts import Database
from ...postgres.marks import State
from ...remedies import Command
from ...sizes import size_text
from ..plan import Note, Plan
from ..steps import CloseToOthers, Discard, DropDatabase, Exchange, Step
from .situation import Situation, invalid, leftover_notes, refuse_interrupted


def plan_undo(case: Situation) -> Plan:
    """Plan to swap the database with the former one: what is taken away by that is kept in its turn."""
    request, target, former = case.request, case.facts.target, case.facts.former
    refuse_interrupted(case)
    if target is not None and target.abandoned:
        message = f'database "{case.name}" was left incomplete by an interrupted command.'
        raise Refused(message, remedy=Command("Put right what that has left", "recover"))
    if former is None:
        nothing = f'nothing to undo for database "{case.name}": no former one is kept'
        if request.among_others:
            raise Refused(f"{nothing}.", remedy="Undo the others alone, each by its --bind-key.")
        return Plan(request=request, outcome=nothing, notes=leftover_notes(case))
    if former.invalid:
        raise invalid(former)
    if target is not None and target.invalid:
        raise invalid(target)
    if target is not None and not case.facts.can.swap:
        raise Refused(f'database "{case.name}" cannot be swapped back, because {case.facts.can.reason}.')
    outcomes: list[str | Command] = [f'database "{case.name}" was put back']
    if target is not None:
        outcomes.append(Command("the one that had its place is kept", "undo"))
    steps: list[Step] = []
    if target is not None and _closes(case, target):
        steps.append(CloseToOthers(database=target, by=case.by))
    steps.append(
        Exchange(
            name=case.name,
            former=former,
            present=target,
            aside=marks.name_for_old(case.name, case.token),
            by=case.by,
            outcomes=tuple(outcomes),
        )
    )
    owner = target.owner if target is not None else case.facts.role.name
    return Plan(
        request=request,
        steps=tuple(steps),
        vacates=target,
        restores=None if former.owner in (owner, case.facts.role.name) else former,
        notes=leftover_notes(case),
    )


def plan_undo_discard(case: Situation) -> Plan:
    """Plan to drop the former database that was kept."""
    kept = case.facts.kept
    if not kept:
        return Plan(request=case.request, outcome=f'no former database "{case.name}" is kept')
    steps = tuple(DropDatabase(database=item) for item in kept)
    return Plan(request=case.request, steps=steps, destroys=kept[0])


def why_not_kept(case: Situation, old: Database) -> str | None:
    """Return why a database that is taken away is dropped at once; None where it is kept, for ``undo``."""
    request = case.request
    if request.final:
        return "--final"
    if old.state is State.UNFINISHED:
        return "it was never complete"
    if request.undo_limit == 0:
        return "undo_limit is 0"
    if old.size is not None and old.size > request.undo_limit:
        return f"it is larger than undo_limit ({size_text(request.undo_limit)})"
    return None


def undo_notes(case: Situation, why: str | None) -> tuple[Note, ...]:
    """Say that ``undo`` will not bring back what a command takes away.

    :param why: the reason; None where it will.
    """
    return () if why is None or case.request.final else (Note(f"this cannot be undone, because {why}"),)


def kept_outcome(case: Situation) -> Command:
    """Return what is said of a database that is kept."""
    which = f'the old database "{case.name}"' if case.request.among_others else "the old database"
    return Command(f"{which} is kept", "undo")


def discarding_kept(case: Situation) -> t.Iterator[Discard]:
    """Yield the steps that drop what earlier commands have kept: one former database is kept at a time."""
    for item in case.facts.kept:
        yield Discard(name=item.name, of=case.name, outcome=None)


def _closes(case: Situation, database: Database) -> bool:
    return case.request.force_disconnect or not all(session.counted for session in database.sessions)
