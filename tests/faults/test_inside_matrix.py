"""The kill matrix of a reset inside the database: the old content or the new, and nothing in between."""

from __future__ import annotations

import itertools
import signal

import pytest

from .world import NEW_ROWS, OLD_ROWS, World, settled

RESET = ("reset", "-f", "--reset-with", "schema")
POINTS = (
    *((1, moment) for moment in ("before", "statement 1", "statement 2", "statement 3", "after")),
    *((2, moment) for moment in ("before", "during", "after")),
    *((3, moment) for moment in ("before", "statement 1", "after")),
    *((4, moment) for moment in ("before", "statement 1", "after")),
)
CAUSES = ("SIGKILL", "SIGTERM", "cut", "SIGINT", "SIGHUP")
CELLS = [
    (point, cause, driver)
    for (point, cause), driver in zip(
        itertools.product(POINTS, CAUSES), itertools.cycle(("psycopg2", "psycopg")), strict=False
    )
]
LATE = POINTS.index((3, "after"))
"""From here on only a signal takes it back: what was killed is complete."""


def test_the_matrix_knows_every_point(world: World) -> None:
    world.app()
    world.old_database()
    result = world.run(*RESET, fault={"step": 99, "moment": "never", "cause": "SIGKILL"})
    assert result.code == 0, str(result)
    passed = (world.folder / "passed").read_text().splitlines()
    really = [line for line in passed if line[0].isdigit() and "sending" not in line]
    assert really == [f"{number} {moment}" for number, moment in POINTS]


@pytest.mark.parametrize(
    ("point", "cause", "driver"),
    [
        pytest.param(*cell, marks=[pytest.mark.long] if number % 6 else [], id="-".join(map(str, cell)))
        for number, cell in enumerate(CELLS)
    ],
)
def test_cell(world: World, point: tuple[int, str], cause: str, driver: str) -> None:
    world.app(driver=driver)
    old = world.old_database()
    step, moment = point
    result = world.run(*RESET, fault={"step": step, "moment": moment, "cause": cause})
    settled(world, "the server, and nobody at work", world.nobody_at_work)
    late = POINTS.index(point) >= LATE
    if result.code == 0:
        assert late or cause == "cut"  # between two steps no session is needed
        assert world.rows() == NEW_ROWS
    elif cause == "SIGKILL":
        assert result.code == -signal.SIGKILL
        shown = world.run("status").out
        left = point in POINTS[4:-2]
        assert ("unfinished" in shown, "flask psql recover" in shown) == (left and not late, left), shown
        assert world.run("recover", *(["--discard"] if late else []), "-f").code == 0
        assert world.rows() == (NEW_ROWS if late else OLD_ROWS)
    else:
        assert f'Database "{world.dbname}" is as it was.' in result.err, str(result)
        assert world.rows() == OLD_ROWS
    assert world.state() == old
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE '%~%'"
    assert world.cluster.execute(schemas, dbname=world.dbname) == []
    again = world.run(*RESET)
    assert again.code == 0, str(again)
    assert world.rows() == NEW_ROWS
