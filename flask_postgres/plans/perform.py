"""Carry out what was asked: look, check, confirm, take a turn, look and check again, run."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ..errors import FlaskPostgresError, LostRace
from ..postgres import facts as reading
from ..postgres.admin import Connector, Session
from ..postgres.capabilities import from_answers
from ..postgres.facts import Facts
from ..uri import PostgresUri
from . import checks, turns
from .build import Plan, Request, build
from .run import Job, Run, execute


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One database, what is wanted of it, and the means; see :class:`~flask_postgres.plans.run.Run`.

    :param build: makes the plan; the ordinary commands share one.
    """

    request: Request
    connector: Connector
    initialize: t.Callable[[], str] | None = None
    release: t.Callable[[], None] = lambda: None
    make_extensions: t.Callable[[str, t.Sequence[str]], None] | None = None
    build: t.Callable[[Request, Facts, str], Plan] = lambda request, facts, token: build(
        request, facts, token=token
    )


class Planned(t.NamedTuple):
    """A plan with the facts it was built from."""

    plan: Plan
    facts: Facts
    uri: PostgresUri


Confirm = t.Callable[[t.Sequence[Planned]], None]
"""Asks the user about everything that will be destroyed; raises NotConfirmed."""


def perform(works: t.Sequence[Work], *, confirm: Confirm | None = None) -> bool:
    """Do what is wanted, over all databases or none.

    :param confirm: None when the user has said yes beforehand.
    :returns: whether there was anything to do.
    :raises FlaskPostgresError: why it was not done; the message says so where something has changed.
    """
    for work in works:
        work.release()
    asked = [work for work in works if work.request.may_destroy]
    agreed = _agree(asked, confirm) if confirm and asked else None
    with contextlib.ExitStack() as stack:
        jobs, planned = [], []
        for work in sorted(works, key=lambda work: str(work.connector.uri)):
            run = _run(work, stack)
            planned.append(_plan(work, run.admin))
            jobs.append(Job(planned[-1].plan, run))
        _check(planned)
        if agreed is not None and _at_stake(planned) - agreed:
            message = "the databases have changed while you were asked; nothing was done."
            raise LostRace(message, hint="Run the command again.")
        for job in jobs:
            if job.plan.outcome is not None:
                job.run.reporter.outcome(job.plan.outcome)
        execute(jobs)
    return any(plan.steps for plan, _, _ in planned)


def look(work: Work) -> Planned:
    """Build the plan from the facts as they are now, and change nothing; where the server cannot be asked
    at all, from assumptions, which ``facts.assumed`` states.
    """
    try:
        with work.connector.admin() as admin:
            return _plan(work, admin)
    except FlaskPostgresError as error:
        facts = Facts(assumed=f"the server could not be asked ({error.message.rstrip('.')})")
        return _planned(work, facts)


def facts_of(work: Work, session: Session) -> Facts:
    """Read what a plan for this work needs to know."""
    clauses = work.request.clauses
    template, owner, tablespace = (clauses.get(key) for key in ("database_template", "owner", "tablespace"))
    facts = reading.read(
        session,
        work.request.dbname,
        template=None if template is None else str(template),
        roles=() if owner is None else (str(owner),),
        tablespaces=() if tablespace is None else (str(tablespace),),
        extensions=work.request.extensions,
    )
    if facts.target is not None and any(other.citus for other in facts.target.sessions):
        nodes = _citus_nodes(work.connector)
        can = from_answers(facts.version_text, facts.can.version, citus_nodes=nodes)
        facts = dataclasses.replace(facts, can=can)
    return facts


def _agree(works: t.Sequence[Work], confirm: Confirm) -> set[int]:
    """Look, check and ask. The turn is taken for looking alone: the user may take an hour to answer."""
    planned = []
    for work in works:
        with turns.take(work.connector) as admin:
            planned.append(_plan(work, admin))
    _check(planned)
    if any(plan.at_stake for plan, _, _ in planned):
        confirm(planned)
    return _at_stake(planned)


def _at_stake(planned: t.Sequence[Planned]) -> set[int]:
    return {plan.at_stake.oid for plan, _, _ in planned if plan.at_stake is not None}


def _check(planned: t.Sequence[Planned]) -> None:
    checks.raise_all(fault for plan, facts, _ in planned for fault in plan.faults(facts))


def _plan(work: Work, admin: Session) -> Planned:
    return _planned(work, facts_of(work, admin))


def _planned(work: Work, facts: Facts) -> Planned:
    plan = work.build(work.request, facts, work.connector.token)
    return Planned(plan, facts, work.connector.uri)


def _run(work: Work, stack: contextlib.ExitStack) -> Run:
    run = Run(
        connector=work.connector,
        admin=turns.take(work.connector),
        reporter=work.connector.reporter,
        initialize=work.initialize,
        release=work.release,
        make_extensions=work.make_extensions,
    )
    stack.callback(lambda: run.admin.close())
    return run


def _citus_nodes(connector: Connector) -> int:
    with connector.target() as session:
        present = session.value("SELECT to_regclass('pg_catalog.pg_dist_node')")
        if present is None:
            return 0
        return int(session.value("SELECT count(*) FROM pg_catalog.pg_dist_node WHERE groupid <> 0"))
