"""Run a plan, and undo what it did when it does not come to its end."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ..errors import FlaskPostgresError, Interrupted, LostRace, ServerError
from ..postgres import sessions
from ..postgres.admin import Connector, Session
from ..remedies import Command, Remedy
from ..reporting import Reporter
from .signals import Guard

if t.TYPE_CHECKING:
    from .build import Plan
    from .steps import Step

UNDO_ATTEMPTS = 8
UNDO_PAUSE = 1.0
"""Seconds between two attempts to reach the server for undoing: one that restarts needs a few."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Run:
    """What the steps of one plan work with, and what they leave for each other.

    :param initialize: fills the target by the app's own means; returns what it did.
    :param release: closes the connections that the app itself has open.
    :param make_extensions: makes extensions with more rights than the URI's role has, where the server
        is ours; None elsewhere. Takes the database's name and the extensions' names.
    :param made: the number (oid) of what this command makes for a name; None as long as the server has not
        told it.
    :param protected: the databases that this command has protected.
    :param filled: whether the app has filled the database.
    :param outcomes: what is said once nothing can take it back.
    :param remarks: what undoing has to tell.
    """

    connector: Connector
    admin: Session
    reporter: Reporter
    initialize: t.Callable[[], str] | None = None
    release: t.Callable[[], None] = lambda: None
    make_extensions: t.Callable[[str, t.Sequence[str]], None] | None = None
    sleep: t.Callable[[float], None] = time.sleep
    made: dict[str, int | None] = dataclasses.field(default_factory=dict)
    protected: set[str] = dataclasses.field(default_factory=set)
    filled: bool = False
    outcomes: list[str] = dataclasses.field(default_factory=list)
    remarks: list[str] = dataclasses.field(default_factory=list)

    @property
    def token(self) -> str:
        return self.connector.token


class Job(t.NamedTuple):
    """A plan, and what to run it with."""

    plan: Plan
    run: Run


@dataclasses.dataclass(slots=True)
class _Begun:
    """A step that has begun."""

    job: Job
    step: Step
    done: bool = False


def execute(jobs: t.Sequence[Job], *, guard: Guard | None = None) -> None:
    """Run plans, over one database or many: all of them or none.

    Steps run in the order of their phases, over all databases, so that nothing is dropped before every
    new database is complete.

    :raises FlaskPostgresError: why a step failed. Everything is as it was before, or the message says
        what could not be undone.
    :raises Interrupted: after the same undoing.
    """
    work = sorted(((job, step) for job in jobs for step in job.plan.steps), key=lambda pair: pair[1].phase)
    begun: list[_Begun] = []
    with guard or Guard() as guard, guard.freeing(lambda: _free(jobs)):
        try:
            for job, step in work:
                if step.final:
                    guard.deferred = True
                    _announce(jobs)
                begun.append(_Begun(job, step))
                with guard.holding(step.held):
                    step.run(job.run)
                begun[-1].done = True
                if not (step.held and len(begun) == len(work)):  # then all is done: too late to stop
                    guard.check()
            guard.deferred = True
            _announce(jobs)
        except BaseException as error:
            # An assignment and no call: before a call Python could deliver the next signal.
            guard.deferred = True
            guard.leave_if_forked(error)
            if begun and not any(one.step.final for one in begun):
                guard.settle()
                _undo(begun, error)
            raise


def _announce(jobs: t.Sequence[Job]) -> None:
    """Say what has been done, now that nothing can take it back."""
    for job in jobs:
        for text in job.run.outcomes:
            job.run.reporter.outcome(text)
        job.run.outcomes.clear()


def _undo(begun: t.Sequence[_Begun], error: BaseException) -> None:
    """Undo in reverse, each plan over a fresh session: the old one may be lost, or in the middle."""
    problems: list[str] = []
    reached: dict[int, bool] = {}
    for one in reversed(begun):
        run = one.job.run
        if not one.step.undoable:
            continue
        try:
            if id(run) not in reached:
                reached[id(run)] = False
                _reopen(run)
                reached[id(run)] = True
            if reached[id(run)]:
                one.step.undo(run)
        except Exception as problem:  # whatever it is, what can still be undone must be
            message = problem.message if isinstance(problem, FlaskPostgresError) else str(problem)
            problems.append(f"{one.step.describe()}: {message.rstrip('.')}")
    said = [text for one in begun if (text := one.step.remains(done=one.done))]
    runs = {id(one.job.run): one.job.run for one in begun}
    said += [text for run in runs.values() for text in run.remarks]
    remedies: tuple[Remedy, ...] = ()
    if problems:
        said.append("Undoing failed: " + "; ".join(problems))
        remedies = _RECOVER
    elif isinstance(error, (FlaskPostgresError, Interrupted)) and not isinstance(error, LostRace):
        plans = {id(one.job.plan): one.job.plan for one in begun}
        said += [f'Database "{plan.replaces}" is as it was.' for plan in plans.values() if plan.replaces]
    if said:
        _add_to(error, said, remedies)


_RECOVER = (Command("Once the server answers, look", "status"), Command("Put it back", "recover"))


def _reopen(run: Run) -> None:
    run.admin.close()
    with contextlib.suppress(Exception):
        run.release()
    for attempt in range(UNDO_ATTEMPTS):
        try:
            run.admin = run.connector.admin()
            if run.admin.pooled:
                run.admin.lift_timeouts()
            break
        except FlaskPostgresError:
            if attempt == UNDO_ATTEMPTS - 1:
                raise
            run.sleep(UNDO_PAUSE)
    with contextlib.suppress(ServerError):  # an engine that cannot end sessions
        sessions.end_former(run.admin, token=run.token, sleep=run.sleep)


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
        with contextlib.suppress(FlaskPostgresError), job.run.connector.admin() as admin:
            sessions.end_ours(admin, token=job.run.token, made=_numbers(job.run))


def _numbers(run: Run) -> tuple[int, ...]:
    return tuple(number for number in run.made.values() if number is not None)
