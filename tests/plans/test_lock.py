"""Commands on one target wait for each other."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.errors import AtWork, Refused
from flask_postgres.plans import lock
from flask_postgres.postgres.admin import Connector, Session
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


def test_a_command_at_work_is_waited_for(database: PostgresUri) -> None:
    """One that is undoing has given its turn back already."""
    notes, clock, looks = Notes(), Clock(), iter([AtWork("another command is at work."), None])

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


def test_other_targets_are_no_rivals(server: Server, database: PostgresUri) -> None:
    first, _ = lock.acquire(_connector(database), lambda _: None)
    second, _ = lock.acquire(_connector(server.uri("another")), lambda _: None)
    first.close()
    second.close()
