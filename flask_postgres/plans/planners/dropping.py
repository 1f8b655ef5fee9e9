"""Plans for ``drop`` and ``reset``."""

from __future__ import annotations

import typing as t

from ...postgres import marks
from ..plan import Note, Plan
from ..steps import DISCARD, CloseToOthers, DropDatabase, Step, Swap
from .creating import create_anew
from .replacing import by_force, replace
from .situation import Situation, leftover_notes, refuse_at_work, refuse_interrupted
from .undoing import discarding_kept, kept_outcome, undo_notes, why_not_kept


def plan_drop(case: Situation) -> Plan:
    """Plan ``drop``: the database is renamed first, so that nothing else can be dropped in its place."""
    target, notes = case.facts.target, leftover_notes(case)
    former = tuple(DropDatabase(database=item) for item in case.facts.kept) if case.request.final else ()
    if target is None and former:
        return Plan(request=case.request, steps=former, destroys=former[0].database, notes=notes)
    if target is None:
        return Plan(request=case.request, outcome=f'database "{case.name}" does not exist', notes=notes)
    refuse_at_work(case)
    force = by_force(case, target)
    if target.invalid or not case.facts.can.swap:
        if case.facts.can.reason is not None:
            notes = (*_unkept(case), *notes)
        drop = DropDatabase(database=target, force=force)
        return Plan(request=case.request, steps=(drop, *former), destroys=target, notes=notes)
    if not case.facts.role.createdb:
        note = Note(
            f'the role "{case.facts.role.name}" cannot rename databases (CREATEDB): this cannot be undone, '
            f'and another database that is renamed to "{case.name}" at the same moment would be dropped'
        )
        drop = DropDatabase(database=target, force=force)
        return Plan(request=case.request, steps=(drop, *former), destroys=target, notes=(note, *notes))
    why = why_not_kept(case, target)
    aside = marks.name_for_old(case.name, case.token)
    close: tuple[Step, ...] = (CloseToOthers(database=target, by=case.by),) if force else ()
    notes = (*undo_notes(case, why), *notes)
    if why is None:
        outcomes = (f'database "{case.name}" was deleted', kept_outcome(case))
        keep = Swap(old=target, new=None, aside=aside, by=case.by, keep=True, outcomes=outcomes)
        steps: tuple[Step, ...] = (*close, keep, *discarding_kept(case))
    else:
        swap = Swap(old=target, new=None, aside=aside, by=case.by)
        drop = DropDatabase(database=target, aside=aside, phase=DISCARD)
        steps = (*close, swap, drop, *discarding_kept(case))
    return Plan(request=case.request, steps=steps, destroys=target, notes=notes)


def _unkept(case: Situation) -> t.Iterator[Note]:
    """Say what a server that cannot swap databases makes of a drop."""
    can = case.facts.can
    yield Note(f"this cannot be undone, because {can.reason}")
    if not can.rename:
        yield Note(
            "what its distributed tables have on the worker nodes stays there: drop these tables first"
        )


def plan_reset(case: Situation) -> Plan:
    """Plan ``reset``: where there is no database, one is created."""
    refuse_interrupted(case)
    return create_anew(case, agreed=True) if case.present is None else replace(case, case.present)
