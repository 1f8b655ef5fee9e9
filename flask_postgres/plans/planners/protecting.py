"""Plans for ``protect`` and ``unprotect``."""

from __future__ import annotations

from ...errors import DatabaseMissing, Refused
from ...postgres.facts import Database
from ...postgres.marks import State
from ...remedies import Command
from ..plan import Plan
from ..steps import Protect, Unprotect
from .situation import Situation


def plan_protect(case: Situation) -> Plan:
    """Plan to mark the target as protected."""
    target = _present(case)
    if target.state is State.PROTECTED:
        return Plan(request=case.request, outcome=f'database "{case.name}" is already protected')
    if target.state is not None:
        message = f'database "{case.name}" is not complete: a command was interrupted, or is at work.'
        raise Refused(message, remedy=Command("Look at it", "status"))
    protection = Protect(name=case.name, by=case.by, target=target, said=True)
    return Plan(request=case.request, steps=(protection,))


def plan_unprotect(case: Situation) -> Plan:
    """Plan to remove the mark again."""
    target = _present(case)
    if target.state is not State.PROTECTED:
        return Plan(request=case.request, outcome=f'database "{case.name}" is not protected')
    return Plan(request=case.request, steps=(Unprotect(database=target),), unprotects=target)


def _present(case: Situation) -> Database:
    target = case.facts.target
    if target is None:
        message = f'database "{case.name}" does not exist.'
        raise DatabaseMissing(message, remedy=Command("Create it", "create"))
    return target
