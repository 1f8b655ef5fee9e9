"""What a plan does about the app's role, where another one administers."""

from __future__ import annotations

import dataclasses

from ...postgres.facts import Facts
from ..plan import Plan
from ..steps import BorrowRole, CreateRole, GiveRoleBack, Step


def with_app_role(plan: Plan, facts: Facts) -> Plan:
    """Return the plan with the app's role created and its rights borrowed, as far as that is needed."""
    role, steps = plan.request.app_role, list(plan.steps)
    before: list[Step] = []
    if role is not None and facts.makes_role is not None:
        before.append(CreateRole(name=role.name, password=role.password))
    if facts.borrows_role is not None:
        before.append(BorrowRole(name=facts.borrows_role, explicit=facts.can.version >= 160000))
        steps.append(GiveRoleBack(name=facts.borrows_role))
    return dataclasses.replace(plan, steps=(*before, *steps))
