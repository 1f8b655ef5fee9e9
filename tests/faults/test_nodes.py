"""A database that cannot be renamed, because others know it by its name: what Citus with nodes comes down to.

The server is a plain one, with what the tool looks at: a setting of Citus, and its catalogue of nodes.
"""

from __future__ import annotations

import signal
import typing as t

import pytest

from .world import NEW_ROWS, OLD_ROWS, World


@pytest.fixture
def known(world: World) -> t.Iterator[World]:
    world.sql("ALTER ROLE app_dev SET citus.shard_count = '32'")
    world.app()
    world.old_database()
    _register(world)
    yield world
    world.sql("ALTER ROLE app_dev RESET ALL")


def _register(world: World) -> None:
    """Make a node known to the target."""
    with world.cluster.connect(world.dbname) as session:
        session.execute("SET allow_system_table_mods = on")
        session.execute("CREATE TABLE pg_catalog.pg_dist_node AS SELECT 1 AS groupid")
        session.execute("GRANT SELECT ON pg_catalog.pg_dist_node TO PUBLIC")


def test_what_is_in_it_is_replaced(known: World) -> None:
    old = known.state()
    result = known.run("reset", "-f")
    assert result.code == 0, str(result)
    assert "1 Citus worker nodes look this database up by its name" in result.err
    assert known.state() == old
    assert known.rows() == NEW_ROWS
    assert known.names() == {known.dbname}


@pytest.mark.parametrize("command", [("reset", "-f"), ("create", "-o", "-f"), ("setup", "-o", "-f", "-fd")])
def test_it_is_never_dropped_first(known: World, command: tuple[str, ...]) -> None:
    """The parts of its tables stay on the workers, and meet those of the new one there."""
    old = known.state()
    result = known.run(*command, "--reset-with", "database")
    assert result.code == 1
    assert "cannot be replaced, all or nothing, because 1 Citus worker nodes" in result.err
    assert "Replace what is in it: --reset-with schema" in result.err
    assert known.state() == old
    assert known.rows() == OLD_ROWS
    assert known.names() == {known.dbname}


def test_init_that_fails(known: World) -> None:
    old = known.state()
    known.app(callback="db.create_all()\n1 / 0")
    result = known.run("reset", "-f")
    assert (result.code, "is as it was" in result.err) == (1, True), str(result)
    assert known.state() == old
    assert known.rows() == OLD_ROWS


def test_nodes_that_a_reset_has_registered(world: World) -> None:
    """The database from before has none, so it was swapped; this one cannot be any more."""
    world.app()
    world.old_database()
    assert world.run("reset", "-f").code == 0
    new = world.state()
    world.sql("ALTER ROLE app_dev SET citus.shard_count = '32'")
    try:
        _register(world)
        refused = world.run("undo", "-f")
        assert (refused.code, "cannot be swapped back, because 1 Citus worker" in refused.err) == (1, True)
        assert world.run("snapshot", "save").code == 1
        assert (world.state(), len(world.kept())) == (new, 1)
    finally:
        world.sql("ALTER ROLE app_dev RESET ALL")


def test_a_database_that_is_closed_to_connections(known: World) -> None:
    known.sql("ALTER DATABASE {} ALLOW_CONNECTIONS false", known.dbname)
    closed = known.state()
    refused = known.run("reset", "-f")
    assert (refused.code, "is closed to connections, so nothing in it can be" in refused.err) == (1, True)
    assert "ALLOW_CONNECTIONS true" in refused.err
    assert known.state() == closed


def test_killed_in_init(known: World) -> None:
    old = known.state()
    fault = {"step": 2, "moment": "during", "cause": "SIGKILL"}
    assert known.run("reset", "-f", fault=fault).code == -signal.SIGKILL
    assert "inside" in [item.kind for item in known.announced().leftovers]
    assert known.run("recover", "-f").code == 0
    assert known.state() == old
    assert known.rows() == OLD_ROWS
