"""Plans for ``drop`` and ``reset``."""

from __future__ import annotations

from ...postgres import marks
from ..plan import Note, Plan
from ..steps import DISCARD, CloseToOthers, DropDatabase, Step, Swap
from .creating import create_anew
from .replacing import by_force, replace
from .situation import Situation, leftover_notes, refuse_at_work, refuse_interrupted


def plan_drop(case: Situation) -> Plan:
    """Plan ``drop``: the database is renamed first, so that nothing else can be dropped in its place."""
    target, notes = case.facts.target, leftover_notes(case)
    if target is None:
        return Plan(request=case.request, outcome=f'database "{case.name}" does not exist', notes=notes)
    refuse_at_work(case)
    force = by_force(case, target)
    if target.invalid or not case.facts.can.swap:
        drop = DropDatabase(database=target, force=force)
        return Plan(request=case.request, steps=(drop,), destroys=target, notes=notes)
    if not case.facts.role.createdb:
        note = Note(
            f'the role "{case.facts.role.name}" cannot rename databases (CREATEDB): another database that is '
            f'renamed to "{case.name}" at the same moment would be dropped'
        )
        drop = DropDatabase(database=target, force=force)
        return Plan(request=case.request, steps=(drop,), destroys=target, notes=(note, *notes))
    aside = marks.name_for_old(case.name, case.token)
    close: tuple[Step, ...] = (CloseToOthers(database=target, by=case.by),) if force else ()
    steps = (
        *close,
        Swap(old=target, new=None, aside=aside, by=case.by),
        DropDatabase(database=target, aside=aside, phase=DISCARD),
    )
    return Plan(request=case.request, steps=steps, destroys=target, notes=notes)


def plan_reset(case: Situation) -> Plan:
    """Plan ``reset``: where there is no database, one is created."""
    refuse_interrupted(case)
    return create_anew(case, agreed=True) if case.present is None else replace(case, case.present)
