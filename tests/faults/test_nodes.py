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
    with world.cluster.connect(world.dbname) as session:
        session.execute("SET allow_system_table_mods = on")
        session.execute("CREATE TABLE pg_catalog.pg_dist_node AS SELECT 1 AS groupid")
        session.execute("GRANT SELECT ON pg_catalog.pg_dist_node TO PUBLIC")
    yield world
    world.sql("ALTER ROLE app_dev RESET ALL")


def test_all_is_carried_over(known: World) -> None:
    old = known.state()
    assert old is not None
    result = known.run("reset", "-f")
    assert result.code == 0, str(result)
    assert "this cannot be undone here" in result.err
    state = known.state()
    assert state is not None
    assert (state.owner, state.limit, state.comment, state.settings) == (
        old.owner,
        old.limit,
        old.comment,
        old.settings,
    )
    assert known.rows() == NEW_ROWS
    assert known.names() == {known.dbname}


def test_what_cannot_be_created_is_not_dropped(known: World) -> None:
    """Only the server knows which locales it has."""
    old = known.state()
    result = known.run("reset", "-f", "--template", "template0", "--lc-collate", "xx_YY")
    assert result.code == 1
    assert "xx_YY" in result.err
    assert known.state() == old
    assert known.rows() == OLD_ROWS
    assert known.names() == {known.dbname}


def test_init_that_fails(known: World) -> None:
    """What is said of the databases is true, and nothing half full is left for the next setup to accept."""
    known.app(callback="db.create_all()\n1 / 0")
    result = known.run("reset", "-f")
    assert result.code == 1
    assert f'Database "{known.dbname}" had been dropped before.' in result.err
    assert f'database "{known.dbname}" was deleted again' in result.err
    assert "stays" not in result.err
    assert known.names() == set()


def test_what_is_carried_over_is_tried_before(known: World) -> None:
    result = known.run("reset", "-f", "-n")
    tried = result.out.partition("2. drop database")[0]
    assert "SET \"work_mem\" TO '5MB'" in tried, result.out


def test_killed_while_it_makes_sure(known: World) -> None:
    old = known.state()
    fault = {"step": 1, "moment": "statement 1", "cause": "SIGKILL"}
    assert known.run("reset", "-f", fault=fault).code == -signal.SIGKILL
    assert [item.kind for item in known.announced().leftovers] == ["foreign"]
    assert known.state() == old
    known.mend()
    assert known.names() == {known.dbname}
