"""The kill matrix: whatever happens, and wherever, nothing is lost, and nothing is left unannounced."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import typing as t

import pytest

from flask_postgres.postgres import ddl

from ..project import Result
from ..servers import wait_until
from .cells import SCENARIOS, Cell, Scenario, cells, points, soak
from .nursery import Child
from .world import LATE_SEED, NEW_ROWS, OLD_ROWS, State, World, settled


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, marks=[pytest.mark.long] if soak(cell) else [], id=str(cell)) for cell in cells()],
)
def test_cell(world: World, cell: Cell) -> None:
    world.app(driver=cell.driver)
    old = prepare(world, cell.scenario, cell.driver)
    result = _happen(world, cell)
    settled(world, "the server, and nobody at work", world.nobody_at_work)
    _check(world, cell, result, old)
    world.mend()
    if cell.scenario.name in ("protect", "unprotect"):
        assert world.run("unprotect", "-f").code == 0
    again = world.run("reset", "-f")
    assert again.code == 0, str(again)
    assert world.rows() == NEW_ROWS
    assert world.names() == {world.dbname}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_matrix_knows_every_point(world: World, scenario: Scenario) -> None:
    """What really happens, step by step, is what the plan says."""
    world.app()
    prepare(world, scenario)
    result = world.run(*scenario.arguments, fault={"step": 99, "moment": "never", "cause": "SIGKILL"})
    assert result.code == 0, str(result)
    passed = (world.folder / "passed").read_text().splitlines()
    really = [line for line in passed if line[0].isdigit() and "sending" not in line]
    assert really == [f"{number} {moment}" for number, _, moment, within in points(scenario) if not within]


def prepare(world: World, scenario: Scenario, driver: str = "psycopg") -> State | None:
    """Bring about the situation, and return the state of the old database."""
    (world.folder / "seed.sql").write_text("INSERT INTO pet (name) VALUES ('seeded')")
    if scenario.found == "kept":
        world.old_database()
        _rename_pet(world, "first")
        assert world.run("drop", "-f").code == 0
    old = world.old_database() if scenario.old else None
    if scenario.found == "saved":
        _rename_pet(world, "first")
        assert world.run("snapshot", "save", "s").code == 0
        _rename_pet(world, "old")
    if scenario.found == "dropped":
        assert world.run("drop", "-f").code == 0
    if scenario.found in ("unfinished", "aside"):
        world.app(driver=driver, callback=LATE_SEED)
        command = ("reset", "-f") if old else ("setup",)
        killed = world.run(*command, fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
        assert killed.code == -signal.SIGKILL, str(killed)
        settled(world, "nobody at work", world.nobody_at_work)
    if scenario.found == "protected":
        assert world.run("protect").code == 0
    return old


def _rename_pet(world: World, name: str) -> None:
    with world.cluster.connect(world.dbname) as connection:
        connection.execute("UPDATE pet SET name = %s", [name])


def _happen(world: World, cell: Cell) -> Result:
    moment = f"sending {cell.statement}" if cell.statement else cell.moment
    paused = cell.statement or cell.cause == "stop"
    fault = {"step": cell.step, "moment": moment, "cause": "pause" if paused else cell.cause}
    child = world.start(*cell.scenario.arguments, fault=fault)
    if paused:
        wait_until(lambda: child.reached, what=f"the point {cell}")
    if cell.statement:
        _within(world, cell, child)
    elif paused:
        world.restart()
        child.go_on()
    result = child.finish()
    assert child.reached
    return result


def _within(world: World, cell: Cell, child: Child) -> None:
    """Let it happen in the middle of a statement."""
    with world.kept_in_the_middle(cell.sends, _names(world)):
        child.go_on()
        backends: list[int | None] = []
        wait_until(
            lambda: backends.append(world.backend()) or backends[-1] is not None,  # type: ignore[func-returns-value]
            what=f"the middle of {ddl.sql_text(cell.sends)}",
        )
        backend = backends[-1]
        assert backend is not None
        if cell.cause == "cut":
            world.cluster.execute("SELECT pg_terminate_backend(%s)", backend)
        elif cell.cause == "stop" and isinstance(cell.sends, ddl.DropDatabase):
            os.kill(backend, signal.SIGKILL)  # the server takes that for a crash, and starts anew
        elif cell.cause == "stop":
            world.restart()
        else:
            os.kill(child.pid, signal.Signals[cell.cause])
            _wait_a_little(world, backend)


def _wait_a_little(world: World, backend: int) -> None:
    """Give the command the time to react, and to free itself from a driver that waits in C."""
    with contextlib.suppress(TimeoutError):  # it may wait for the end of the statement
        wait_until(lambda: world.backend() != backend, what="a reaction", timeout=2.5)


def _names(world: World) -> dict[str, str]:
    """Return the real names of what the cell's plan calls by the names of its example."""
    found = {"target": world.dbname}
    for name in world.names() - {world.dbname}:
        kind = name.split("~")[-2]
        found |= {f"target~{kind}~0a0b0c0d": name, f"target~{kind}~12345678": name}
    # Within one transaction the new name is not to be seen yet.
    found.setdefault("target~old~0a0b0c0d", world.dbname)
    if "target~new~0a0b0c0d" in found:
        found.setdefault("target~snap~0a0b0c0d", found["target~new~0a0b0c0d"])
    return found


def _check(world: World, cell: Cell, result: Result, old: State | None) -> None:
    status = world.announced()
    assert cell.scenario.found != "saved" or len(world.kept("snapshot")) == 1, "the snapshot stays"
    state = world.state()
    killed = cell.cause == "SIGKILL"
    if cell.scenario.name in CHECKS:
        CHECKS[cell.scenario.name](world, result, old)
    elif result.code == 0:
        lost = cell.cause in ("SIGINT", "SIGTERM", "SIGHUP") and not cell.late and not cell.statement
        assert not lost, f"the signal had no effect: {result}"
        _check_done(world, cell, result)
    elif cell.late and state is not None and _is_new(world, cell, state):
        assert killed, f"complete, but not said to be: {result}"
    elif cell.scenario.request.command == "drop":
        invalid = any(item.kind == "invalid" for item in status.leftovers)
        assert state in (None, old) or (invalid and cell.cause in ("cut", "stop")), str(result)
    elif killed and old is not None:
        _check_recoverable(world, old)
    elif old is not None:
        told = "flask psql recover" in result.all and cell.cause == "stop"
        assert told or (state == old and world.names() == {world.dbname}), (
            f"{state} instead of {old}\n{result}"
        )
        if told:
            _check_recoverable(world, old)
        assert world.rows() == OLD_ROWS
    elif not killed and cell.cause != "stop" and cell.name != "RemoveLeftover":
        assert world.names() == set(), str(result)
    if old is not None and world.kept() and cell.scenario.name not in CHECKS and world.state() != old:
        _check_undone(world, result, old)


def _check_done(world: World, cell: Cell, result: Result) -> None:
    state = world.state()
    wanted = cell.scenario.old and not cell.scenario.request.final
    assert len(world.kept()) == wanted or "recover --discard" in result.err
    if cell.scenario.request.command == "drop":
        assert state is None
        return
    assert state is not None
    assert _is_new(world, cell, state)
    assert ("was restored" if cell.scenario.found == "saved" else "was created") in result.err
    left = world.names() - {world.dbname}
    assert not left or "recover --discard" in result.err, str(result)


def _is_new(world: World, cell: Cell, state: State) -> bool:
    if not state.open or "flask-postgres" in (state.comment or "") or state.limit == -2:
        return False
    if cell.scenario.found == "saved":
        return world.rows() == ["first"]
    seeded = ["seeded"] if cell.scenario.request.seeds else []
    return world.rows() == ([*NEW_ROWS, *seeded] if cell.scenario.request.initializes else None)


def _check_recoverable(world: World, old: State) -> None:
    """Make sure that the old database is there, or that ``recover`` brings it back as it was."""
    if world.state() != old:
        recovered = world.run("recover", "--force")
        assert recovered.code == 0, str(recovered)
    assert world.state() == old
    assert world.rows() == OLD_ROWS


def _check_recovery(world: World, result: Result, old: State | None) -> None:
    assert old is not None
    assert result.code or (world.state() == old and world.names() == {world.dbname}), str(result)
    _check_recoverable(world, old)


def _check_undone(world: World, result: Result, old: State | None) -> None:
    """Whatever has happened, what the name had and what was kept are there: undo swaps them."""
    assert old is not None
    if "blocked" in {item.kind for item in world.status().leftovers}:
        assert world.run("recover").code == 0
    seen = []
    for _ in range(2):
        seen.append((world.state(), world.rows() if world.state() else None))
        undone = world.run("undo")
        assert undone.code == 0, f"{undone}\n{result}"
    assert (old, OLD_ROWS) in (*seen, (world.state(), world.rows())), str(result)


def _check_saved(world: World, result: Result, old: State | None) -> None:
    """The database is as it was, and there is a snapshot of it, or none; nothing in between."""
    assert old is not None
    if "blocked" in {item.kind for item in world.status().leftovers}:
        assert result.code, str(result)
    _check_recoverable(world, old)
    assert result.code or len(world.kept("snapshot")) == 1, str(result)
    if world.names() != {world.dbname}:  # a beginning, which was announced
        assert world.run("recover").code == 0
    assert world.names() == {world.dbname}
    if world.kept("snapshot"):
        assert world.run("snapshot", "restore", "s", "-f").code == 0
        assert world.rows() == OLD_ROWS
    else:
        assert world.run("snapshot", "save", "s").code == 0


def _check_discarded(world: World, result: Result, old: State | None) -> None:
    """What the user has given up may be gone or not; what is left can be recovered or given up again."""
    assert result.code or world.names() == set(), str(result)
    again = world.run("recover", "--discard", "-f")
    assert again.code == 0, str(again)
    assert world.names() == set(), str(old)


def _check_protection(world: World, result: Result, old: State | None) -> None:
    state = world.state()
    assert old is not None
    assert state is not None
    comment = state.comment or ""
    assert comment.startswith("kept"), str(result)
    assert dataclasses.replace(state, comment=None) == dataclasses.replace(old, comment=None)
    assert world.rows() == OLD_ROWS


CHECKS: dict[str, t.Callable[[World, Result, State | None], None]] = {
    "recover": _check_recovery,
    "discard": _check_discarded,
    "undo": _check_undone,
    "undropped": _check_undone,
    "save": _check_saved,
    "protect": _check_protection,
    "unprotect": _check_protection,
}
