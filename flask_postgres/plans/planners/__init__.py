"""All that the tool can do to a database: pure functions from a request and facts to a plan."""

from __future__ import annotations

import typing as t

from ...postgres.facts import Facts
from ..plan import CommandName, Plan, Request
from .creating import plan_create, plan_init, plan_scaffold, plan_seed
from .dropping import plan_drop, plan_reset
from .protecting import plan_protect, plan_unprotect
from .recovering import plan_discard, plan_recover
from .roles import with_app_role
from .situation import Situation
from .snapshots import plan_drop_snapshot, plan_restore, plan_snapshot
from .undoing import plan_undo, plan_undo_discard

PLANNERS: dict[CommandName, t.Callable[[Situation], Plan]] = {
    "create": plan_create,
    "init": plan_init,
    "drop": plan_drop,
    "setup": plan_create,
    "reset": plan_reset,
    "seed": plan_seed,
    "undo": plan_undo,
    "undo_discard": plan_undo_discard,
    "snapshot": plan_snapshot,
    "restore": plan_restore,
    "drop_snapshot": plan_drop_snapshot,
    "protect": plan_protect,
    "unprotect": plan_unprotect,
    "recover": plan_recover,
    "discard": plan_discard,
    "scaffold": plan_scaffold,
}
"""Each command's planner. ``discard`` is ``recover --discard``, and ``undo_discard`` is ``undo --discard``;
``scaffold`` lends a database for loading."""


def build(request: Request, facts: Facts, *, token: str) -> Plan:
    """Build the plan of a command.

    :param token: names the command in the marks that it leaves.
    :raises Refused: if an earlier command was interrupted and only ``recover`` can decide what to keep,
        or another command is at work on the database.
    :raises DatabaseMissing: if there is nothing to initialize, protect or unprotect.
    :raises DatabaseInUse: if an unfinished database holds rows.
    """
    plan = PLANNERS[request.command](Situation(request, facts, token))
    return with_app_role(plan, facts) if plan.steps else plan
