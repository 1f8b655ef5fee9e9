"""Callbacks at their worst: whatever they do, the old database is as it was, or the new one complete."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from ..project import Result
from ..servers import wait_until
from .world import NEW_ROWS, OLD_ROWS, State, World, settled

ENDING = {
    "raises": "db.create_all()\nraise RuntimeError('no seeds')",
    "exits": "import sys\nsys.exit(0)",
    "exits in a thread's name": "raise SystemExit",
    "commits half": "db.create_all()\ndb.session.add(Pet(name='half'))\ndb.session.commit()\n1 / 0",
    "recurses": "init_db(app, db)",
    "drops what is ours": "db.session.execute(db.text('SELECT pg_terminate_backend(pg_backend_pid())'))",
    "interrupts itself": "raise KeyboardInterrupt",
    "is cancelled": "import asyncio\nraise asyncio.CancelledError('c@n/ary:pw')",
    "closes a generator": "raise GeneratorExit('c@n/ary:pw')",
}

HOLDING = """
    global kept
    engine = db.create_engine(app.config["SQLALCHEMY_DATABASE_URI"])
    kept = engine.connect()
    kept.execute(db.text("CREATE TABLE other (id int)"))
"""

SEEDING = "db.create_all()\ndb.session.add_all([Pet(name='new'), Pet(name='complete')])\ndb.session.commit()"


@pytest.mark.parametrize("name", ENDING)
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_one_that_fails(world: World, name: str, driver: str) -> None:
    world.app(driver=driver, callback=ENDING[name])
    old = world.old_database()
    result = world.run("reset", "-f")
    assert result.code == 1, str(result)
    _check_untouched(world, old)


def test_one_that_swallows_the_interrupt(world: World) -> None:
    world.app(
        callback="""
        import os, signal, time
        for _ in range(3):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.6)
            except:
                pass
        """
        + SEEDING.replace("\n", "\n        ")
    )
    old = world.old_database()
    result = world.run("reset", "-f")
    assert result.code == 1
    assert result.err.endswith(f'Error: stopped by SIGTERM. Database "{world.dbname}" is as it was.\n')
    _check_untouched(world, old)


@pytest.mark.parametrize("then", ["pass", "1 / 0"])
def test_one_that_holds_a_connection(world: World, then: str) -> None:
    world.app(callback=HOLDING + "    " + SEEDING.replace("\n", "\n    ") + f"\n    {then}")
    old = world.old_database()
    result = world.run("reset", "-f")
    assert result.code == (0 if then == "pass" else 1), str(result)
    if result.code:
        _check_untouched(world, old)
    else:
        assert world.rows() == NEW_ROWS
        assert world.names() == {world.dbname}


@pytest.mark.parametrize(
    ("signum", "driver", "named"),
    [
        (signal.SIGINT, "psycopg2", ""),
        (signal.SIGTERM, "psycopg2", ""),
        (signal.SIGHUP, "psycopg2", ""),
        (signal.SIGTERM, "psycopg2", "?application_name=the+app+itself"),
        (signal.SIGINT, "psycopg", ""),
        (signal.SIGTERM, "psycopg", "?application_name=the+app+itself"),
    ],
)
def test_one_that_blocks_in_the_driver(world: World, driver: str, signum: int, named: str) -> None:
    """psycopg2 waits in C, where Python sees no signal: its session is ended from outside."""
    world.app(driver=driver, callback="db.session.execute(db.text('SELECT pg_sleep(60)'))")
    text = (world.folder / "app.py").read_text().replace("/" + world.dbname, "/" + world.dbname + named)
    (world.folder / "app.py").write_text(text)
    old = world.old_database()
    child = world.start("reset", "-f")
    wait_until(lambda: _sleeping(world), what="the callback to sleep")
    began = time.monotonic()
    os.kill(child.pid, signum)
    result = child.finish()
    assert time.monotonic() - began < 15
    assert result.code == 1
    assert f"stopped by {signal.Signals(signum).name}." in result.err
    _check_untouched(world, old)


def test_two_databases_while_one_blocks_in_the_driver(world: World) -> None:
    """Ending the sessions of the second must not end those by which the first is undone already."""
    other = World(world.cluster, world.nursery, f"{world.dbname}_logs", world.folder)
    world.app(driver="psycopg2", callback="db.session.execute(db.text('SELECT pg_sleep(60)'))")
    text = (world.folder / "app.py").read_text()
    binds = f'app.config["SQLALCHEMY_BINDS"] = {{"logs": {other.uri.render(hide_password=False)!r}}}\n'
    (world.folder / "app.py").write_text(text.replace("db = SQLAlchemy", f"{binds}db = SQLAlchemy"))
    old = world.old_database(), other.old_database()
    child = world.start("reset", "-f", "--all-binds")
    wait_until(lambda: _sleeping(world), what="the callback to sleep")
    os.kill(child.pid, signal.SIGTERM)
    result = child.finish()
    assert (result.code, "Undoing failed" in result.err) == (1, False), str(result)
    assert (world.state(), other.state()) == old
    assert world.names() == {world.dbname, other.dbname}


def test_one_that_waits_for_a_child(world: World) -> None:
    world.app(
        callback="""
        import subprocess, sys
        code = "import psycopg, sys, time; c = psycopg.connect(sys.argv[1]); time.sleep(60)"
        uri = app.config["SQLALCHEMY_DATABASE_URI"].replace("+psycopg", "")
        open("reached", "w")
        subprocess.run([sys.executable, "-c", code, uri])
        """
    )
    old = world.old_database()
    child = world.start("reset", "-f")
    wait_until(lambda: child.reached, what="the child process")
    os.kill(child.pid, signal.SIGTERM)
    result = child.finish()
    assert result.code == 1
    assert "stopped by SIGTERM" in result.err
    _check_untouched(world, old)


@pytest.mark.parametrize(
    "fork",
    [
        "pid = os.fork()\nif not pid: sys.exit(0)\nassert os.waitpid(pid, 0)[1] == 0",
        "pid = os.fork()\nif not pid: return\nos.waitpid(pid, 0)",
        "pid = os.fork()\nif not pid: 1 / 0\nassert os.waitpid(pid, 0)[1] != 0",
        "p = multiprocessing.get_context('fork').Process(target=time.sleep, args=(30,))\n"
        "p.start(); p.terminate(); p.join(); time.sleep(1.3)",
    ],
)
def test_one_that_forks(world: World, fork: str) -> None:
    """The plan is the parent's. A signal that the child gets is nothing to it."""
    imports = "import multiprocessing, os, sys, time, warnings\nwarnings.simplefilter('ignore')"
    world.app(callback=f"{imports}\n{fork}\n{SEEDING}")
    world.old_database()
    result = world.run("reset", "-f")
    assert result.code == 0, str(result)
    assert result.err.count("was initialized") == 1
    assert world.rows() == NEW_ROWS
    assert world.names() == {world.dbname}


def test_one_that_prints_a_secret(world: World) -> None:
    """``finish`` looks for the canaries."""
    world.app(
        callback="""
        import sys
        print("my uri is", app.config["SQLALCHEMY_DATABASE_URI"])
        print("or", db.engine.url.password, "you know", file=sys.stderr)
        print("in", end=" "); print("two pieces c@n/", end=""); print("ary:pw")
        """
        + SEEDING.replace("\n", "\n        ")
    )
    result = world.run("setup")
    assert result.code == 0
    assert "my uri is postgresql+psycopg://app_dev:***@127.0.0.1" in result.all
    assert "two pieces ***" in result.all


def test_what_init_committed_stays_and_is_said(world: World) -> None:
    world.app(callback="db.session.add(Pet(name='half'))\ndb.session.commit()\n1 / 0")
    world.old_database()
    result = world.run("init")
    assert result.code == 1
    assert result.err.rstrip().endswith(f'What it had committed to "{world.dbname}" stays.')
    world.app(callback="import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept: pass")
    result = world.run("init")
    assert result.code == 1
    assert result.err == f'Error: stopped by SIGINT. What it had committed to "{world.dbname}" stays.\n'
    assert world.rows() == ["half", "old"]


def test_one_that_comments_on_the_database(world: World) -> None:
    """The app's comment wins, and does not hide from us what we have made."""
    comment = f"COMMENT ON DATABASE {world.dbname} IS 'the app''s'"
    seeding = f'db.session.execute(db.text("{comment}"))\n{SEEDING}'
    world.app(callback=seeding + "\n1 / 0")
    old = world.old_database()
    assert world.run("reset", "-f").code == 1
    _check_untouched(world, old)
    world.app(callback=seeding)
    assert world.run("reset", "-f").code == 0
    state = world.state()
    assert state is not None
    assert state.comment == "the app's"
    assert world.names() == {world.dbname}


def test_setup_leaves_nothing(world: World) -> None:
    world.app(callback=ENDING["commits half"])
    result: Result = world.run("setup")
    assert result.code == 1
    settled(world, "nobody at work", world.nobody_at_work)
    assert world.names() == set()


def _check_untouched(world: World, old: State) -> None:
    settled(world, "nobody at work", world.nobody_at_work)
    assert world.state() == old
    assert world.rows() == OLD_ROWS
    assert world.names() == {world.dbname}


def _sleeping(world: World) -> bool:
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%%'"
        " AND wait_event = 'PgSleep' AND datname = %s"
    )
    return bool(world.cluster.execute(query, world.dbname))


@pytest.mark.parametrize("command", ["setup", "reset"])
def test_one_that_leaves_a_prepared_transaction(world: World, command: str) -> None:
    """Nothing else would ever end it, and it would keep the new database from being dropped."""
    world.app(
        callback="""
        db.create_all()
        with db.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql("INSERT INTO pet (name) VALUES ('x')")
            connection.exec_driver_sql("PREPARE TRANSACTION 'it''s left'")
        raise RuntimeError("no seeds")
        """
    )
    old = world.old_database() if command == "reset" else None
    result = world.run(command, *(["-f"] if command == "reset" else []))
    assert result.code == 1
    assert "Undoing failed" not in result.err, str(result)
    if old is None:
        assert world.names() == set()
    else:
        _check_untouched(world, old)
    assert world.cluster.execute(
        "SELECT count(*) FROM pg_prepared_xacts WHERE database = %s", world.dbname
    ) == [(0,)]


def test_others_that_were_on_the_new_database(world: World) -> None:
    """It has its real name while it is filled, so an app that runs may write to it."""
    world.app(
        callback="""
        import psycopg
        db.create_all()
        db.session.commit()
        uri = app.config["SQLALCHEMY_DATABASE_URI"].replace("+psycopg", "")
        global kept
        kept = psycopg.connect(uri, autocommit=True, application_name="the app that runs")
        kept.execute("INSERT INTO pet (name) VALUES ('theirs')")
        raise RuntimeError("no seeds")
        """
    )
    old = world.old_database()
    result = world.run("reset", "-f")
    assert result.code == 1
    said = rf'connected to the new "{world.dbname}" \(pid \d+ as app_dev\); what they committed is lost\.'
    assert re.search(rf'{said} Database "{world.dbname}" is as it was\.', result.err), str(result)
    _check_untouched(world, old)
