"""Plans run in phases over all databases, and are undone in reverse, whatever goes wrong meanwhile."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.errors import FlaskPostgresError, Interrupted, Refused
from flask_postgres.plans import execution
from flask_postgres.plans.context import StepContext
from flask_postgres.plans.execution import Job
from flask_postgres.plans.plan import Plan, Request
from flask_postgres.plans.signals import Guard
from flask_postgres.plans.steps import DISCARD, FILL, FINISH, SWAP, CreateDatabase, Protect, Step
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.facts import Database
from flask_postgres.postgres.marks import Signature
from flask_postgres.reporting import Silence

from ..servers import Server

LOG: list[str] = []


def execute(jobs: t.Sequence[Job]) -> None:
    execution.execute(jobs, guard=Guard())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noting(Step):
    """A step that notes what is done to it."""

    name: str
    raises: BaseException | None = None
    undoing_raises: Exception | None = None
    says: str | None = None
    stays: str | None = None

    def describe(self) -> str:
        return self.name

    def run(self, context: StepContext) -> None:
        LOG.append(self.name)
        if self.says:
            context.outcomes.append(self.says)
        if self.raises is not None:
            raise self.raises

    def undo(self, context: StepContext) -> None:  # noqa: ARG002
        LOG.append(f"undo {self.name}")
        if self.undoing_raises is not None:
            raise self.undoing_raises

    def remains(self, *, done: bool) -> str | None:
        return self.stays if done else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swapping(Noting):
    phase: int = SWAP


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filling(Noting):
    phase: int = FILL
    undoable: t.ClassVar[bool] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dropping(Noting):
    phase: int = DISCARD
    final: t.ClassVar[bool] = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holding(Noting):
    held: t.ClassVar[bool] = True


class Outcomes(Silence):
    def outcome(self, message: str) -> None:
        LOG.append(f"says {message}")


@pytest.fixture(autouse=True)
def _no_log() -> None:
    LOG.clear()


@pytest.fixture
def jobs(database: PostgresUri) -> t.Iterator[t.Callable[..., list[Job]]]:
    """Return what makes jobs of lists of steps."""
    made: list[StepContext] = []

    def make(*plans: t.Sequence[Step]) -> list[Job]:
        request = Request(command="reset", dbname=database.dbname)
        for _ in plans:
            connector = Connector(uri=database, token="0a0b0c0d", reporter=Outcomes())
            made.append(StepContext(connector=connector, session=connector.admin()))
        return [
            Job(Plan(request=request, steps=tuple(steps)), context)
            for steps, context in zip(plans, made, strict=True)
        ]

    yield make
    for context in made:
        context.close()


Jobs = t.Callable[..., list[Job]]


def test_phases_before_databases(jobs: Jobs) -> None:
    """No old database is dropped before every new one is complete."""
    execute(
        jobs(
            [Noting(name="make 1"), Filling(name="fill 1", says="one"), Dropping(name="drop 1")],
            [Noting(name="make 2"), Filling(name="fill 2", says="two"), Dropping(name="drop 2")],
        )
    )
    assert LOG == ["make 1", "make 2", "fill 1", "fill 2", "says one", "says two", "drop 1", "drop 2"]


@pytest.mark.parametrize("error", [Refused("no"), Interrupted(2), SystemExit(0), KeyboardInterrupt()])
def test_undone_in_reverse(jobs: Jobs, error: BaseException) -> None:
    with pytest.raises(type(error)):
        execute(
            jobs(
                [Noting(name="make 1"), Swapping(name="swap 1"), Filling(name="fill 1", says="one")],
                [Noting(name="make 2"), Swapping(name="swap 2"), Filling(name="fill 2", raises=error)],
            )
        )
    assert LOG[-4:] == ["undo swap 2", "undo swap 1", "undo make 2", "undo make 1"]
    assert not any(line.startswith("says") for line in LOG)


def test_nothing_is_undone_once_something_is_gone(jobs: Jobs) -> None:
    """A failure that comes after a DROP of another database would take the new one of that away, too."""
    late = Noting(name="protect 2", raises=Refused("no"), phase=DISCARD)
    with pytest.raises(Refused):
        execute(jobs([Noting(name="make 1"), Dropping(name="drop 1")], [Noting(name="make 2"), late]))
    assert LOG == ["make 1", "make 2", "drop 1", "protect 2"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Meddling(Step):
    """What somebody else does to a database that has just been created; then the plan fails."""

    name: str
    statements_of_others: tuple[str, ...]
    server: Server
    phase: int = FILL

    def describe(self) -> str:
        return "fail"

    def run(self, context: StepContext) -> None:  # noqa: ARG002
        for statement in self.statements_of_others:
            self.server.execute(statement.format(f'"{self.name}"'))
        raise Refused("no")


@pytest.mark.parametrize(
    ("statements", "stays", "said"),
    [
        ((), False, None),
        (("DROP DATABASE {}", "CREATE DATABASE {} OWNER app_dev"), True, None),
        (("COMMENT ON DATABASE {} IS '[flask-postgres:protected {{}}]'",), True, "is protected"),
    ],
)
def test_only_what_was_created_is_dropped_again(
    jobs: Jobs, server: Server, dbname: str, statements: tuple[str, ...], stays: bool, said: str | None
) -> None:
    name = f"{dbname}_created"
    steps = [
        CreateDatabase(name=name, clauses={}),
        Meddling(name=name, statements_of_others=statements, server=server),
    ]
    with pytest.raises(Refused) as caught:
        execute(jobs(steps))
    assert (name in server.names()) == stays
    assert said is None or said in str(caught.value)


def test_what_was_protected_is_not_any_more(jobs: Jobs, server: Server, dbname: str) -> None:
    """Several databases are protected, or none."""
    found = server.execute("SELECT oid FROM pg_database WHERE datname = %s", dbname)
    step = Protect(name=dbname, by=Signature("0a0b0c0d"), target=Database(name=dbname, oid=found[0][0]))
    with pytest.raises(Refused):
        execute(jobs([step, Noting(name="fail", raises=Refused("no"), phase=FINISH)]))
    comment = server.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", dbname
    )
    assert comment == [(None,)]


def test_the_step_that_failed_is_undone_too(jobs: Jobs) -> None:
    with pytest.raises(Refused):
        execute(jobs([Noting(name="make"), Swapping(name="swap", raises=Refused("no"))]))
    assert LOG == ["make", "swap", "undo swap", "undo make"]


@pytest.mark.parametrize(
    "problem", [FlaskPostgresError("gone"), RuntimeError("gone"), BrokenPipeError("gone")]
)
def test_undoing_goes_on_after_a_failure_and_says_so(jobs: Jobs, problem: Exception) -> None:
    with pytest.raises(Refused) as caught:
        execute(
            jobs([Noting(name="make"), Swapping(name="swap", raises=Refused("no"), undoing_raises=problem)])
        )
    assert LOG == ["make", "swap", "undo swap", "undo make"]
    assert " ".join(caught.value.notes) == "Undoing failed: swap: gone"
    assert "Once the server answers, look: flask psql status, or put it back: flask psql recover" in str(
        caught.value
    )


def test_undoing_begins_when_no_session_is_being_ended(jobs: Jobs) -> None:
    class Settling(Guard):
        def settle(self) -> None:
            LOG.append("settle")
            super().settle()

    with pytest.raises(Refused):
        execution.execute(jobs([Swapping(name="swap", raises=Refused("no"))]), guard=Settling())
    assert LOG == ["swap", "settle", "undo swap"]


class Signalled(Guard):
    """As if a signal had come during the first step."""

    def check(self) -> None:
        raise Interrupted(15)


def test_a_signal_is_too_late_once_the_last_step_is_done_that_cannot_be_undone(jobs: Jobs) -> None:
    try:
        execution.execute(jobs([Holding(name="protect")]), guard=Signalled())
    except Interrupted:  # which would end pytest
        pytest.fail("it was undone")
    assert LOG == ["protect"]


def test_a_signal_is_not_too_late_while_another_step_follows(jobs: Jobs) -> None:
    with pytest.raises(Interrupted):
        execution.execute(jobs([Holding(name="protect"), Holding(name="never")]), guard=Signalled())
    assert LOG == ["protect", "undo protect"]


def test_nothing_final_is_undone(jobs: Jobs) -> None:
    with pytest.raises(RuntimeError):
        execute(jobs([Noting(name="make", says="done"), Dropping(name="drop", raises=RuntimeError())]))
    assert LOG == ["make", "says done", "drop"]


def test_what_stays_is_said(jobs: Jobs) -> None:
    failing = Swapping(name="b", raises=Interrupted(15), stays="It had not ended.")
    with pytest.raises(Interrupted) as caught:
        execute(jobs([Noting(name="a", stays="It stays."), failing]))
    assert caught.value.notes == ["It stays."]


def test_the_session_there_is_undoes_when_there_is_no_other(jobs: Jobs) -> None:
    """A server without a free connection must not keep the database from being put back."""
    (job,) = jobs([Swapping(name="swap", raises=Refused("no"))])
    full = dataclasses.replace(job.context.connector, admin_dbname="no_such")
    job.context.connector = full
    with pytest.raises(Refused) as caught:
        execute([job])
    assert LOG == ["swap", "undo swap"]
    assert caught.value.notes == []


def test_a_server_that_is_gone_is_tried_for_a_while(jobs: Jobs) -> None:
    """Every step is told as not undone, but the server is not waited for again for each of them."""
    (job,) = jobs([Noting(name="make"), Swapping(name="swap", raises=Refused("no"))])
    pauses: list[float] = []
    job.context.sleep = pauses.append
    gone = dataclasses.replace(
        job.context.connector, uri=job.context.connector.uri.with_dbname("x"), admin_dbname="no_such"
    )
    job.context.connector = gone
    job.context.close()
    with pytest.raises(Refused) as caught:
        execute([job])
    assert pauses == [1.0] * 7
    assert LOG == ["make", "swap"]
    assert "Undoing failed: swap: " in str(caught.value)
    assert "flask psql recover" in str(caught.value)
