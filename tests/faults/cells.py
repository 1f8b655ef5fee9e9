"""The cells of the kill matrix: every point of every plan, and every cause.

The points come from the plans themselves, which are data: a new step, or a new statement of one, joins
the matrix by itself.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
import typing as t

from flask_postgres.app.seeds.declared import SqlFile
from flask_postgres.plans.plan import Request
from flask_postgres.plans.planners import build
from flask_postgres.plans.steps import Initialize, Step
from flask_postgres.postgres import ddl
from flask_postgres.postgres.facts import Database, Facts, Parameter
from flask_postgres.postgres.marks import Mark, State

FULL = os.environ.get("FLASK_POSTGRES_MATRIX") == "full"
CAUSES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "cut", "stop")
BLOCKABLE = (ddl.CreateDatabase, ddl.DropDatabase, ddl.RenameDatabase, ddl.CommentOnDatabase)
"""Statements that a lock, or a checkpointer that sleeps, can keep in the middle."""

OLD = Database(
    name="target",
    oid=1,
    owner="app_dev",
    comment="kept",
    connection_limit=7,
    parameters=(Parameter("work_mem", "5MB"),),
)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command in a situation.

    :param arguments: those of ``flask psql``.
    :param found: what the command finds; ``unfinished`` and ``aside`` is what a killed setup and a killed
        reset leave; ``kept`` is a database and a former one, ``dropped`` a former one alone,
        ``saved`` a database and a snapshot of it.
    :param stride: one of so many points is tried where not all are; 0 tries none of them.
    """

    name: str
    arguments: tuple[str, ...]
    request: Request
    found: t.Literal["nothing", "old", "unfinished", "aside", "protected", "kept", "dropped", "saved"] = "old"
    stride: int = 0

    @property
    def old(self) -> bool:
        """Whether there is a database that must not be lost."""
        return self.found not in ("nothing", "unfinished")

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of its plan."""
        unfinished = Database(name="target", oid=2, mark=Mark(State.UNFINISHED, "target", "12345678"))
        aside = dataclasses.replace(
            OLD, name="target~old~12345678", mark=Mark(State.ASIDE, "target", "12345678")
        )
        kept = dataclasses.replace(aside, mark=Mark(State.KEPT, "target", "12345678"))
        saved = dataclasses.replace(
            OLD, name="target~snap~12345678", mark=Mark(State.SNAPSHOT, "target", "12345678", label="s")
        )
        target = {
            "nothing": None,
            "old": OLD,
            "unfinished": unfinished,
            "aside": unfinished,
            "kept": OLD,
            "dropped": None,
            "saved": OLD,
            "protected": dataclasses.replace(OLD, mark=Mark(State.PROTECTED)),
        }[self.found]
        facts = Facts(
            target=target,
            relatives={"aside": (aside,), "kept": (kept,), "dropped": (kept,)}.get(self.found, ()),
            template=Database(name="template1", is_template=True),
        )
        if self.found == "saved":
            more = {"snapshots": (saved,), "template": saved, "template_name": saved.name}
            facts = dataclasses.replace(facts, relatives=(saved,), **more)
        return build(self.request, facts, token="0a0b0c0d").steps


def _request(command: t.Any, **options: t.Any) -> Request:
    return Request(command=command, dbname="target", **options)


SCENARIOS = (
    Scenario("reset", ("reset", "-f", "-fd"), _request("reset", force_disconnect=True), stride=2),
    Scenario("setup", ("setup",), _request("setup"), "nothing", 4),
    Scenario("overwrite", ("create", "-o", "-f"), _request("create", overwrite=True), stride=6),
    Scenario("again", ("setup",), _request("setup"), "unfinished", 7),
    Scenario("drop", ("drop", "-f"), _request("drop"), stride=2),
    Scenario("recover", ("recover", "-f"), _request("recover"), "aside", 3),
    Scenario("discard", ("recover", "--discard", "-f"), _request("discard"), "aside", 3),
    Scenario("protect", ("protect",), _request("protect"), stride=2),
    Scenario("unprotect", ("unprotect", "-f"), _request("unprotect"), "protected", 2),
    Scenario("undo", ("undo", "-fd"), _request("undo", force_disconnect=True), "kept", 6),
    Scenario("undropped", ("undo",), _request("undo"), "dropped", 6),
    Scenario(
        "save",
        ("snapshot", "save", "s", "-fd"),
        _request("snapshot", snapshot="s", force_disconnect=True),
        stride=8,
    ),
    Scenario("restore", ("snapshot", "restore", "-f"), _request("restore"), "saved", 9),
    Scenario(
        "seeded",
        ("reset", "-f", "--seed", "seed.sql"),
        _request("reset", seeds=(SqlFile(pathlib.Path("seed.sql")),)),
        stride=12,
    ),
    Scenario("next", ("reset", "-f"), _request("reset"), "kept", 11),
    Scenario("final", ("reset", "-f", "--final"), _request("reset", final=True), stride=11),
    Scenario("gone", ("drop", "-f", "--final"), _request("drop", final=True), stride=6),
    Scenario("politely", ("reset", "-f"), _request("reset")),
    Scenario(
        "replaced", ("setup", "-o", "-f", "-fd"), _request("setup", overwrite=True, force_disconnect=True)
    ),
)

RESET = SCENARIOS[0]
FINAL = next(scenario for scenario in SCENARIOS if scenario.name == "final")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One case of the matrix.

    :param step: its number in the plan.
    :param statement: the one in the middle of which it happens; 0 for a point between statements.
    """

    scenario: Scenario
    step: int
    name: str
    moment: str
    cause: str
    driver: str
    statement: int = 0

    def __str__(self) -> str:
        return "-".join(
            (self.scenario.name, self.name, self.moment.replace(" ", ""), self.cause, self.driver)
        )

    @property
    def sends(self) -> ddl.ExecutableDDLElement:
        """The statement in the middle of which it happens."""
        return self.scenario.steps[self.step - 1].statements()[self.statement - 1]

    @property
    def late(self) -> bool:
        """Whether the point of no return may lie behind."""
        names = [type(step).__name__ for step in self.scenario.steps]
        last = names.index("Finish") if "Finish" in names else len(names) - 1
        return self.step - 1 >= last


def points(scenario: Scenario) -> t.Iterator[tuple[int, str, str, int]]:
    """Yield every point: the step's number and name, the moment, and the statement if within one."""
    for number, step in enumerate(scenario.steps, 1):
        name = type(step).__name__
        yield number, name, "before", 0
        if isinstance(step, Initialize):
            yield number, name, "during", 0
        for count, statement in enumerate(step.statements(), 1):
            if isinstance(statement, BLOCKABLE):
                yield number, name, f"within {count}", count
            yield number, name, f"statement {count}", 0
        yield number, name, "after", 0


def cells() -> list[Cell]:
    """Return the cells to run: all of them, or each point of the main plans with one of the causes."""
    drivers = itertools.cycle(("psycopg2", "psycopg"))
    if FULL:
        return [
            Cell(scenario, number, name, moment, cause, driver, statement)
            for scenario in SCENARIOS
            for number, name, moment, statement in points(scenario)
            for cause in CAUSES
            for driver in ("psycopg2", "psycopg")
        ]
    causes = itertools.cycle(CAUSES[:5])
    chosen = []
    for scenario in SCENARIOS:
        stride = scenario.stride
        of_it = itertools.islice(points(scenario), stride // 2, None, stride) if stride else ()
        for number, name, moment, statement in of_it:
            chosen.append(Cell(scenario, number, name, moment, next(causes), next(drivers), statement))
        next(causes)
    chosen += [
        Cell(FINAL, number, name, moment, "stop", "psycopg", statement)
        for number, name, moment, statement in points(FINAL)
        if (name, moment) in (("Swap", "statement 2"), ("Discard", "within 1"))
    ]
    return chosen


def soak(cell: Cell) -> bool:
    """Tell whether only CI runs it: two of four cells in a row, but no scenario's first."""
    every = cells()
    place = every.index(cell)
    first = place == 0 or every[place - 1].scenario != cell.scenario
    return not FULL and not first and cell.cause != "stop" and place % 4 in (1, 2)


class Point(t.NamedTuple):
    """One point of the plans of two databases that are reset together.

    :param step: its number among the steps of both.
    :param before: whether it lies before the point of no return.
    """

    step: int
    name: str
    moment: str
    before: bool

    def __str__(self) -> str:
        return f"{self.step}-{self.name}-{self.moment}".replace(" ", "")


def together() -> t.Iterator[Point]:
    """Yield the points of two resets: all steps of a phase for one database, and then for the other."""
    of_one = list(points(RESET))
    number = 0
    for _, steps in itertools.groupby(enumerate(RESET.steps, 1), lambda pair: pair[1].phase):
        own = [place for place, _ in steps]
        for count, place in enumerate(own * 2):
            number += 1
            for which, name, moment, within in of_one:
                if which == place and not within and not (moment == "during" and count):
                    complete = name == "Discard" or (name == "Finish" and count and moment == "after")
                    yield Point(number, name, moment, not complete)


def cells_of_two() -> list[tuple[Point, str]]:
    """Return the cells to run of a reset of two databases."""
    every = list(itertools.product(together(), [cause for cause in CAUSES if cause != "stop"]))
    return every if FULL else every[1::21]
