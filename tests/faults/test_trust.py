"""Nothing in use is dropped, and nobody's word is taken for it: names, marks and races."""

from __future__ import annotations

import os
import signal

import psycopg
import pytest
from psycopg import sql

from flask_postgres.postgres.marks import Mark, State, name_for_new, name_for_old

from ..servers import ROLE
from .world import LATE_SEED, NEW_ROWS, OLD_ROWS, World, settled


@pytest.mark.parametrize("command", [["setup"], ["setup", "--if-missing"], ["create"]])
def test_setup_keeps_rows_written_after_a_kill(world: World, command: list[str]) -> None:
    world.app(callback=LATE_SEED)
    killed = world.run("setup", fault={"step": 3, "moment": "after", "cause": "SIGKILL"})
    assert killed.code == -signal.SIGKILL
    settled(world, "nobody at work", world.nobody_at_work)
    world.cluster.execute("INSERT INTO pet (name) VALUES ('work of days')", dbname=world.dbname)
    result = world.run(*command)
    assert (result.code, "flask psql recover, or to create it anew: flask psql reset" in result.err) == (
        1,
        True,
    )
    assert world.rows() == [*NEW_ROWS, "work of days"]
    assert world.run("recover").code == 0
    assert world.run("setup", "--if-missing").code == 0
    assert world.rows() == [*NEW_ROWS, "work of days"]


def test_rows_written_while_a_leftover_is_removed_are_kept(world: World) -> None:
    """Its sessions are ended and it is closed before it is looked into for the last time."""
    world.app(callback=LATE_SEED)
    world.run("setup", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    child = world.start("setup", fault={"step": 1, "moment": "sending 1", "cause": "pause"})
    settled(world, "closing it", lambda: child.reached)
    world.cluster.execute("INSERT INTO pet (name) VALUES ('just now')", dbname=world.dbname)
    child.go_on()
    result = child.finish()
    assert (result.code, "holds rows" in result.err) == (1, True), str(result)
    assert world.rows() == ["just now"]


@pytest.mark.parametrize("state", [State.UNFINISHED, State.BLOCKED, State.ASIDE])
def test_a_restored_mark_does_not_count(world: World, state: State) -> None:
    """pg_dumpall carries comments, OIDs change."""
    world.app()
    old = world.old_database()
    text = Mark(state, world.dbname, "0badcafe", oid=old.oid + 1, server="1").under("kept")
    comment = sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(world.dbname), sql.Literal(text))
    world.cluster.execute(comment)
    assert "does not count" in world.run("status").out
    assert "already exists" in world.run("setup", "--if-missing").err
    assert world.rows() == OLD_ROWS
    assert world.run("reset", "-f").code == 0
    comment_now = world.state()
    assert comment_now is not None
    assert comment_now.comment == "kept"


@pytest.mark.parametrize("make", [name_for_new, name_for_old])
def test_a_name_alone_makes_no_database_ours(world: World, make: object) -> None:
    """A date is eight hexadecimal digits, too."""
    assert callable(make)
    world.app()
    name = make(world.dbname, "20240101")
    world.sql("CREATE DATABASE {} OWNER {}", name, ROLE)
    for command in (
        ["setup"],
        ["reset", "-f"],
        ["recover", "-f"],
        ["recover", "--discard", "-f"],
        ["drop", "-f"],
    ):
        assert world.run(*command).code == 0
        assert name in world.names()
    assert world.run("setup").code == 0
    assert f'"{name}", left alone' in world.run("status").out


@pytest.mark.parametrize("state", [State.UNFINISHED, State.ASIDE])
def test_a_forged_mark_of_another_role_does_not_count(world: World, state: State) -> None:
    """Also for a superuser, who has the rights of every role."""
    world.app(user="postgres", uri=world.cluster.superuser_uri(world.dbname).render(hide_password=False))
    world.sql("CREATE DATABASE {} OWNER {}", world.dbname, ROLE)
    forged = (name_for_old if state is State.ASIDE else name_for_new)(world.dbname, "deadbeef")
    world.cluster.execute("DROP ROLE IF EXISTS stranger")
    world.cluster.execute("CREATE ROLE stranger LOGIN CREATEDB")
    world.sql("CREATE DATABASE {} OWNER stranger", forged)
    world.mark(state, name=forged, token="deadbeef")
    try:
        for command in (["setup"], ["recover", "-f"], ["drop", "-f"], ["setup"], ["recover", "-f"]):
            result = world.run(*command)
            assert result.code == 0, str(result)
            assert forged in world.names()
        assert world.rows() == NEW_ROWS
    finally:
        world.sql("DROP DATABASE {}", forged)
        world.cluster.execute("DROP ROLE stranger")


def test_drop_takes_no_database_that_got_the_name_in_the_meantime(world: World) -> None:
    world.app()
    world.old_database()
    other = f"{world.dbname}_other"
    world.sql("CREATE DATABASE {} OWNER {}", other, ROLE)
    child = world.start("drop", "-f", fault={"step": 1, "moment": "sending 1", "cause": "pause"})
    settled(world, "the first statement", lambda: child.reached)
    with world.cluster.connect() as session:
        session.execute("BEGIN")
        for before, after in ((world.dbname, f"{world.dbname}_away"), (other, world.dbname)):
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            session.execute(rename.format(sql.Identifier(before), sql.Identifier(after)))
        child.go_on()
        settled(world, "the drop to wait", lambda: world.backend() is not None)
        session.execute("COMMIT")
    result = child.finish()
    assert (result.code, "another command has changed" in result.err) == (1, True), str(result)
    assert world.names() == {world.dbname, f"{world.dbname}_away"}


@pytest.mark.parametrize("driver", ["psycopg2", pytest.param("psycopg", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "command",
    [
        ["drop", "-f"],
        pytest.param(["reset", "-f"], marks=pytest.mark.long),
        pytest.param(["drop", "-f", "-fd"], marks=pytest.mark.long),
    ],
)
def test_waiting_for_a_lock_can_be_interrupted(world: World, driver: str, command: list[str]) -> None:
    world.app(driver=driver)
    old = world.old_database()
    with world.cluster.connect() as session:
        session.execute("BEGIN")
        session.execute(sql.SQL("COMMENT ON DATABASE {} IS 'kept'").format(sql.Identifier(world.dbname)))
        child = world.start(*command)
        settled(world, "the note", lambda: child.says("waiting for a lock"))
        os.kill(child.pid, signal.SIGINT)
        result = child.finish()
        session.execute("COMMIT")
    assert (result.code, "stopped by SIGINT" in result.err) == (1, True), str(result)
    settled(world, "nobody at work", world.nobody_at_work)
    assert world.state() == old
    assert world.names() == {world.dbname}


def test_a_command_goes_on_when_the_lock_is_free(world: World) -> None:
    world.app()
    world.old_database()
    with world.cluster.connect() as session:
        session.execute("BEGIN")
        session.execute(sql.SQL("COMMENT ON DATABASE {} IS 'kept'").format(sql.Identifier(world.dbname)))
        child = world.start("reset", "-f")
        settled(world, "the note", lambda: child.says("waiting for a lock"))
        session.execute("COMMIT")
    result = child.finish()
    assert result.code == 0, str(result)
    assert result.err.count("waiting for a lock") == 1
    assert world.rows() == NEW_ROWS


def test_a_killed_drop_has_set_the_database_aside(world: World) -> None:
    world.app()
    old = world.old_database()
    killed = world.run("drop", "-f", "--final", fault={"step": 1, "moment": "after", "cause": "SIGKILL"})
    assert killed.code == -signal.SIGKILL
    settled(world, "nobody at work", world.nobody_at_work)
    assert "flask psql recover" in world.run("setup").err
    assert world.run("recover").code == 0
    assert world.state() == old


def test_a_drop_that_is_refused_puts_the_database_back(world: World) -> None:
    world.app()
    old = world.old_database()
    child = world.start("drop", "-f", "--final", fault={"step": 2, "moment": "before", "cause": "pause"})
    settled(world, "the last step", lambda: child.reached)
    (aside,) = world.names()
    world.sql("ALTER DATABASE {} IS_TEMPLATE true", aside)  # a template cannot be dropped
    child.go_on()
    result = child.finish()
    world.sql("ALTER DATABASE {} IS_TEMPLATE false", world.dbname)
    assert (result.code, f'Database "{world.dbname}" is as it was.' in result.err) == (1, True), str(result)
    assert world.state() == old


def test_undoing_that_takes_long_can_be_stopped(world: World) -> None:
    """A tunnel that forwards nothing any more would hold the terminal for minutes."""
    world.app(callback="1 / 0")
    old = world.old_database()
    child = world.start("reset", "-f", fault={"step": None, "moment": "sending 1", "cause": "pause"})
    settled(world, "undoing", lambda: child.reached)
    os.kill(child.pid, signal.SIGINT)  # too early: a second press of an impatient hand
    settled(world, "the note", lambda: child.says("undoing takes long; Ctrl-C stops it."))
    os.kill(child.pid, signal.SIGINT)
    result = child.finish()
    assert (result.code, "Undoing was not finished." in result.err) == (1, True), str(result)
    assert "Put it back: flask psql recover".casefold() in result.err.casefold()
    settled(world, "nobody at work", world.nobody_at_work)
    assert world.run("recover", "-f").code == 0
    assert world.state() == old


def test_undo_uses_its_session_when_the_server_is_full(world: World) -> None:
    world.app(callback="from tests.faults import points\npoints.in_callback()\n1 / 0")
    old = world.old_database()
    child = world.start("reset", "-f", fault={"step": 3, "moment": "during", "cause": "pause"})
    settled(world, "the callback", lambda: child.reached)
    taken: list[psycopg.Connection[object]] = []
    uri = world.uri.with_dbname("postgres").render(hide_password=False)
    try:
        while True:
            taken.append(psycopg.connect(uri))
    except psycopg.OperationalError:
        pass
    try:
        child.go_on()
        result = child.finish()
    finally:
        for one in taken:
            one.close()
    assert (result.code, f'Database "{world.dbname}" is as it was.' in result.err) == (1, True), str(result)
    settled(world, "nobody at work", world.nobody_at_work)
    assert world.state() == old
