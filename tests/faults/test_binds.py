"""Two databases of one app, reset together: both or none, wherever the command is stopped."""

from __future__ import annotations

import signal
import textwrap
import typing as t

import pytest

from .cells import RESET, Point, cells_of_two, together
from .world import World, settled

CALLBACK = """
    from tests.faults import points
    db.create_all()
    points.in_callback()
    db.session.add_all([Pet(name="new"), Line(name="new")])
    db.session.commit()
"""

BIND = """
class Line(db.Model):
    __bind_key__ = "logs"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.Text)

"""


@pytest.fixture
def worlds(world: World) -> tuple[World, World]:
    """Return the databases of the default bind and of "logs", with one old row each."""
    other = World(world.cluster, world.nursery, f"{world.dbname}_logs", world.folder)
    world.app(callback=CALLBACK)
    app = world.folder / "app.py"
    uri = other.uri.render(hide_password=False)
    text = app.read_text().replace(
        "db = SQLAlchemy(app)", f'app.config["SQLALCHEMY_BINDS"] = {{"logs": {uri!r}}}\ndb = SQLAlchemy(app)'
    )
    app.write_text(text.replace("@init_db_callback", textwrap.dedent(BIND) + "@init_db_callback"))
    return world, other


@pytest.mark.parametrize(("point", "cause"), cells_of_two(), ids=str)
def test_both_or_none(worlds: tuple[World, World], point: Point, cause: str) -> None:
    old = [each.old_database() for each in worlds]
    world = worlds[0]
    result = world.run(
        *RESET.arguments,
        "--all-binds",
        fault={"step": point.step, "moment": point.moment, "cause": cause},
    )
    settled(world, "nobody at work", world.nobody_at_work)
    if cause == "SIGKILL":
        assert result.code == -signal.SIGKILL
        if point.before:
            recovered = world.run("recover", "--all-binds", "--force")
            assert recovered.code == 0, str(recovered)
    new = [each.state() != before for each, before in zip(worlds, old, strict=True)]
    assert new in ([True, True], [False, False]), f"{new}\n{result}"
    if cause == "SIGKILL":
        assert new[0] != point.before
    else:
        assert (result.code == 0) == new[0], str(result)
    assert [_rows(each) for each in worlds] == [["new" if new[0] else "old"]] * 2
    left = world.names() - {each.dbname for each in worlds}
    assert left <= {item.name for each in worlds for item in each.status().leftovers}
    assert not left or cause == "SIGKILL" or "recover --discard" in result.err, str(result)


def test_the_points_are_those_of_the_plans(worlds: tuple[World, World]) -> None:
    for each in worlds:
        each.old_database()
    fault = {"step": 99, "moment": "never", "cause": "SIGKILL"}
    result = worlds[0].run(*RESET.arguments, "--all-binds", fault=fault)
    assert result.code == 0, str(result)
    passed = (worlds[0].folder / "passed").read_text().splitlines()
    really = [line for line in passed if line[0].isdigit() and "sending" not in line]
    assert really == [f"{point.step} {point.moment}" for point in together()]


@pytest.mark.parametrize(
    ("step", "moment"),
    [
        pytest.param(2, "after", marks=pytest.mark.long),
        pytest.param(3, "after", marks=pytest.mark.long),
        (4, "statement 4"),
        pytest.param(4, "after", marks=pytest.mark.long),
    ],
)
def test_undo_of_both_or_none(worlds: tuple[World, World], step: int, moment: str) -> None:
    for each in worlds:
        each.old_database()
    world = worlds[0]
    assert world.run("reset", "-f", "--all-binds").code == 0
    new = [each.state() for each in worlds]
    fault = {"step": step, "moment": moment, "cause": "SIGTERM"}
    result = world.run("undo", "-fd", "--all-binds", fault=fault)
    assert (result.code, "is as it was." in result.err) == (1, True), str(result)
    assert [each.state() for each in worlds] == new, str(result)
    assert [len(each.kept()) for each in (worlds[1], world)] == [1, 2], "the other's names begin alike"
    assert world.run("undo", "--all-binds").code == 0
    assert [_rows(each) for each in worlds] == [["old"]] * 2
    assert world.run("undo", "--all-binds").code == 0
    assert [each.state() for each in worlds] == new


def test_snapshots_of_both_or_none(worlds: tuple[World, World]) -> None:
    for each in worlds:
        each.old_database()
    world = worlds[0]
    fault = {"step": 4, "moment": "before", "cause": "SIGTERM"}
    stopped = world.run("snapshot", "save", "s", "--all-binds", fault=fault)
    assert stopped.code == 1, str(stopped)
    assert (world.kept("snapshot"), world.names()) == (set(), {each.dbname for each in worlds})
    assert world.run("snapshot", "save", "s", "--all-binds").code == 0
    assert len(world.kept("snapshot")) == 2
    assert world.run("reset", "-f", "--all-binds").code == 0
    assert world.run("snapshot", "restore", "s", "-f", "--all-binds").code == 0
    assert [_rows(each) for each in worlds] == [["old"]] * 2


def _rows(world: World) -> list[str]:
    with world.cluster.connect(world.dbname) as connection:
        rows = connection.execute(
            "SELECT name FROM "
            + ("line" if world.dbname.endswith("_logs") and _has_line(connection) else "pet")
        )
        return [name for (name,) in rows]


def _has_line(connection: t.Any) -> bool:
    return bool(connection.execute("SELECT to_regclass('line') IS NOT NULL").fetchone()[0])
