"""Plans for ``recover`` and ``recover --discard``."""

from __future__ import annotations

from ...errors import Refused
from ...postgres.facts import Database
from ...postgres.marks import State
from ...remedies import Command
from ..plan import Note, Plan
from ..steps import CloseToOthers, DiscardInside, DropDatabase, PutBack, PutBackInside, Reopen, Step
from .situation import Situation, at_work, refuse_at_work, removing_leftovers


def plan_recover(case: Situation) -> Plan:
    """Plan to put back what an interrupted command had set aside, or to keep what it has left."""
    _refuse_at_work(case)
    request, target, notes = case.request, case.facts.target, _out_of_reach(case)
    clean = tuple(removing_leftovers(case))
    if target is not None and target.state in (State.BLOCKED, State.ASIDE):
        return Plan(request=request, steps=(Reopen(database=target, by=case.by), *clean), notes=notes)
    if not case.facts.asides:
        return _recover_inside(case, clean, notes) or _without_former(case, clean, notes)
    aside = _chosen(case)
    if aside.invalid:
        raise Refused(
            f'"{aside.name}" cannot be restored: a DROP of it was interrupted.',
            remedy=Command("Remove what is left of it", "recover --discard"),
        )
    others = tuple(item for item in clean if item.database.name != case.name)
    lost = target if target is not None and not (target.abandoned and not target.holds_rows) else None
    step = PutBack(name=case.name, aside=aside, present=target, by=case.by, agreed=lost is not None)
    if target is None or target.abandoned:
        strange = aside if target is None or aside.owner != target.owner else None
        restores = None if strange is None or strange.owner == case.facts.role.name else strange
        steps: tuple[Step, ...] = (step, *others)
        return Plan(request=request, steps=steps, destroys=lost, restores=restores, notes=notes)
    if target.invalid:
        raise Refused(
            f'database "{case.name}" cannot be used: a DROP of it was interrupted.',
            remedy=(Command("Remove what is left of it", "drop"), Command("then restore it", "recover")),
        )
    close = CloseToOthers(database=target, by=case.by)
    return Plan(request=request, steps=(close, step, *others), destroys=target, notes=notes)


def plan_discard(case: Situation) -> Plan:
    """Plan to drop what an interrupted command had set aside, or has left unfinished."""
    _refuse_at_work(case)
    facts, target = case.facts, case.facts.target
    notes = _out_of_reach(case)
    clean = tuple(removing_leftovers(case, agreed=True))
    asides = (*facts.asides, *facts.outdated)
    if not asides:
        if target is not None and facts.inside is not None and facts.inside.asides:
            names = tuple(schema.name for schema in facts.inside.asides)
            drop = DiscardInside(dbname=case.name, schemas=names, late=False)
            lost = Note("what an interrupted reset has set aside in it is lost, not what it holds now")
            return Plan(request=case.request, steps=(drop, *clean), destroys=target, notes=(lost, *notes))
        if target is None or not target.abandoned:
            return plan_recover(case)
        return Plan(request=case.request, steps=clean, unfinished=target, notes=notes)
    dropped: tuple[Step, ...] = tuple(DropDatabase(database=item) for item in asides)
    first, *others = asides
    more = [Note(f'"{item.name}" will be lost, too') for item in others]
    if facts.asides and (target is None or target.abandoned):
        only = f'it is the only complete one: there will be no database "{case.name}" at all'
        more.insert(0, Note(only))
    return Plan(request=case.request, steps=(*dropped, *clean), destroys=first, notes=(*more, *notes))


def _recover_inside(case: Situation, clean: tuple[Step, ...], notes: tuple[Note, ...]) -> Plan | None:
    """Plan to put back what a reset inside the database has set aside; None where it has not."""
    target, content = case.facts.target, case.facts.inside
    asides = [schema.mark for schema in content.asides if schema.mark] if content is not None else []
    if content is None or target is None or not asides:
        return None
    tokens = {mark.token for mark in asides if not mark.superseded} or {mark.token for mark in asides}
    if tokens & case.facts.alive:
        raise at_work(case.name)
    if len(tokens) > 1:
        names = ", ".join(schema.name for schema in content.asides)
        message = f'several resets have set aside what database "{case.name}" held: {names}.'
        raise Refused(message, remedy=Command("To drop all of it", "recover --discard"))
    step = PutBackInside(dbname=case.name, inside=content, by=case.by, token=tokens.pop())
    lost = target if case.facts.holds_rows else None
    return Plan(request=case.request, steps=(step, *clean), destroys=lost, notes=notes)


def _without_former(case: Situation, clean: tuple[Step, ...], notes: tuple[Note, ...]) -> Plan:
    target = case.facts.target
    if target is not None and target.abandoned and target.holds_rows:
        others = tuple(step for step in removing_leftovers(case) if step.database.name != case.name)
        discard = Note("To drop it instead", (Command("Drop it", "recover --discard"),))
        steps = (Reopen(database=target, by=case.by), *others)
        return Plan(request=case.request, steps=steps, notes=(discard, *notes))
    outcome = None if clean or notes else f'nothing to recover for database "{case.name}"'
    if case.facts.former is not None:
        undo = Command("To swap back what the last command took away", "undo")
        notes = (
            *notes,
            Note("no command was interrupted" if outcome else "a former database is kept", (undo,)),
        )
    return Plan(request=case.request, steps=clean, outcome=outcome, notes=notes)


def _refuse_at_work(case: Situation) -> None:
    refuse_at_work(case)
    if any(item.maker_alive for item in case.facts.asides):
        raise at_work(case.name)


def _out_of_reach(case: Situation) -> tuple[Note, ...]:
    """Name the leftovers that our role cannot remove, and what is not ours."""
    unmade = (
        f'an interrupted command has left "{item.name}", which only the role "{item.owner}" can remove'
        for item in case.facts.unmade
        if not item.owned
    )
    foreign = (
        f'"{item.name}" of the role "{item.owner}" looks like a leftover, but is not one of this command\'s '
        "making: it is left alone"
        for item in case.facts.foreign
    )
    return tuple(map(Note, (*unmade, *foreign)))


def _chosen(case: Situation) -> Database:
    """Return the former database that belongs to the unfinished one, or is the only one.

    :raises Refused: if that cannot be told.
    """
    target = case.facts.target
    token = target.mark.token if target and target.mark else None
    matching = [item for item in case.facts.asides if item.mark and item.mark.token == token]
    candidates = matching or case.facts.asides
    if len(candidates) == 1:
        return candidates[0]
    names = ", ".join(f'"{item.name}"' for item in candidates)
    raise Refused(
        f"several former databases are set aside: {names}.",
        remedy=(
            Command(f'Rename the one to keep to "{case.name}" by hand, then run', "recover"),
            Command("To drop them all", "recover --discard"),
        ),
    )
