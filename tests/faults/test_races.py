"""Many commands at once on one target: they take turns, and where that fails, they do no harm."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import typing as t

import psycopg
import pytest
from psycopg import sql

from flask_postgres.postgres.marks import Mark, State

from ..servers import wait_until
from .world import NEW_ROWS, OLD_ROWS, World, settled

MANY = int(os.environ.get("FLASK_POSTGRES_RACERS", "20"))
SOME = MANY if MANY > 20 else 10


def test_setup_if_missing(world: World) -> None:
    world.app()
    results = world.nursery.herd(world.folder, [("setup", "--if-missing")] * MANY)
    assert [result.code for result in results] == [0] * MANY, _first_failure(results)
    for outcome in ("was created", "was initialized"):
        assert sum(outcome in result.err for result in results) == 1
    assert sum("already exists" in result.err for result in results) == MANY - 1
    assert world.rows() == NEW_ROWS
    assert world.names() == {world.dbname}


def test_everything_at_once(world: World) -> None:
    world.app()
    world.old_database()
    kinds = [("setup", "--if-missing"), ("reset", "-f"), ("drop", "-f"), ("create",), ("reset", "-f", "-fd")]
    results = world.nursery.herd(world.folder, (kinds * SOME)[:SOME])
    assert [result.code for result in results] == [0] * SOME, _first_failure(results)
    assert not world.announced().leftovers
    assert world.names() <= {world.dbname}


@pytest.mark.parametrize("kind", [("reset", "-f"), ("reset", "-f", "-fd"), ("setup",), ("drop", "-f")])
def test_two_administrative_databases(world: World, kind: tuple[str, ...]) -> None:
    """They do not see each other's lock: one wins, the other changes nothing and says so."""
    world.app()
    other = world.dbname + "_admin"
    world.sql("CREATE DATABASE {}", other)
    if kind != ("setup",):
        world.old_database()
    commands = [kind, (*kind, "--admin-dbname", other)] * max(SOME // 5, 2)
    results = world.nursery.herd(world.folder, commands)
    assert any(result.code == 0 for result in results), _first_failure(results)
    for result in results:
        assert result.code in (0, 1)
        assert result.code == 0 or _honest(result.err), str(result)
    world.sql("DROP DATABASE {}", other)
    assert not world.announced().leftovers
    if kind == ("drop", "-f"):
        assert world.names() == set()
    else:
        assert set(world.rows() or ()) == set(NEW_ROWS)
        assert world.names() == {world.dbname}


def test_template1_as_the_administrative_database(world: World) -> None:
    """Whoever waits must not stay connected there: a copy of it could not be made."""
    world.app()
    commands = [("setup", "--if-missing", "-a", "template1"), ("reset", "-f", "-a", "template1")] * (
        SOME // 2
    )
    results = world.nursery.herd(world.folder, commands)
    assert [result.code for result in results] == [0] * len(commands), _first_failure(results)
    assert world.rows() == NEW_ROWS
    assert world.names() == {world.dbname}


@pytest.mark.parametrize("command", [("reset", "-f", "-fd"), ("drop", "-f", "-fd")])
def test_a_session_that_comes_back_again_and_again(world: World, command: tuple[str, ...]) -> None:
    world.app()
    world.old_database()
    with _coming_back(world):
        result = world.run(*command)
    assert result.code == 0, str(result)
    assert world.names() == ({world.dbname} if command[0] == "reset" else set())


def test_without_the_flag_it_is_refused(world: World) -> None:
    world.app()
    old = world.old_database()
    with world.cluster.connect(world.dbname, application_name="psql elsewhere") as session:
        for command in ("reset", "drop"):
            result = world.run(command, "-f")
            assert result.code == 1
            assert '"psql elsewhere" as postgres' in result.err
            assert "--force-disconnect" in result.err
        assert session.execute("SELECT name FROM pet").fetchall() == [("old",)]
    assert world.state() == old
    assert world.rows() == OLD_ROWS


def test_a_server_without_a_free_connection(world: World) -> None:
    """A waiter keeps trying."""
    world.app()
    with contextlib.ExitStack() as stack:
        uri = world.uri.with_dbname("postgres").render(hide_password=False)
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(uri))
        child = world.start("setup")
        said = child.folder / "err"
        wait_until(
            lambda: said.exists() and "no free connection" in said.read_text(),
            what="the waiter to say so",
            timeout=60,
        )
    result = child.finish()
    assert result.code == 0, str(result)
    assert "waiting for the lock of database" in result.err
    assert "no free connection" in result.err


def test_a_role_whose_transactions_see_no_later_commit(world: World) -> None:
    """What has been protected while the swap waited for its lock is seen all the same."""
    world.app()
    old = world.old_database()
    protected = Mark(State.PROTECTED).under("kept").replace("{", "{{").replace("}", "}}")
    world.sql("ALTER ROLE app_dev SET default_transaction_isolation = 'repeatable read'")
    try:
        child = world.start("reset", "-f", fault={"step": 2, "moment": "before", "cause": "pause"})
        settled(world, "the swap", lambda: child.reached)
        with world.cluster.connect() as session:
            session.autocommit = False
            session.execute(
                sql.SQL(f"COMMENT ON DATABASE {{}} IS '{protected}'").format(sql.Identifier(world.dbname))
            )
            child.go_on()
            settled(world, "the swap to wait", lambda: world.backend() is not None)
        result = child.finish()
    finally:
        world.sql("ALTER ROLE app_dev RESET default_transaction_isolation")
    assert (result.code, "is protected" in result.err) == (1, True), str(result)
    state = world.state()
    assert state is not None
    assert (state.oid, state.comment) == (old.oid, Mark(State.PROTECTED).under("kept"))
    assert world.rows() == OLD_ROWS


@contextlib.contextmanager
def _coming_back(world: World) -> t.Iterator[None]:
    """Connect to the target in a loop, and stay until thrown out."""
    over = threading.Event()
    uri = world.uri.render(hide_password=False)

    def loop() -> None:
        while not over.is_set():
            with contextlib.suppress(psycopg.Error), psycopg.connect(uri, connect_timeout=5) as session:
                session.execute("SELECT pg_sleep(0.2)")

    threads = [threading.Thread(target=loop) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _honest(err: str) -> bool:
    """Tell whether the losing side says why."""
    reasons = (
        "another command",
        "being accessed by other users",
        "does not exist",
        "already exists",
        "open session",
    )
    return any(reason in err for reason in reasons)


def _first_failure(results: t.Sequence[t.Any]) -> str:
    return next((str(result) for result in results if result.code), "all succeeded")
