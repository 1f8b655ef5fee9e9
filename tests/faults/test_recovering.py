"""protect, unprotect, and recover in every state that a killed command can leave."""

from __future__ import annotations

import signal
import typing as t

import psycopg
import pytest

from flask_postgres.postgres import marks

from .cells import FULL
from .world import LATE_SEED, NEW_ROWS, OLD_ROWS, SEED, State, World, settled

FINAL = ("reset", "-f", "--final")
"""Once it is complete, the old database is dropped, and not kept for undo."""


def _killed(world: World, step: int, moment: str, *command: str, callback: str = SEED) -> State:
    """Leave what a command leaves that is killed there; return the state before."""
    world.app(callback=callback)
    old = world.old_database()
    result = world.run(
        *(command or ("reset", "-f")), fault={"step": step, "moment": moment, "cause": "SIGKILL"}
    )
    assert result.code == -signal.SIGKILL, str(result)
    settled(world, "nobody at work", world.nobody_at_work)
    return old


def test_protect_survives_a_comment(world: World) -> None:
    world.app()
    world.old_database()
    world.sql("COMMENT ON DATABASE {} IS 'two\nlines'", world.dbname)
    assert world.run("protect").code == 0
    protected = world.state()
    assert protected is not None
    assert (protected.comment or "").startswith("two\nlines\n[flask-postgres:protected")
    for command in (
        ["drop", "-f"],
        ["drop", "-f", "-fd"],
        ["reset", "-f", "-fd"],
        ["create", "-o", "-f"],
        ["setup", "-o", "-f"],
    ):
        result = world.run(*command)
        assert result.code == 1
        assert "is protected" in result.err
        assert "flask psql unprotect" in result.err
        assert world.state() == protected
    again = world.run("protect")
    assert (again.code, "already protected" in again.err) == (0, True)
    assert world.run("unprotect").code == 1
    assert world.state() == protected
    assert world.run("unprotect", "-f").code == 0
    state = world.state()
    assert state is not None
    assert state.comment == "two\nlines"
    assert world.run("drop", "-f").code == 0


def test_aside_and_unfinished(world: World) -> None:
    """No row would be lost, so nobody is asked."""
    old = _killed(world, 3, "during", callback=LATE_SEED)
    assert [item.kind for item in world.status().leftovers] == ["unfinished", "aside"]
    for command in ("setup", "reset", "init", "create"):
        result = world.run(command, *(["-f"] if command == "reset" else []))
        assert result.code == 1
        assert "flask psql recover" in result.err
    result = world.run("recover")
    assert result.code == 0, str(result)
    assert "was recovered" in result.err
    _check(world, old)


def test_aside_and_nothing_in_its_place(world: World) -> None:
    old = _killed(world, 3, "during")
    assert world.run("drop", "-f").code == 0
    missing = world.run("setup")
    assert missing.code == 1
    assert "flask psql recover" in missing.err
    assert "flask psql recover" in world.run("drop", "-f").err
    assert world.run("recover").code == 0
    _check(world, old)


def test_aside_and_a_complete_one(world: World) -> None:
    """That would drop work: both are shown, and the name is asked for."""
    old = _killed(world, 4, "after", *FINAL)
    assert world.rows() == NEW_ROWS
    refused = world.run("recover")
    assert refused.code == 1
    assert "now there" in refused.err
    assert "set aside" in refused.err
    assert world.rows() == NEW_ROWS
    with world.cluster.connect(world.dbname):
        assert world.run("recover", "-f").code == 1  # a superuser's session: it may not be ended
    assert world.rows() == NEW_ROWS
    state = world.state()
    assert state is not None
    assert state.open
    assert world.run("recover", "-f").code == 0
    _check(world, old)


@pytest.mark.parametrize("late", [False, True])
def test_what_cannot_be_opened_is_not_put_back(world: World, late: bool) -> None:
    """A DROP that was killed, by a server that leaves no trace of that in its catalogue."""
    old = _killed(world, 4, "after", *FINAL) if late else _killed(world, 3, "during")
    before, rows = world.state(), world.rows()
    files = world.cluster.data_dir / "base" / str(old.oid)
    files.rename(files.with_suffix(".gone"))
    result = world.run("recover", "-f")
    assert (result.code, "cannot be restored: it does not accept connections" in result.err) == (1, True), (
        str(result)
    )
    assert (world.state(), world.rows()) == (before, rows)
    world.announced()
    files.with_suffix(".gone").rename(files)
    assert world.run("recover", "-f").code == 0
    _check(world, old)


def test_a_callback_that_overwrites_the_mark(world: World) -> None:
    """The half-made database looks complete then, but nobody is told to drop the old one for it."""
    comment = "db.session.execute(db.text('COMMENT ON DATABASE \"' + db.engine.url.database + '\" IS NULL'))"
    world.app(
        callback=f"from tests.faults import points\n{comment}\ndb.session.commit()\npoints.in_callback()"
    )
    old = world.old_database()
    result = world.run("reset", "-f", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    assert result.code == -signal.SIGKILL, str(result)
    settled(world, "nobody at work", world.nobody_at_work)
    assert [item.remedy.arguments for item in world.announced().leftovers] == ["recover"]
    assert world.run("recover", "-f").code == 0
    _check(world, old)


def test_one_put_there_while_a_leftover_is_removed(world: World) -> None:
    """A DROP by name would take whatever has the name when its turn comes."""
    world.app(callback=LATE_SEED)
    world.run("setup", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    child = world.start("setup", fault={"step": 1, "moment": "sending 5", "cause": "pause"})
    settled(world, "the DROP", lambda: child.reached)
    other = world.old_database()
    child.go_on()
    result = child.finish()
    assert (result.code, "another command has changed" in result.err) == (1, True), str(result)
    _check(world, other)


def test_a_leftover_of_another_role(world: World) -> None:
    world.app()
    name = marks.name_for_new(world.dbname, "0badcafe")
    world.sql("CREATE DATABASE {}", name)
    result = world.run("recover")
    assert (result.code, "it is left alone" in result.err) == (0, True), str(result)
    assert name in world.names()
    world.sql("DROP DATABASE {}", name)


def test_discard_instead(world: World) -> None:
    _killed(world, 4, "after", *FINAL)
    assert world.run("recover", "--discard").code == 1
    assert world.run("recover", "--discard", "-f").code == 0
    assert world.rows() == NEW_ROWS
    assert world.names() == {world.dbname}
    nothing = world.run("recover")
    assert (nothing.code, "nothing to recover" in nothing.err) == (0, True)


def test_two_asides_are_told_apart(world: World) -> None:
    """The unfinished database names the command that set its predecessor aside."""
    _killed(world, 4, "after", *FINAL)
    between = world.state()
    result = world.run("reset", "-f", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    assert result.code == -signal.SIGKILL
    settled(world, "nobody at work", world.nobody_at_work)
    assert len(world.names()) == 3
    assert world.run("recover", "-f").code == 0
    assert world.state() == between
    assert world.rows() == NEW_ROWS
    assert world.run("recover", "--discard", "-f").code == 0
    assert world.names() == {world.dbname}


def test_blocked(world: World) -> None:
    old = _killed(world, 2, "after", "reset", "-f", "-fd")
    for command in (["reset", "-f"], ["setup"], ["create"], ["init"]):
        result = world.run(*command)
        assert result.code == 1
        assert "flask psql recover" in result.err
    assert world.run("recover").code == 0
    _check(world, old)


def test_what_bears_no_mark_is_never_dropped(world: World) -> None:
    """The command was killed between CREATE DATABASE and the mark; or the name is somebody's own."""
    _killed(world, 1, "statement 1")
    (foreign,) = world.status().leftovers
    assert foreign.kind == "foreign"
    for command in (["create"], ["recover"], ["reset", "-f"], ["drop", "-f"], ["setup"]):
        assert world.run(*command).code == 0
        assert foreign.name in world.names()
    assert world.mend() == [f'DROP DATABASE "{foreign.name}"']


def test_an_old_database_without_its_mark_is_never_dropped(world: World) -> None:
    """Somebody has written another comment on it, or restored it: only its name is left of us."""
    _killed(world, 4, "after", *FINAL)
    (aside,) = world.names() - {world.dbname}
    world.sql("COMMENT ON DATABASE {} IS NULL", aside)
    for command in (
        ["setup"],
        ["recover", "-f"],
        ["reset", "-f", "-fd"],
        ["recover", "--discard", "-f"],
        ["drop", "-f"],
    ):
        assert world.run(*command).code == 0
        assert aside in world.names()


def test_one_put_back_by_hand(world: World) -> None:
    old = _killed(world, 4, "after", *FINAL)
    (aside,) = world.names() - {world.dbname}
    world.sql("DROP DATABASE {}", world.dbname)
    world.sql("ALTER DATABASE {} RENAME TO {}", aside, world.dbname)
    assert "flask psql recover" in world.run("reset", "-f").err
    assert world.run("recover").code == 0
    _check(world, old)


@pytest.mark.parametrize("kind", ["target", "aside"])
def test_invalid(world: World, kind: str) -> None:
    """What an interrupted DROP leaves can only be dropped."""
    _killed(world, 4, "after", *FINAL)
    (aside,) = world.names() - {world.dbname}
    name = world.dbname if kind == "target" else aside
    world.cluster.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s", name)
    result = world.run("recover", "-f")
    assert result.code == 1
    if kind == "aside":
        assert "recover --discard" in result.err
        assert world.run("recover", "--discard", "-f").code == 0
        assert world.rows() == NEW_ROWS
    else:
        assert "flask psql drop" in result.err
        assert world.run("init").code == 1
        assert world.run("drop", "-f").code == 0
        assert world.run("recover", "-f").code == 0
        assert world.rows() == OLD_ROWS
    assert world.names() == {world.dbname}


def test_a_discard_that_fails(world: World) -> None:
    """The reset has succeeded all the same."""
    world.app()
    world.old_database()
    child = world.start(*FINAL, fault={"step": 5, "moment": "before", "cause": "pause"})
    settled(world, "the last step", lambda: child.reached)
    (aside,) = world.names() - {world.dbname}
    world.sql("ALTER DATABASE {} IS_TEMPLATE true", aside)  # a template cannot be dropped
    child.go_on()
    result = child.finish()
    world.sql("ALTER DATABASE {} IS_TEMPLATE false", aside)
    assert result.code == 0, str(result)
    assert aside in result.err
    assert "flask psql recover --discard" in result.err
    assert world.rows() == NEW_ROWS
    assert world.mend() == ["recover --discard"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("killed_at", range(1, 10) if FULL else (1, 3, 5, 7))
def test_recover_itself_is_killed(world: World, killed_at: int, late: bool) -> None:
    """It can be run again, from wherever it was."""
    old = _killed(world, 4, "after", *FINAL) if late else _killed(world, 3, "during")
    for step in (1, 2):
        fault = {"step": step, "moment": f"statement {killed_at}", "cause": "SIGKILL"}
        if world.run("recover", "-f", fault=fault).code == 0:
            break
        settled(world, "nobody at work", world.nobody_at_work)
        world.announced()
    world.mend()
    if not late:
        _check(world, old)
    assert world.rows() in (OLD_ROWS, NEW_ROWS)
    assert world.names() == {world.dbname}


@pytest.mark.parametrize("killed_at", range(1, 10) if FULL else (2, 3, 5, 8))
def test_undoing_itself_is_killed(world: World, killed_at: int) -> None:
    world.app(callback="db.create_all()\n1 / 0")
    old = world.old_database()
    fault: dict[str, t.Any] = {"step": None, "moment": f"undo {killed_at}", "cause": "SIGKILL"}
    world.run("reset", "-f", "-fd", fault=fault)
    settled(world, "nobody at work", world.nobody_at_work)
    world.announced()
    if world.state() != old:
        assert world.run("recover").code == 0
    world.mend()
    _check(world, old)


def _check(world: World, old: State) -> None:
    assert world.state() == old
    assert world.rows() == OLD_ROWS
    assert world.names() == {world.dbname}


@pytest.mark.parametrize("moment", ["sending 1", "sending 2"])
def test_what_was_put_back_meanwhile_is_not_touched(world: World, moment: str) -> None:
    """Nothing is closed or marked but the very database that the plan means."""
    old = _killed(world, 3, "during", callback=LATE_SEED)
    (aside,) = (item.name for item in world.status().leftovers if item.kind == "aside")
    child = world.start("recover", fault={"step": 1, "moment": moment, "cause": "pause"})
    settled(world, "that statement", lambda: child.reached)
    world.sql("DROP DATABASE {} WITH (FORCE)", world.dbname)
    world.sql("ALTER DATABASE {} RENAME TO {}", aside, world.dbname)
    world.sql("ALTER DATABASE {} ALLOW_CONNECTIONS true", world.dbname)
    world.sql("COMMENT ON DATABASE {} IS 'kept'", world.dbname)
    child.go_on()
    result = child.finish()
    assert (result.code, "another command has changed" in result.err) == (1, True), str(result)
    _check(world, old)


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_two_asides_are_told_apart_after_a_killed_recover(world: World, killed_at: int) -> None:
    _killed(world, 4, "after", *FINAL)
    between = world.state()
    world.run("reset", "-f", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    world.run("recover", "-f", fault={"step": 1, "moment": f"statement {killed_at}", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    result = world.run("recover", "-f")
    assert result.code == 0, str(result)
    assert world.state() == between


def test_a_leftover_that_is_another_one_by_now(world: World) -> None:
    """Its name and its mark are alike, but a living command may be at work on it."""
    world.app(callback=LATE_SEED)
    world.run("setup", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    child = world.start("setup", fault={"step": 1, "moment": "before", "cause": "pause"})
    settled(world, "the first step", lambda: child.reached)
    world.sql("DROP DATABASE {}", world.dbname)
    world.sql("CREATE DATABASE {} OWNER app_dev", world.dbname)
    world.mark(marks.State.UNFINISHED, token="0a0b0c0d")
    other = world.state()
    child.go_on()
    result = child.finish()
    assert (result.code, "another command has changed" in result.err) == (1, True), str(result)
    assert world.state() == other


def test_discarding_the_only_complete_one(world: World) -> None:
    old = _killed(world, 3, "during", callback=LATE_SEED)
    result = world.run("recover", "--discard")
    assert result.code == 1
    assert f'Note: it is the only complete one: there will be no database "{world.dbname}"' in result.err
    assert world.run("recover").code == 0
    _check(world, old)


def test_which_of_several_is_not_guessed(world: World) -> None:
    """What the message says to do brings the chosen one back."""
    old = _killed(world, 4, "after", *FINAL)
    world.run(*FINAL, fault={"step": 4, "moment": "after", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    result = world.run("recover", "-f")
    assert (result.code, "several former databases" in result.err) == (1, True), str(result)
    oldest = world.cluster.execute("SELECT datname FROM pg_database WHERE oid = %s", old.oid)[0][0]
    world.sql("DROP DATABASE {}", world.dbname)
    world.sql("ALTER DATABASE {} RENAME TO {}", oldest, world.dbname)
    assert world.run("recover").code == 0
    assert world.state() == old


def test_undoing_setup_drops_only_what_it_made(world: World) -> None:
    """A command that was suspended just then wakes up when another has done the same work."""
    world.app(callback="db.create_all()\n1 / 0")
    child = world.start("setup", fault={"step": None, "moment": "sending 1", "cause": "pause"})
    settled(world, "the first statement of undoing", lambda: child.reached)
    world.sql("DROP DATABASE {}", world.dbname)
    other = world.old_database()
    child.go_on()
    result = child.finish()
    assert (result.code, "recover" in result.err) == (1, True), str(result)
    assert world.state() == other
    assert world.rows() == OLD_ROWS


def test_an_unfinished_one_that_is_in_use(world: World) -> None:
    """Somebody goes on with it, and does not know that the next setup would make it anew."""
    world.app(callback=LATE_SEED)
    world.run("setup", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    before = world.state()
    with world.cluster.connect(world.dbname, application_name="flask run elsewhere"):
        for command in (["setup", "--if-missing"], ["setup"], ["create"], ["recover"]):
            result = world.run(*command)
            assert result.code == 1, str(result)
            assert "was left incomplete by an interrupted command and has open sessions" in result.err
            assert '"flask run elsewhere"' in result.err
            assert world.state() == before
    assert world.run("setup", "--if-missing").code == 0
    assert world.rows() == NEW_ROWS


@pytest.mark.parametrize("command", [["reset"], ["setup", "-o"], ["create", "-o"]])
def test_an_unfinished_one_that_somebody_has_gone_on_with(world: World, command: list[str]) -> None:
    """It may hold their work by now: whatever can ask does so, and says how to keep it."""
    world.app(callback=LATE_SEED)
    world.run("setup", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    with world.cluster.connect(world.dbname) as session:
        session.execute("INSERT INTO pet (name) VALUES ('work of days')")
    refused = world.run(*command)
    assert (refused.code, "no confirmation received" in refused.err) == (1, True), str(refused)
    assert "work of days" in (world.rows() or [])
    assert "To keep it: flask psql recover" in refused.err
    assert world.run("recover").code == 0
    assert "already exists" in world.run("create").err
    assert "work of days" in (world.rows() or [])


def test_an_unfinished_one_that_a_pooler_keeps_a_session_on(world: World) -> None:
    """PgBouncer's own last words in session mode mean that nobody is there; any other words, somebody."""
    world.app(callback=LATE_SEED)
    world.run("setup", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    settled(world, "nobody at work", world.nobody_at_work)
    uri = world.cluster.uri(world.dbname).render(hide_password=False)
    with psycopg.connect(uri, application_name="app behind a pooler", autocommit=True) as session:
        for statement in ("SELECT 1", "BEGIN"):
            session.execute("DISCARD ALL")
            session.execute(statement)
            result = world.run("setup")
            assert (result.code, '"app behind a pooler"' in result.err) == (1, True), str(result)
            session.execute("ROLLBACK")
        session.execute("DISCARD ALL")
        assert world.run("setup").code == 0
    assert world.rows() == NEW_ROWS


def test_an_unfinished_one_that_is_in_use_before_it_is_swapped_back(world: World) -> None:
    old = _killed(world, 3, "during", callback=LATE_SEED)
    with world.cluster.connect(world.dbname, application_name="flask run elsewhere"):
        result = world.run("recover")
        assert (result.code, '"flask run elsewhere"' in result.err) == (1, True), str(result)
    assert world.run("recover").code == 0
    _check(world, old)
