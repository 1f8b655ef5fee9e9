"""The engine: look, check, confirm, take the lock, look and check again, run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
import typing as t

from ..errors import (
    CannotConnect,
    FlaskPostgresError,
    LostRace,
    Refused,
    ServerError,
    Unsupported,
)
from ..postgres import catalogue, contents, inside
from ..postgres.admin import Connector
from ..postgres.capabilities import Capabilities, from_answers
from ..postgres.facts import Database, Facts
from ..postgres.marks import State
from ..postgres.session import Session
from ..uri import PostgresUri
from . import lock, preflight
from .context import StepContext
from .execution import Job, execute
from .plan import AppRole, Plan, Request
from .planners import build
from .planners.replacing import why_inside
from .planners.snapshots import chosen_snapshot
from .signals import Guard


class Task(t.NamedTuple):
    """What is wanted of one database, and the means to do it."""

    request: Request
    context: StepContext


class Planned(t.NamedTuple):
    """A plan with the facts it was built from."""

    plan: Plan
    facts: Facts
    uri: PostgresUri


LINGERING = 0.3
"""Seconds for which a session that has been closed may still be seen."""

Stake = tuple[t.Any, ...]
"""A database that will be gone: its server, its name, and its OID, which is unique on that server only."""

Confirm = t.Callable[[t.Sequence[Planned]], None]
"""Asks the user about everything that will be destroyed; raises NotConfirmed."""


def run(
    tasks: t.Sequence[Task],
    *,
    confirm: Confirm | None = None,
    timeout: float = lock.PATIENCE,
    program: bool = True,
) -> bool:
    """Do what is wanted, over all databases or none.

    :param confirm: None when the user has said yes beforehand.
    :param timeout: seconds to wait for other commands on the same database.
    :param program: whether the process is ours, so that signals are handled.
    :returns: whether there was anything to do.
    :raises FlaskPostgresError: why it was not done; the message says so where something has changed.
    """
    for task in tasks:
        task.context.release()
    asked = [task for task in tasks if task.request.may_destroy]
    agreed = _agree(asked, confirm, timeout) if confirm and asked else None
    with contextlib.ExitStack() as stack:
        jobs: list[Job] = []
        planned: list[Planned] = []
        for task in sorted(tasks, key=_order):
            held = [job.context.admin for job in jobs]
            admin, one = lock.acquire(
                task.context.connector, functools.partial(_plan, task), held=held, timeout=timeout
            )
            task.context.session = admin
            stack.callback(task.context.close)
            planned.append(one)
            jobs.append(Job(one.plan, task.context))
        _check(planned)
        if agreed is not None and _at_stake(planned) - agreed:
            message = "the databases have changed since you were asked; nothing was changed."
            raise LostRace(message, remedy="Run the command again.")
        for job in jobs:
            if not (agreed and job.plan.at_stake):  # the question has shown them
                _tell(job)
            if job.plan.outcome is not None:
                job.context.reporter.outcome(job.plan.outcome)
        execute(jobs, guard=Guard(program=program))
    return any(plan.steps for plan, _, _ in planned)


def preview(task: Task) -> Planned:
    """Build the plan from the facts as they are now, and change nothing; where the server cannot be asked
    at all, from assumptions, which ``facts.assumed`` states.
    """
    task.context.release()
    connector = task.context.connector
    try:
        with connector.admin() as admin:
            lock.refuse_shared(connector, admin)
            facts = facts_of(task, admin)
    except Unsupported:
        raise
    except FlaskPostgresError as error:
        facts = Facts(assumed=f"the server could not be asked ({error.message.rstrip('.')})")
    return _planned(task, facts)


def facts_of(task: Task, session: Session) -> Facts:
    """Read what a plan for this work needs to know."""
    clauses, role = task.request.clauses, task.request.app_role
    template, owner, tablespace = (clauses.get(key) for key in ("database_template", "owner", "tablespace"))
    facts = catalogue.read(
        session,
        task.request.dbname,
        template=None if template is None else str(template),
        source=task.request.source,
        roles=tuple({*([str(owner)] if owner is not None else []), *([role.name] if role else [])}),
        tablespaces=() if tablespace is None else (str(tablespace),),
        extensions=task.request.extensions,
        program=task.context.connector.program,
    )
    if role is not None:
        facts = _with_app_role(facts, role, task)
    target = facts.target
    if task.request.command == "restore":
        chosen = chosen_snapshot(task.request, facts)
        facts = dataclasses.replace(facts, template=chosen, template_name=chosen.name)
    if task.request.command == "snapshot" and target is not None and target.allow_connections:
        with task.context.connector.target() as inside_it:
            facts = dataclasses.replace(facts, template=target, revision=contents.revision(inside_it))
    if target is not None and target.abandoned:
        rows = _holds_rows(target, task.context.connector)
        facts = dataclasses.replace(facts, target=dataclasses.replace(target, holds_rows=rows))
    moves = task.request.may_destroy or task.request.command == "snapshot"
    if target is not None and facts.citus and moves:
        facts = dataclasses.replace(facts, can=_with_citus(facts, target, task.context.connector))
    if target is not None and _reads_inside(task.request, facts):
        facts = _look_inside(facts, session, task.context.connector)
    return facts


def _with_app_role(facts: Facts, role: AppRole, task: Task) -> Facts:
    """Return the facts as they are for a command that creates the app's role and may borrow its rights."""
    makes = role.name in facts.missing_roles and task.request.command in (
        "create",
        "setup",
        "reset",
        "scaffold",
    )
    grantable = (*facts.grantable_roles, *([role.name] if makes else []))
    target = facts.target
    needed = (*facts.unusable_roles, *([target.owner] if target and not target.owned else []))
    borrows = not facts.role.superuser and (makes or role.name in needed) and role.name in grantable
    if borrows and target is not None:
        owned = target.owned or target.owner == role.name
        ended = tuple(
            dataclasses.replace(one, endable=one.endable or one.user == role.name) for one in target.sessions
        )
        target = dataclasses.replace(target, owned=owned, sessions=ended)
    relatives = facts.relatives
    if borrows:
        relatives = tuple(
            dataclasses.replace(item, owned=item.owned or item.owner == role.name) for item in relatives
        )
    return dataclasses.replace(
        facts,
        target=target,
        relatives=relatives,
        makes_role=role.name if makes else None,
        borrows_role=role.name if borrows else None,
        missing_roles=tuple(name for name in facts.missing_roles if not (makes and name == role.name)),
        unusable_roles=tuple(name for name in facts.unusable_roles if not (borrows and name == role.name)),
        refused=None if role.name in facts.missing_roles else _refused(facts, task.context.connector),
    )


def _refused(facts: Facts, connector: Connector) -> FlaskPostgresError | None:
    """Return why the app's role, which exists, cannot be used: its password, or another server."""
    try:
        with connector.open(facts.admin_dbname, as_app=True) as session:
            identifier = "SELECT CAST(system_identifier AS text) FROM pg_catalog.pg_control_system()"
            server = session.value(identifier)
    except ServerError as error:  # it need not be let into that database, nor be told
        return error if error.refuses_password else None
    if facts.server is None or server == facts.server:
        return None
    message = f"admin_uri leads to another server ({facts.address}) than the target's URI."
    return Refused(message, remedy="Let both lead to the same one.")


def _agree(tasks: t.Sequence[Task], confirm: Confirm, timeout: float) -> set[Stake]:
    """Look, check and ask. The lock is held for looking alone: the user may take an hour to answer."""
    planned = []
    for task in sorted(tasks, key=_order):
        admin, one = lock.acquire(task.context.connector, functools.partial(_plan, task), timeout=timeout)
        admin.close()
        planned.append(one)
    _check(planned)
    if any(plan.at_stake for plan, _, _ in planned):
        confirm(planned)
    return _at_stake(planned)


def _at_stake(planned: t.Sequence[Planned]) -> set[Stake]:
    return {(uri.hosts, item.name, item.oid) for plan, _, uri in planned for item in plan.doomed}


def _check(planned: t.Sequence[Planned]) -> None:
    preflight.raise_all(fault for plan, facts, _ in planned for fault in plan.faults(facts))


def _plan(task: Task, admin: Session) -> Planned:
    planned = _planned(task, facts_of(task, admin))
    target, plan = planned.facts.target, planned.plan
    lost = plan.emptied if plan.ends_no_sessions else None
    if target is not None and target.abandoned:
        lost = target
    if lost is not None and lost.sessions:
        # A session closed a moment ago, perhaps the app's own, takes the server a moment to end.
        time.sleep(LINGERING)
        planned = _planned(task, facts_of(task, admin))
    return planned


def _planned(task: Task, facts: Facts) -> Planned:
    plan = build(task.request, facts, token=task.context.token)
    return Planned(plan, facts, task.context.connector.uri)


def _tell(job: Job) -> None:
    for note in job.plan.notes:
        job.context.reporter.note(note.text, *note.remedies)


def _order(task: Task) -> tuple[str, ...]:
    """Return the order in which locks are taken: the same for all commands, so that there is no deadlock."""
    uri = task.context.connector.uri
    return (*(f"{host}:{port}" for host, port in uri.hosts), uri.dbname)


def _holds_rows(target: Database, connector: Connector) -> bool:
    """Tell whether somebody may have put rows into an unfinished database; when in doubt, yes."""
    if target.closed_empty:
        return False
    if not target.allow_connections or target.invalid:
        return True
    try:
        with connector.target() as session:
            return contents.holds_rows(session)
    except CannotConnect:
        return True


def _reads_inside(request: Request, facts: Facts) -> bool:
    """Tell whether a plan depends on what the target holds."""
    target = facts.target
    if target is None or target.invalid or not target.allow_connections:
        return False
    if request.command in ("setup", "recover", "discard") and not request.overwrite:
        return target.state in (None, State.PROTECTED)
    if request.overwrite or request.command == "reset":
        return why_inside(request, facts) is not None
    return request.command == "init" and not facts.role.createdb


def _look_inside(facts: Facts, admin: Session, connector: Connector) -> Facts:
    here = admin.dbname == connector.uri.dbname
    with contextlib.nullcontext(admin) if here else connector.target() as session:
        found = inside.read(session, server=facts.server)
        return dataclasses.replace(
            facts, inside=found, holds_rows=contents.holds_rows(session, but_aside=True)
        )


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
