"""Plans for ``create``, ``setup`` and ``init``."""

from __future__ import annotations

import typing as t

from ...errors import DatabaseMissing, Refused
from ...postgres import marks
from ...postgres.facts import Database
from ...postgres.inside import Inside
from ...remedies import Command
from ..plan import Note, Plan
from ..steps import (
    CreateDatabase,
    Finish,
    FinishInside,
    LoadApp,
    MakeUnfinished,
    Protect,
    Publish,
    RunSeeds,
    SetAsideInside,
    Step,
)
from .replacing import copying, filling, finish, replace, seeded
from .situation import (
    Situation,
    invalid,
    leftover_notes,
    refuse_interrupted,
    refuse_rows,
    removing_leftovers,
)


def plan_create(case: Situation) -> Plan:
    """Plan ``create`` and ``setup``: they differ only in what fills the database."""
    request, target = case.request, case.present
    refuse_interrupted(case)
    if target is None:
        return create_anew(case, agreed=request.overwrite)
    if request.overwrite:
        return replace(case, target)
    if target.invalid:
        raise invalid(target)
    exists, notes = f'database "{case.name}" already exists', leftover_notes(case)
    content = case.facts.inside
    if content is not None and content.empty and request.initializes:
        return _fill_empty(case, target, content)
    if request.if_missing:
        return Plan(request=request, outcome=exists, notes=notes)
    return Plan(
        request=request, steps=tuple(filling(case, transient=False, said=True)), outcome=exists, notes=notes
    )


def _fill_empty(case: Situation, target: Database, content: Inside) -> Plan:
    """Plan to initialize a database in which the app has nothing yet: all or nothing, as for a new one."""
    outcome = f'database "{case.name}" already exists, and is empty'
    if not content.may_create:
        steps: tuple[Step, ...] = tuple(filling(case, transient=False, said=True, new=True))
    else:
        first = SetAsideInside(old=target, inside=content, by=case.by, keep=True)
        done = (f'database "{case.name}" was initialized', *seeded(case))
        protect = [Protect(name=case.name, by=case.by, target=target)] if case.request.protect else []
        steps = (first, *filling(case), *protect, FinishInside(before=first, outcomes=done))
    return Plan(request=case.request, steps=steps, outcome=outcome, notes=leftover_notes(case))


def plan_init(case: Situation) -> Plan:
    """Plan ``init``: the database must exist and be complete."""
    target = case.facts.target
    refuse_interrupted(case)
    if target is None:
        raise DatabaseMissing(
            f'database "{case.name}" does not exist.', remedy=Command("Create and fill it", "setup")
        )
    if target.abandoned:
        message = f'database "{case.name}" was left incomplete by an interrupted command.'
        remedies = (Command("To keep or remove it", "recover"), Command("to create it anew", "setup"))
        raise Refused(message, remedy=remedies)
    if target.invalid:
        raise invalid(target)
    return Plan(
        request=case.request,
        steps=tuple(filling(case, transient=False, said=True)),
        notes=leftover_notes(case),
    )


def plan_seed(case: Situation) -> Plan:
    """Plan ``seed``: what is declared runs on a database that is there."""
    request = case.request
    plan = plan_init(case)
    if not request.seeds:
        raise Refused("no seed is declared.", remedy="Name some in the setting seed.")
    step = RunSeeds(
        name=case.name, seeds=request.seeds, replace=request.replace_rows, said=True, transient=False
    )
    rewrites = case.facts.target if request.replace_rows else None
    note = [Note(f"emptied first: {', '.join(step.tables)}")] if rewrites else []
    return Plan(request=request, steps=(step,), rewrites=rewrites, notes=(*note, *plan.notes))


def plan_scaffold(case: Situation) -> Plan:
    """Plan to load an app that needs its database for that: where there is none, it is lent an empty one."""
    refuse_interrupted(case)
    load = LoadApp(name=case.name)
    if case.present is not None:
        return Plan(request=case.request, steps=(load,))
    refuse_rows(case)
    steps = [step for step in _creation(case) if not isinstance(step, Finish)]
    return Plan(request=case.request, steps=(*removing_leftovers(case), *steps, load), lasting=False)


def create_anew(case: Situation, *, agreed: bool) -> Plan:
    """Plan a database where there is none, or only an unfinished one.

    :param agreed: whether the command asks before it drops an unfinished database that holds rows.
    :raises DatabaseInUse: if it does not, and there is one.
    """
    if not agreed:
        refuse_rows(case)
    unfinished = case.facts.target if agreed else None
    steps = (*removing_leftovers(case, agreed=agreed), *_creation(case))
    return Plan(request=case.request, steps=steps, unfinished=unfinished)


def _creation(case: Situation) -> t.Iterator[Step]:
    """Yield the steps that create a database where there is none."""
    request, name = case.request, case.name
    inside = request.initializes or request.schemas or request.extensions
    simple = not (inside or request.protect or request.among_others)
    if simple or not (case.facts.can.swap and case.facts.can.force):
        yield CreateDatabase(name=name, clauses=request.creation_clauses)
        yield from filling(case, said=True)
        if request.protect:
            yield Protect(name=name, by=case.by)
        return
    temporary = marks.name_for_new(name, case.token)
    yield MakeUnfinished(
        name=temporary,
        of=name,
        by=case.by,
        clauses=request.creation_clauses,
        strategy=copying(case.facts),
    )
    yield Publish(name=temporary, to=name, by=case.by)
    yield from filling(case)
    yield finish(case)
