"""Plans for ``snapshot save``, ``restore`` and ``drop``."""

from __future__ import annotations

import dataclasses
import datetime
import shlex

from ...errors import DatabaseMissing, Refused, UsageError
from ...postgres import marks
from ...postgres.facts import Database, Facts
from ...postgres.marks import State
from ...remedies import Command
from ...sizes import size_text
from ..plan import Note, Plan, Request
from ..steps import MAKE, CloseToOthers, DropDatabase, MakeUnfinished, Publish, Reopen, Shelve, Step
from .replacing import carried, copying, finish, inherited, replace
from .situation import Situation, invalid, leftover_notes, refuse_interrupted, removing_leftovers

LABEL_LENGTH = 200
"""The largest number of characters of a snapshot's name, which is a part of a comment."""


def plan_snapshot(case: Situation) -> Plan:
    """Plan to copy a database, and to close the copy."""
    request, target, facts = case.request, case.present, case.facts
    refuse_interrupted(case)
    if target is None:
        message = f'database "{case.name}" does not exist.'
        raise DatabaseMissing(message, remedy=Command("Create and fill it", "setup"))
    if target.invalid:
        raise invalid(target)
    if not facts.can.rename:
        raise Refused(f'database "{case.name}" cannot be copied, because {facts.can.reason}.')
    label = time_text(facts.now) if request.snapshot is None else request.snapshot
    _check(label)
    if any(item.called == label for item in facts.snapshots):
        raise Refused(
            f'there is a snapshot "{label}" of database "{case.name}" already.',
            remedy=("Choose another name", Command("drop it", f"snapshot drop {shlex.quote(label)}")),
        )
    name = marks.name_for_new(case.name, case.token)
    parameters, _ = carried(target, facts)
    copied = dataclasses.replace(facts, template_name=target.name, template=target)
    make = MakeUnfinished(
        name=name,
        of=case.name,
        by=case.by,
        clauses={**inherited(target, facts), "database_template": target.name},
        like=target,
        parameters=parameters,
        strategy=copying(copied),
    )
    shelve = Shelve(
        name=name,
        to=marks.name_for_snapshot(case.name, case.token),
        of=case.name,
        by=case.by,
        label=label,
        like=target,
        revision=facts.revision,
    )
    steps: tuple[Step, ...] = (make, shelve)
    if request.force_disconnect or not all(session.counted for session in target.sessions):
        close = CloseToOthers(database=target, by=case.by, phase=MAKE)
        steps = (close, make, Reopen(database=target, by=case.by, said=False), shelve)
    steps = (*removing_leftovers(case), *steps)
    return Plan(request=request, steps=steps, vacates=target, notes=leftover_notes(case))


def plan_restore(case: Situation) -> Plan:
    """Plan to put a copy of a snapshot in the place of the database, all or nothing."""
    refuse_interrupted(case)
    facts, snapshot = case.facts, chosen_snapshot(case.request, case.facts)
    request = dataclasses.replace(
        case.request, reset_with="database", clauses={"database_template": snapshot.name}
    )
    case = Situation(request, facts, case.token)
    note = Note(f"{_of(case, snapshot)}, {size_text(snapshot.size)}{_at(snapshot)}, takes its place")
    if case.present is not None:
        plan = replace(case, case.present)
        return dataclasses.replace(plan, notes=(note, *plan.notes))
    temporary = marks.name_for_new(case.name, case.token)
    parameters, lost = carried(snapshot, facts)
    make = MakeUnfinished(
        name=temporary,
        of=case.name,
        by=case.by,
        clauses={**inherited(snapshot, facts), **request.clauses},
        like=snapshot,
        parameters=parameters,
        strategy=copying(facts),
    )
    steps: tuple[Step, ...] = (
        *removing_leftovers(case, agreed=True),
        make,
        Publish(name=temporary, to=case.name, by=case.by),
        finish(case, former=snapshot),
    )
    return Plan(request=request, steps=steps, unfinished=facts.target, notes=lost)


def plan_drop_snapshot(case: Situation) -> Plan:
    """Plan to drop a snapshot."""
    snapshot = chosen_snapshot(case.request, case.facts)
    drop = DropDatabase(database=snapshot)
    return Plan(request=case.request, steps=(drop,), destroys=snapshot)


def chosen_snapshot(request: Request, facts: Facts) -> Database:
    """Return the snapshot that is meant: the latest where no name was typed.

    :raises DatabaseMissing: if there is none.
    """
    of = request.source or request.dbname
    for item in facts.snapshots:
        if request.snapshot in (None, item.called):
            if item.invalid:
                raise Refused(f"{item.described} cannot be used: a DROP of it was interrupted.")
            return item
    which = "no snapshot" if request.snapshot is None else f'no snapshot "{request.snapshot}"'
    message = f'there is {which} of database "{of}".'
    if facts.snapshots and request.source is None:
        raise DatabaseMissing(message, remedy=Command("Look at them", "snapshot list"))
    save = Command("Save one", "snapshot save") if request.source is None else None
    raise DatabaseMissing(message, remedy=save)


def time_text(milliseconds: int | None) -> str:
    """Return a time as a snapshot without a name is called by it: local, to the second."""
    when = datetime.datetime.fromtimestamp((milliseconds or 0) / 1000)
    return when.isoformat(timespec="seconds")


def _check(label: str) -> None:
    if len(label) > LABEL_LENGTH or not label.strip() or not label.isprintable():
        raise UsageError(
            f"the name of a snapshot is text that can be printed, of at most {LABEL_LENGTH} characters."
        )


def _of(case: Situation, snapshot: Database) -> str:
    of = f' of database "{snapshot.mark.of}"' if snapshot.mark and snapshot.mark.of != case.name else ""
    return f"{snapshot.described}{of}"


def _at(snapshot: Database) -> str:
    revision = snapshot.mark.revision if snapshot.mark else None
    at = f", saved {time_text(snapshot.kept_at)}" if snapshot.state is State.SNAPSHOT else ""
    return f"{at}, at revision {revision}" if revision else at
