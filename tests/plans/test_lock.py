"""Commands on one target wait for each other."""

from __future__ import annotations

import dataclasses
import threading
import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.errors import AtWork, Refused
from flask_postgres.plans import engine, lock
from flask_postgres.plans.context import StepContext
from flask_postgres.plans.plan import Request
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.session import Session
from flask_postgres.remedies import Remedy
from flask_postgres.reporting import Silence

from ..servers import Server


class Notes(Silence):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str, *_: Remedy) -> None:
        self.notes.append(message)


@dataclasses.dataclass
class Clock:
    """A clock that only sleeping moves, and what happens at each sleep."""

    now: float = 0.0
    then: t.Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.then()

    def __call__(self) -> float:
        return self.now


def _connector(uri: PostgresUri, notes: Notes | None = None) -> Connector:
    return Connector(uri=uri, token="0a0b0c0d", reporter=notes or Notes())


def test_a_waiter_is_not_connected_and_says_for_what(server: Server, database: PostgresUri) -> None:
    notes, clock = Notes(), Clock()
    first, _ = lock.acquire(_connector(database), lambda _: None)
    seen: list[int] = []

    def between() -> None:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        name = _connector(database).application_name
        seen.append(server.execute(query, name)[0][0])
        if len(seen) == 3:
            first.close()

    clock.then = between
    second, looked = lock.acquire(_connector(database, notes), lambda _: 7, sleep=clock.sleep, clock=clock)
    second.close()
    assert looked == 7
    assert max(seen) <= 2  # the first one, and perhaps the waiter's own, still ending
    (note,) = notes.notes
    assert note.startswith(
        f'waiting for the lock of database "{database.dbname}": another command has it (pid '
    )
    assert "user app_dev" in note


def test_patience_ends(database: PostgresUri) -> None:
    clock = Clock()
    first, _ = lock.acquire(_connector(database), lambda _: None)
    with (
        first,
        pytest.raises(
            Refused, match=r"the lock of database .* is not free after 600 s: another command has it"
        ),
    ):
        lock.acquire(_connector(database), lambda _: None, sleep=lambda _: clock.sleep(100), clock=clock)


def test_a_waiter_asks_less_and_less_often_and_not_at_the_same_time_as_others(database: PostgresUri) -> None:
    pauses: list[float] = []
    clock = Clock()

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.sleep(seconds)

    first, _ = lock.acquire(_connector(database), lambda _: None)
    with first, pytest.raises(Refused):
        lock.acquire(_connector(database), lambda _: None, sleep=sleep, clock=clock, timeout=15)
    assert 0.05 <= pauses[0] <= 0.15
    assert all(0.5 <= pause <= 1.5 for pause in pauses[-5:])
    assert len(set(pauses[-5:])) == 5


def test_a_command_at_work_is_waited_for(database: PostgresUri) -> None:
    """One that is undoing has given its turn back already."""
    busy = AtWork("another command is at work.")
    notes, clock, looks = Notes(), Clock(), iter([busy, busy, None])

    def look(_: Session) -> str:
        if (fault := next(looks)) is not None:
            raise fault
        return "seen"

    session, looked = lock.acquire(_connector(database, notes), look, sleep=clock.sleep, clock=clock)
    session.close()
    assert looked == "seen"
    assert notes.notes == [
        f'waiting for the lock of database "{database.dbname}": another command is at work'
    ]


def test_what_the_look_raises_gives_the_turn_back(database: PostgresUri) -> None:
    def look(_: Session) -> None:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        lock.acquire(_connector(database), look)
    clock = Clock()
    session, _ = lock.acquire(_connector(database), lambda _: None, clock=clock)
    session.close()


def test_the_locks_of_several_databases_are_taken_in_one_order(server: Server, dbname: str) -> None:
    """Two commands that took them in different orders would wait for each other for ever."""
    first, second = server.uri(f"{dbname}_1"), server.uri(f"{dbname}_2")
    waiting = threading.Event()

    class Waiting(Notes):
        def note(self, message: str, *_: Remedy) -> None:
            if message.startswith(f'waiting for the lock of database "{first.dbname}"'):
                waiting.set()

    tasks = [
        engine.Task(
            Request(command="create", dbname=uri.dbname), StepContext(connector=_connector(uri, Waiting()))
        )
        for uri in (second, first)
    ]
    held, _ = lock.acquire(_connector(first), lambda _: None)
    command = threading.Thread(target=engine.run, args=(tasks,))
    with held:
        command.start()
        assert waiting.wait(20)
        free, _ = lock.acquire(_connector(second), lambda _: None, sleep=lambda _: None, timeout=0)
        free.close()
    command.join(30)
    assert {first.dbname, second.dbname} <= server.names()


def test_other_targets_are_no_rivals(server: Server, database: PostgresUri) -> None:
    first, _ = lock.acquire(_connector(database), lambda _: None)
    second, _ = lock.acquire(_connector(server.uri("another")), lambda _: None)
    first.close()
    second.close()


def test_names_do_not_meet_in_one_key(database: PostgresUri) -> None:
    """These two have the same CRC-32, so two binds were taken for one database."""
    first, _ = lock.acquire(_connector(database.with_dbname("plumless")), lambda _: None)
    with first:
        second, _ = lock.acquire(_connector(database.with_dbname("buckeroo")), lambda _: None, timeout=5)
        second.close()


def test_a_server_that_this_command_itself_has_filled(server: Server, database: PostgresUri) -> None:
    """Waiting for a free connection would last as long as it holds its own."""
    first, _ = lock.acquire(_connector(database), lambda _: None)
    server.execute("ALTER ROLE app_dev CONNECTION LIMIT 1")
    try:
        with first, pytest.raises(Refused, match=r"this command holds 1, one a database\. Raise"):
            lock.acquire(_connector(server.uri("another")), lambda _: None, held=[first], clock=Clock())
    finally:
        server.execute("ALTER ROLE app_dev CONNECTION LIMIT -1")
