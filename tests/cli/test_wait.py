"""``flask psql wait``: what heals is waited for, what does not is an error at once; time is a fake clock."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
import time
import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.errors import (
    AuthenticationFailed,
    CannotConnect,
    DriverMissing,
    FlaskPostgresError,
    ServerError,
    ServerUnreachable,
)
from flask_postgres.postgres import waiting
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.session import Session
from flask_postgres.remedies import Remedy

from ..project import Project, finish
from ..servers import Server, free_port, server_folder

REFUSED = ServerUnreachable("connection refused.", remedy="Start it.")
STARTING = ServerUnreachable("the server is not ready.", sqlstate="57P03")
FULL = CannotConnect("no free connection.", sqlstate="53300")
GOING = ServerError("an administrator ended the session.", sqlstate="57P01")
WRONG_PASSWORD = AuthenticationFailed("wrong password.")
NO_SUCH_DATABASE = CannotConnect('database "postgres" does not exist.')
NO_DRIVER = DriverMissing("no driver.")


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclasses.dataclass
class Recorder:
    """A reporter that keeps what it is told."""

    notes: list[str] = dataclasses.field(default_factory=list)
    details: list[str] = dataclasses.field(default_factory=list)

    def outcome(self, message: str) -> None:
        raise AssertionError(message)

    def note(self, message: str, *_: Remedy) -> None:
        self.notes.append(message)

    def detail(self, message: str) -> None:
        self.details.append(message)

    def progress(self, label: str) -> t.ContextManager[None]:  # noqa: ARG002
        return contextlib.nullcontext()


class Open:
    def close(self) -> None:
        pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scripted(Connector):
    """A connector whose attempts end as a list says, the last of it again and again.

    A pair is what the database to administer from answers, and what the target does.
    """

    script: list[t.Any]
    limits: list[float] = dataclasses.field(default_factory=list)

    def admin(self) -> Session:
        self.limits.append(self.connect_timeout)
        return self._answer(0)

    def target(self) -> Session:
        return self._answer(1)

    def _answer(self, index: int) -> Session:
        step = self.script[min(len(self.limits), len(self.script)) - 1]
        answer = step[index] if isinstance(step, tuple) else step
        if isinstance(answer, FlaskPostgresError):
            raise answer
        return t.cast("Session", Open())


@dataclasses.dataclass
class Case:
    clock: Clock = dataclasses.field(default_factory=Clock)
    recorder: Recorder = dataclasses.field(default_factory=Recorder)
    attempts: int = 0
    limits: t.Sequence[float] = ()

    def wait(self, *script: t.Any, timeout: float = 60, uri: str = "postgresql://h/shop") -> None:
        connector = Scripted(uri=PostgresUri(uri), reporter=self.recorder, script=list(script))
        try:
            waiting.wait(connector, timeout=timeout, clock=self.clock, sleep=self.clock.sleep)
        finally:
            self.attempts, self.limits = len(connector.limits), connector.limits


@pytest.fixture
def case() -> Case:
    return Case()


def test_a_server_that_is_there_is_not_waited_for(case: Case) -> None:
    case.wait(None)
    assert (case.attempts, case.clock.slept, case.recorder.notes) == (1, [], [])


@pytest.mark.parametrize("error", [REFUSED, STARTING, FULL, GOING])
def test_what_can_heal_is_tried_again(case: Case, error: FlaskPostgresError) -> None:
    case.wait(error, error, error, None)
    assert case.attempts == 4
    assert case.recorder.notes == [f"waiting up to 60 s for the server: {error.message}"], "said once"


@pytest.mark.parametrize("error", [WRONG_PASSWORD, NO_DRIVER])
def test_what_cannot_heal_is_an_error_at_once(case: Case, error: FlaskPostgresError) -> None:
    with pytest.raises(type(error)):
        case.wait(error)
    assert (case.attempts, case.clock.slept) == (1, [])


def test_a_doubtful_error_is_asked_for_twice(case: Case) -> None:
    """The server may have come up between the driver's attempt and the probe that looked for the cause."""
    case.wait(REFUSED, NO_SUCH_DATABASE, None)
    assert case.attempts == 3
    with pytest.raises(CannotConnect, match="does not exist"):
        case.wait(REFUSED, NO_SUCH_DATABASE, NO_SUCH_DATABASE, None)
    assert case.attempts == 3


def test_a_wrong_password_after_a_while(case: Case) -> None:
    with pytest.raises(AuthenticationFailed):
        case.wait(REFUSED, STARTING, WRONG_PASSWORD)
    assert case.recorder.details == ["still waiting: the server is not ready."]


def test_being_let_into_the_target_is_enough(case: Case) -> None:
    case.wait((WRONG_PASSWORD, None))
    case.wait((NO_SUCH_DATABASE, STARTING), (NO_SUCH_DATABASE, None))
    with pytest.raises(CannotConnect, match="postgres"):
        case.wait((NO_SUCH_DATABASE, WRONG_PASSWORD))


def test_the_end_of_patience(case: Case) -> None:
    with pytest.raises(ServerUnreachable) as caught:
        case.wait(REFUSED, timeout=20)
    assert caught.value.message == (
        "the server at h:5432 is not accepting connections after 20 s: connection refused."
    )
    assert caught.value.remedies == ("Start it.",)
    assert case.clock.now == 1020.0, "neither earlier nor later"
    assert max(case.clock.slept) <= waiting.LONGEST_PAUSE


def test_no_patience_is_one_attempt(case: Case) -> None:
    with pytest.raises(ServerUnreachable):
        case.wait(REFUSED, timeout=0)
    assert (case.attempts, case.clock.slept) == (1, [])


def test_an_attempt_does_not_outlast_the_patience(case: Case) -> None:
    with pytest.raises(ServerUnreachable):
        case.wait(REFUSED, timeout=5)
    assert case.limits[0] == 5
    assert min(case.limits) == 1


def test_a_failover_group_may_get_another_member(case: Case) -> None:
    case.wait(*[NO_SUCH_DATABASE] * 5, None, uri="postgresql:///shop?host=a:1&host=b:2")
    assert case.attempts == 6


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_server_that_is_there(server: Server, dbname: str, project: Project, driver: str) -> None:
    done = project.app(server.uri(dbname, driver)).psql("wait")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"the server at 127.0.0.1:{server.port} accepts connections\n"


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_wrong_password(server: Server, dbname: str, project: Project, driver: str) -> None:
    begin = time.monotonic()
    done = project.app(server.uri(dbname, driver, password="not it")).psql("wait", "--timeout", "50")
    assert done.code == 1
    assert done.err.startswith("Error: the server at")
    assert time.monotonic() - begin < 30


def test_not_a_number_is_no_timeout(project: Project) -> None:
    done = project.here("wait", "--timeout", "nan")
    assert done.code == 2
    assert "Invalid value for '--timeout': 'nan' is not a valid number of seconds." in done.err


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_nothing_listens(server: Server, project: Project, driver: str) -> None:
    port = free_port()
    done = project.app(server.uri("shop", driver, port=port)).psql("wait", "--timeout", "0.4")
    assert done.code == 1
    note, error = done.err.splitlines()
    assert note.startswith(
        f"waiting up to 0.4 s for the server: no PostgreSQL server listens at 127.0.0.1:{port}"
    )
    assert error.startswith(f"Error: the server at 127.0.0.1:{port} is not accepting connections after 0.4 s")


def test_a_host_that_is_not_known_yet(project: Project) -> None:
    done = project.app("postgresql://someone@db.invalid/shop").psql("wait", "--timeout", "0.2")
    assert done.code == 1
    note, error = done.err.splitlines()
    assert note.startswith('waiting up to 0.2 s for the server: the host "db.invalid" cannot be resolved')
    assert error.startswith("Error: the server at db.invalid:5432 is not accepting connections after 0.2 s")


def test_what_is_not_postgresql_is_an_error_at_once(server: Server, project: Project) -> None:
    with listening(b"SSH-2.0-OpenSSH_9.2p1\r\n") as port:
        done = project.app(server.uri("shop", port=port)).psql("wait", "--timeout", "50", timeout=40)
    assert done.code == 1
    assert "is not a PostgreSQL server" in done.err


def test_a_proxy_that_closes_the_connection_may_heal(server: Server, project: Project) -> None:
    """As the proxy of a container does while the server in it is not up."""
    with listening(b"") as port:
        done = project.app(server.uri("shop", port=port)).psql("wait", "--timeout", "1")
    assert done.code == 1
    assert "is not accepting connections after 1 s" in done.err


def test_a_server_that_starts_later(project: Project) -> None:
    with server_folder() as folder:
        late = Server(folder)
        late.initdb()
        uri = late.superuser_uri("does_not_exist_yet")
        project.app(uri)
        waiter = project.start("psql", "wait", "--timeout", "60")
        try:
            assert waiter.stderr is not None
            first = waiter.stderr.readline()
            late.start()
            done = finish(waiter)
        finally:
            late.stop("immediate")
    assert first.startswith("waiting up to 60 s for the server: no PostgreSQL server listens")
    assert done.code == 0, str(done)


@contextlib.contextmanager
def listening(answer: bytes) -> t.Iterator[int]:
    """Accept connections, say something, and close them."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(answer)
                    connection.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_until_the_app_can_use_the_database(project: Project, server: Server, dbname: str) -> None:
    """A worker waits for what another container does."""
    project.app(server.uri(dbname))
    before = project.psql("wait", "--ready", "--timeout", "0")
    assert before.code == 1
    assert "does not exist. Give it longer, with --timeout" in before.err
    with project.start("psql", "wait", "--ready", "--timeout", "60") as process:
        assert process.stderr is not None
        assert "does not exist" in process.stderr.readline()
        assert project.psql("create").code == 0
        assert project.psql("setup").code == 0
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert err.splitlines()[-1] == f'database "{dbname}" is ready'
