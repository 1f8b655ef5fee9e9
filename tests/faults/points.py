"""Points of a running command at which something happens to it; the product knows nothing of them.

``install`` wraps the ``run`` of every step and ``Session.run``, so that each step has the points
``before``, ``statement 1`` (after the first statement), ``statement 2``… and ``after``; what the command
sends while it undoes, or outside of steps, are the points ``undo 1``, ``undo 2``…
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
import time
import typing as t

import psycopg

from flask_postgres.plans.steps import Step
from flask_postgres.postgres.session import Session

CUT = "cut"
PAUSE = "pause"


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens, and where.

    :param step: the number of the step in the plan; None for what is sent outside of steps.
    :param moment: the point.
    :param cause: the name of a signal, ``cut`` (our sessions are ended), or ``pause`` (the test does it:
        the file ``reached`` appears, and the command goes on when there is a file ``go``).
    :param dsn: how to reach the server as a superuser.
    """

    step: int | None
    moment: str
    cause: str
    folder: str
    dsn: str


class Points:
    """Counts the points, and lets the fault happen at its own."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault
        self.step: int | None = None
        self.steps = 0
        self.statements = 0
        self.outside = 0
        self.passed: list[str] = []

    def reach(self, moment: str) -> None:
        self.passed.append(f"{self.step} {moment}")
        fault = self.fault
        if fault is None or (fault.step, fault.moment) != (self.step, moment):
            return
        self.fault = None
        (pathlib.Path(fault.folder) / "reached").touch()
        if fault.cause == CUT:
            _cut(fault.dsn)
        elif fault.cause == PAUSE:
            _wait_for(pathlib.Path(fault.folder) / "go")
        else:
            os.kill(os.getpid(), signal.Signals[fault.cause])
            time.sleep(0.05)  # where Python code would go on

    def after_statement(self) -> None:
        if self.step is None:
            self.outside += 1
            self.reach(f"undo {self.outside}")
        else:
            self.statements += 1
            self.reach(f"statement {self.statements}")


points = Points(None)


def install(fault: Fault | None) -> None:
    """Let a fault happen in this process."""
    global points
    points = Points(fault)
    for kind in (Step, *_kinds(Step)):
        if "run" in vars(kind):
            kind.run = _wrapped(kind.run)  # type: ignore[method-assign]
    run_statements = Session.run

    def run_each(self: Session, *statements: t.Any, doing: str) -> None:
        for number, statement in enumerate(statements, 1):
            points.reach(f"sending {points.statements + 1}")
            run_statements(self, statement, doing=doing)
            points.after_statement()
            del number

    Session.run = run_each  # type: ignore[method-assign]


def in_callback() -> None:
    """The point of the app's callback, when it has done half."""
    points.reach("during")


def _kinds(kind: type[Step]) -> t.Iterator[type[Step]]:
    for child in kind.__subclasses__():
        yield child
        yield from _kinds(child)


def _wrapped(run: t.Callable[..., None]) -> t.Callable[..., None]:
    def wrapper(self: Step, of: t.Any) -> None:
        points.steps += 1
        points.step, points.statements = points.steps, 0
        try:
            points.reach("before")
            run(self, of)
            points.reach("after")
        finally:
            points.step = None

    return wrapper


def _cut(dsn: str) -> None:
    query = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name LIKE 'flask-postgres%' AND pid <> pg_backend_pid()
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        while connection.execute(query).fetchall():
            time.sleep(0.01)


def _wait_for(path: pathlib.Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"waited 60 s for {path}")
        time.sleep(0.01)
