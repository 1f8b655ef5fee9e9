"""Carry out what was asked: look, check, confirm, take a turn, look and check again, run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
import typing as t

from ..errors import FlaskPostgresError, LostRace
from ..postgres import facts as reading
from ..postgres.admin import Connector, Session
from ..postgres.capabilities import Capabilities, from_answers
from ..postgres.facts import Database, Facts
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


LINGERING = 0.3
"""Seconds for which a session that has been closed may still be seen."""

Stake = tuple[t.Any, ...]
"""A database that will be gone: its server, its name, and its number, which is unique on that server only."""

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
        jobs: list[Job] = []
        planned: list[Planned] = []
        for work in sorted(works, key=_order):
            held = [job.run.admin for job in jobs]
            admin, one = turns.take(work.connector, functools.partial(_plan, work), held=held)
            run = _run(work, admin)
            stack.callback(_close, run)
            planned.append(one)
            jobs.append(Job(one.plan, run))
        _check(planned)
        if agreed is not None and _at_stake(planned) - agreed:
            message = "the databases have changed while you were asked; nothing was done."
            raise LostRace(message, remedy="Run the command again.")
        for job in jobs:
            if not (agreed and job.plan.at_stake):  # who was asked has read them
                _tell(job)
            if job.plan.outcome is not None:
                job.run.reporter.outcome(job.plan.outcome)
        execute(jobs)
    return any(plan.steps for plan, _, _ in planned)


def look(work: Work) -> Planned:
    """Build the plan from the facts as they are now, and change nothing; where the server cannot be asked
    at all, from assumptions, which ``facts.assumed`` states.
    """
    work.release()
    try:
        with work.connector.admin() as admin:
            facts = facts_of(work, admin)
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
    target = facts.target
    if target is not None and facts.citus and work.request.may_destroy:
        facts = dataclasses.replace(facts, can=_with_citus(facts, target, work.connector))
    return facts


def _agree(works: t.Sequence[Work], confirm: Confirm) -> set[Stake]:
    """Look, check and ask. The turn is taken for looking alone: the user may take an hour to answer."""
    planned = []
    for work in sorted(works, key=_order):
        admin, one = turns.take(work.connector, functools.partial(_plan, work))
        admin.close()
        planned.append(one)
    _check(planned)
    if any(plan.at_stake for plan, _, _ in planned):
        confirm(planned)
    return _at_stake(planned)


def _at_stake(planned: t.Sequence[Planned]) -> set[Stake]:
    return {(uri.hosts, item.name, item.oid) for plan, _, uri in planned for item in plan.doomed}


def _check(planned: t.Sequence[Planned]) -> None:
    checks.raise_all(fault for plan, facts, _ in planned for fault in plan.faults(facts))


def _plan(work: Work, admin: Session) -> Planned:
    planned = _planned(work, facts_of(work, admin))
    target, plan = planned.facts.target, planned.plan
    lost = plan.destroys if plan.ends_no_sessions else None
    if target is not None and target.abandoned:
        lost = target
    if lost is not None and lost.sessions:
        # A session closed a moment ago, perhaps the app's own, takes the server a moment to end.
        time.sleep(LINGERING)
        planned = _planned(work, facts_of(work, admin))
    return planned


def _planned(work: Work, facts: Facts) -> Planned:
    plan = work.build(work.request, facts, work.connector.token)
    return Planned(plan, facts, work.connector.uri)


def _run(work: Work, admin: Session) -> Run:
    return Run(
        connector=work.connector,
        admin=admin,
        reporter=work.connector.reporter,
        initialize=work.initialize,
        release=work.release,
        make_extensions=work.make_extensions,
    )


def _close(run: Run) -> None:
    run.admin.close()


def _tell(job: Job) -> None:
    for note in job.plan.notes:
        job.run.reporter.note(note)


def _order(work: Work) -> tuple[str, ...]:
    """Everybody takes turns in the same order, so that nobody waits for somebody who waits for them."""
    uri = work.connector.uri
    return (*(f"{host}:{port}" for host, port in uri.hosts), uri.dbname)


def _with_citus(facts: Facts, target: Database, connector: Connector) -> Capabilities:
    """Return the capabilities for a target on a server that has Citus: its own catalogue knows the nodes."""
    nodes: int | None = None
    if target.allow_connections and not target.invalid:
        with connector.target() as session:
            nodes = 0
            if session.value("SELECT to_regclass('pg_catalog.pg_dist_node')") is not None:
                nodes = int(session.value(_NODES))
    return from_answers(facts.version_text, facts.can.version, citus_nodes=nodes)


_NODES = "SELECT count(*) FROM pg_catalog.pg_dist_node WHERE groupid <> 0"
