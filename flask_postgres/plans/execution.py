"""Run plans, and undo what they did when they do not come to their end."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ..errors import FlaskPostgresError, Interrupted, LostRace, ServerError
from ..postgres import sessions
from ..remedies import Command, Remedy
from .context import StepContext
from .plan import Plan
from .signals import Guard
from .steps import Step

UNDO_ATTEMPTS = 8
UNDO_PAUSE = 1.0
"""Seconds between two attempts to reach the server for undoing: a server that restarts needs a few."""


class Over(FlaskPostgresError):
    """Ends a plan whose steps are undone although none has failed."""


class Job(t.NamedTuple):
    """A plan, and what to run it with."""

    plan: Plan
    context: StepContext


@dataclasses.dataclass(slots=True)
class _Begun:
    """A step that has begun."""

    job: Job
    step: Step
    done: bool = False


def execute(jobs: t.Sequence[Job], *, guard: Guard) -> None:
    """Run plans, over one database or many: all of them or none.

    Steps run in the order of their phases, over all databases, so that nothing is dropped before every
    new database is complete.

    :raises FlaskPostgresError: why a step failed. Everything is as it was before, or the message says
        what could not be undone.
    :raises Over: if a plan is not to last, after undoing it.
    :raises Interrupted: after the same undoing.
    """
    work = sorted(((job, step) for job in jobs for step in job.plan.steps), key=lambda pair: pair[1].phase)
    begun: list[_Begun] = []
    with guard, guard.freeing(lambda: _free(jobs)):
        for job in jobs:
            job.context.hold = guard.holding
            job.context.check = guard.check
        try:
            for job, step in work:
                if step.final:
                    guard.deferred = True
                    _announce(jobs)
                begun.append(_Begun(job, step))
                step.run(job.context)
                begun[-1].done = True
                if not (step.held and len(begun) == len(work)):  # then all is done: too late to stop
                    guard.check()
            guard.deferred = True
            _announce(jobs)
            if not all(job.plan.lasting for job in jobs):
                raise Over("the scaffold was removed.")
        except BaseException as error:
            # An assignment and no call: before a call Python could deliver the next signal.
            guard.deferred = True
            guard.leave_if_forked(error)
            if begun and not any(one.step.final for one in begun):
                guard.settle()
                _undo_or_stop(begun, error, guard)
            raise


def _announce(jobs: t.Sequence[Job]) -> None:
    """Say what has been done, now that nothing can take it back."""
    for job in jobs:
        for text in job.context.outcomes:
            job.context.reporter.outcome(text)
        job.context.outcomes.clear()


def _undo_or_stop(begun: t.Sequence[_Begun], error: BaseException, guard: Guard) -> None:
    reporter = begun[0].job.context.reporter

    def report() -> None:
        reporter.note(
            "undoing takes long; Ctrl-C stops it.", Command("To restore the database then", "recover")
        )

    try:
        with guard.undoing(report):
            _undo(begun, error)
    except Interrupted as stopped:
        stopped.notes.append("Undoing was not finished.")
        stopped.remedies += _RECOVER
        raise stopped from error


def _undo(begun: t.Sequence[_Begun], error: BaseException) -> None:
    """Undo in reverse, each plan over a fresh session: the old one may be lost, or in the middle."""
    problems: list[str] = []
    reached: dict[int, bool] = {}
    for one in reversed(begun):
        context = one.job.context
        if not one.step.undoable:
            continue
        try:
            if id(context) not in reached:
                reached[id(context)] = False
                _reopen(context)
                reached[id(context)] = True
            if reached[id(context)]:
                one.step.undo(context)
        except Exception as problem:  # whatever it is, what can still be undone must be
            message = problem.message if isinstance(problem, FlaskPostgresError) else str(problem)
            problems.append(f"{one.step.describe()}: {message.rstrip('.')}")
    _report(begun, error, problems)


def _report(begun: t.Sequence[_Begun], error: BaseException, problems: t.Sequence[str]) -> None:
    """Add to the error what has become of each database."""
    remaining = [(one, text) for one in begun if (text := one.step.remains(done=one.done))]
    contexts = {id(one.job.context): one.job.context for one in begun}
    said = [text for _, text in remaining]
    said += [text for context in contexts.values() for text in (*context.remarks, *context.lost)]
    remedies: tuple[Remedy, ...] = ()
    if problems:
        said.append("Undoing failed: " + "; ".join(problems))
        remedies = _RECOVER
    elif isinstance(error, (FlaskPostgresError, Interrupted)) and not isinstance(error, LostRace):
        gone = {id(one.job.plan) for one, _ in remaining}
        jobs = {id(one.job.plan): one.job for one in begun if not one.job.context.remarks}
        said += [text for key, job in jobs.items() if key not in gone and (text := _as_before(job))]
    if said:
        _add_to(error, said, remedies)


def _as_before(job: Job) -> str | None:
    """Return what is said of a database once all is undone; None where nothing had been done to it."""
    if job.plan.replaces:
        return f'Database "{job.plan.replaces}" is as it was.'
    if job.context.made and job.plan.lasting:
        return f'Database "{job.plan.request.dbname}" was removed again.'
    return None


_RECOVER = (Command("Once the server answers, look", "status"), Command("Put it back", "recover"))


def _reopen(context: StepContext) -> None:
    """Open a fresh session for undoing; where the server has none to give, keep the one there is."""
    former = context.admin
    with contextlib.suppress(Exception):
        context.release()
    for attempt in range(UNDO_ATTEMPTS):
        try:
            context.session = context.connector.admin()
            if context.session.pooled:
                context.session.lift_timeouts()
            break
        except FlaskPostgresError as error:
            if former.usable():
                break
            if attempt == UNDO_ATTEMPTS - 1:
                raise
            if attempt == 0:
                context.reporter.note(f"undoing waits for the server: {error.message}")
            context.sleep(UNDO_PAUSE)
    if context.session is not former:
        former.close()
    with contextlib.suppress(ServerError):  # an engine that cannot end sessions
        sessions.end_former(context.admin, token=context.token, sleep=context.sleep)


def _add_to(error: BaseException, notes: t.Sequence[str], remedies: tuple[Remedy, ...]) -> None:
    if isinstance(error, (FlaskPostgresError, Interrupted)):
        error.notes += notes
        error.remedies += remedies
    else:
        wrapped = FlaskPostgresError(f"{type(error).__name__}: {error}", remedy=remedies)
        wrapped.notes += notes
        raise wrapped from error


def _free(jobs: t.Sequence[Job]) -> None:
    """End our sessions from outside: a driver that waits in C sees no signal."""
    for job in jobs:
        with contextlib.suppress(FlaskPostgresError), job.context.connector.admin() as admin:
            sessions.end_ours(admin, token=job.context.token, made=_oids(job.context))


def _oids(context: StepContext) -> tuple[int, ...]:
    return tuple(oid for oid in context.made.values() if oid is not None)
