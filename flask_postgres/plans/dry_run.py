"""A plan in words and SQL: what ``--dry-run`` prints."""

from __future__ import annotations

import typing as t

from ..postgres.ddl import sql_text
from ..postgres.probe import address_text
from ..remedies import Remedy, for_shell, joined
from .engine import Planned

_TYPED = {
    "discard": "recover --discard",
    "undo_discard": "undo --discard",
    "snapshot": "snapshot save",
    "restore": "snapshot restore",
    "drop_snapshot": "snapshot drop",
}
"""What the user has typed, where that is not the plan's own name."""


def as_text(planned: Planned, *, render: t.Callable[[Remedy], str] = for_shell) -> str:
    """Return the plan, step by step, with its exact SQL.

    :param render: shows a remedy.
    """
    return "\n".join(_lines(planned, render))


def _lines(planned: Planned, render: t.Callable[[Remedy], str]) -> t.Iterator[str]:
    plan, facts, uri = planned
    where = facts.address or address_text(uri)
    command = _TYPED.get(plan.request.command, plan.request.command)
    yield f'{command} of database "{plan.request.dbname}" on {where}'
    if facts.assumed:
        yield f"Assumed, because {facts.assumed}: the database does not exist."
    if plan.outcome:
        yield plan.outcome
    if not plan.steps:
        yield "There is nothing to do."
    for note in plan.notes:
        yield f"Note: {joined(note.text, remedies=[render(item) for item in note.remedies])}"
    for number, step in enumerate(plan.steps, 1):
        yield f"{number}. {step.describe()}"
        for statement in step.statements():
            yield f"     {sql_text(statement)};"
