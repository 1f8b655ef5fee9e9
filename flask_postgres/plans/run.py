"""Run a plan, and undo what it did when it does not come to its end."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ..errors import FlaskPostgresError, Interrupted
from ..postgres import sessions
from ..postgres.admin import Connector, Session
from ..reporting import Reporter
from .signals import Guard

if t.TYPE_CHECKING:
    from .build import Plan
    from .steps import Step

UNDO_ATTEMPTS = 5
UNDO_PAUSE = 1.0
"""Seconds between two attempts to reach the server for undoing."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Run:
    """What the steps of one plan work with.

    :param initialize: fills the target by the app's own means; returns what it did.
    :param release: closes the connections that the app itself has open.
    :param make_extensions: makes extensions with more rights than the URI's role has, where the server
        is ours; None elsewhere. Takes the database's name and the extensions' names.
    """

    connector: Connector
    admin: Session
    reporter: Reporter
    initialize: t.Callable[[], str] | None = None
    release: t.Callable[[], None] = lambda: None
    make_extensions: t.Callable[[str, t.Sequence[str]], None] | None = None
    sleep: t.Callable[[float], None] = time.sleep
    created: set[str] = dataclasses.field(default_factory=set)
    outcomes: list[str] = dataclasses.field(default_factory=list)

    @property
    def token(self) -> str:
        return self.connector.token


class Job(t.NamedTuple):
    """A plan, and what to run it with."""

    plan: Plan
    run: Run


def execute(jobs: t.Sequence[Job], *, guard: Guard | None = None) -> None:
    """Run plans, over one database or many: all of them or none.

    Steps run in the order of their phases, over all databases, so that nothing is dropped before every
    new database is complete.

    :raises FlaskPostgresError: why a step failed. Everything is as it was before, or the message says
        what could not be undone.
    :raises Interrupted: after the same undoing.
    """
    work = sorted(((job, step) for job in jobs for step in job.plan.steps), key=lambda pair: pair[1].phase)
    started: list[tuple[Job, Step]] = []
    with guard or Guard() as guard, guard.freeing(lambda: _free(jobs)):
        try:
            for job, step in work:
                if step.final:
                    guard.defer()
                    _announce(jobs)
                started.append((job, step))
                step.run(job.run)
                guard.check()
            guard.defer()
            _announce(jobs)
        except BaseException as error:
            guard.defer()
            if not started or started[-1][1].final:
                raise
            _undo(started, error)
            raise


def _announce(jobs: t.Sequence[Job]) -> None:
    """Say what has been done, now that nothing can take it back."""
    for job in jobs:
        for text in job.run.outcomes:
            job.run.reporter.outcome(text)
        job.run.outcomes.clear()


def _undo(started: t.Sequence[tuple[Job, Step]], error: BaseException) -> None:
    """Undo in reverse, each plan over a fresh session: the old one may be lost, or in the middle."""
    if not any(step.undoable for _, step in started):
        return
    problems: list[str] = []
    reopened: set[int] = set()
    for job, step in reversed(started):
        try:
            if id(job.run) not in reopened:
                _reopen(job.run)
                reopened.add(id(job.run))
            step.undo(job.run)
        except FlaskPostgresError as problem:
            problems.append(f"{step.describe()}: {problem.message}")
    if problems:
        _add_to(error, "Undoing failed: " + "; ".join(problems) + _RECOVER)


_RECOVER = " Nothing was dropped; once the server answers, run: flask psql recover"


def _reopen(run: Run) -> None:
    run.admin.close()
    with contextlib.suppress(Exception):
        run.release()
    for attempt in range(UNDO_ATTEMPTS):
        try:
            run.admin = run.connector.admin()
            return
        except FlaskPostgresError:
            if attempt == UNDO_ATTEMPTS - 1:
                raise
            run.sleep(UNDO_PAUSE)


def _add_to(error: BaseException, text: str) -> None:
    if isinstance(error, FlaskPostgresError):
        error.hint = f"{error.hint} {text}" if error.hint else text
    elif isinstance(error, Interrupted):
        error.remark = text
    else:
        raise FlaskPostgresError(f"{type(error).__name__}: {error}", hint=text) from error


def _free(jobs: t.Sequence[Job]) -> None:
    """End our sessions from outside: a driver that waits in C sees no signal."""
    for job in jobs:
        with contextlib.suppress(FlaskPostgresError), job.run.connector.admin() as admin:
            sessions.end_ours(admin, token=job.run.token)
