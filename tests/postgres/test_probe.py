"""Why a connection failed, found out by asking the address itself: in any language."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import struct
import threading
import typing as t

import pytest

from flask_postgres import (
    AuthenticationFailed,
    CannotConnect,
    PostgresUri,
    ServerUnreachable,
    Unsupported,
    UriValidationError,
    libpq,
)
from flask_postgres.postgres import catalogue, probe
from flask_postgres.postgres.admin import Connector

from ..servers import Server, free_port

SAID = "keine Verbindung möglich"


def answer_error(code: str, message: str) -> bytes:
    body = f"SFEHLER\0C{code}\0M{message}\0\0".encode()
    return b"E" + struct.pack("!i", len(body) + 4) + body


@contextlib.contextmanager
def listener(answer: bytes | None) -> t.Iterator[int]:
    """Listen on a port and give one answer to whoever comes; None says nothing and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(1024)
                    if answer:
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()


def explain(port: int, said: str = SAID) -> CannotConnect:
    return probe.explain(PostgresUri(f"postgresql://ann@127.0.0.1:{port}/x"), said, timeout=2)


def test_nobody_listens() -> None:
    port = free_port()
    error = explain(port)
    assert isinstance(error, ServerUnreachable)
    assert error.message == f"no PostgreSQL server listens at 127.0.0.1:{port}: connection refused."


def test_no_such_host() -> None:
    error = probe.explain(PostgresUri("postgresql://no.such.invalid/x"), SAID, timeout=2)
    assert isinstance(error, ServerUnreachable)
    assert 'the host "no.such.invalid" cannot be resolved' in error.message


def test_no_such_socket(tmp_path: pathlib.Path) -> None:
    error = probe.explain(PostgresUri(f"postgresql:///x?host={tmp_path}&port=7"), SAID, timeout=2)
    assert isinstance(error, ServerUnreachable)
    assert error.message == (
        f"no PostgreSQL server listens at the socket in {tmp_path}, port 7: there is no such socket."
    )


def test_several_hosts() -> None:
    first, second = free_port(), free_port()
    uri = PostgresUri(f"postgresql:///x?host=127.0.0.1:{first}&host=localhost:{second}")
    error = probe.explain(uri, SAID, timeout=2)
    assert f"127.0.0.1:{first}" in error.message
    assert f"localhost:{second}" in error.message


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("57P03", ServerUnreachable, "is not ready"),
        ("53300", CannotConnect, "no free connection"),
        ("28000", AuthenticationFailed, 'refuses the user "ann"'),
        ("3D000", CannotConnect, "Datenbank gibt es nicht"),
        ("58P01", CannotConnect, "Datenbank gibt es nicht. Look at the server's log."),
    ],
)
def test_a_server_that_answers_in_its_own_language(code: str, kind: type[CannotConnect], words: str) -> None:
    with listener(answer_error(code, "Datenbank gibt es nicht")) as port:
        error = explain(port)
    assert type(error) is kind
    assert words in str(error)
    assert error.sqlstate == code


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n"])
def test_something_else_listens(answer: bytes) -> None:
    with listener(answer) as port:
        error = explain(port)
    assert "is not a PostgreSQL server" in error.message


def test_the_drivers_own_words_where_nothing_better_is_known(server: Server) -> None:
    error = probe.explain(server.uri("x"), SAID, timeout=2)
    assert type(error) is CannotConnect
    assert error.message.endswith(SAID)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('password authentication failed for user "ann"', "wrong password, or no such role"),
        ("fe_sendauth: no password supplied", "asks the user"),
    ],
)
def test_passwords(server: Server, said: str, words: str) -> None:
    error = probe.explain(server.uri("x"), said, timeout=2)
    assert isinstance(error, AuthenticationFailed)
    assert words in error.message


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("postgresql://h/x", "h:5432"),
        ("postgresql://[::1]:7/x", "[::1]:7"),
        ("postgresql:///x?host=/run/pg", "the socket in /run/pg, port 5432"),
        ("postgresql:///x?host=a:1&host=b", "a:1, b:5432"),
    ],
)
def test_addresses(uri: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPORT", raising=False)
    assert probe.address_text(PostgresUri(uri)) == text


def test_defaults_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGPORT", "7")
    assert probe.address_text(PostgresUri("postgresql:///x")) == "db.example:7"


def test_a_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch, server: Server, driver: str) -> None:
    monkeypatch.setenv("PGSERVICE", "shop")
    uri = server.uri("postgres").with_driver(driver)
    with pytest.raises(CannotConnect, match=r'by the service "shop": .* not found.* at PGSERVICE'):
        Connector(uri=uri).admin()


def test_a_role_that_does_not_exist(server: Server) -> None:
    """The server tells it after the authentication, where that asks for no password."""
    said = 'connection failed: FATAL:  role "ada" does not exist'
    error = probe.explain(server.uri(user="ada"), said)
    assert isinstance(error, AuthenticationFailed)
    assert str(error).endswith(
        'has no role "ada". As a superuser, run: CREATE ROLE "ada" LOGIN CREATEDB, '
        "or write another user into the URI."
    )


def test_an_unknown_start_up_error_is_shown_whole_without_a_remedy(server: Server) -> None:
    said = "connection failed: FATAL:  something new"
    error = probe.explain(server.uri(), said)
    assert error.message.endswith(said)
    assert not error.remedies


@contextlib.contextmanager
def talker(talk: t.Callable[[socket.socket, threading.Event], None]) -> t.Iterator[int]:
    """Listen on a port, and talk to everybody who comes until the block ends."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def one(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                talk(connection, ended)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while not ended.is_set():
                    threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            with contextlib.suppress(OSError), socket.create_connection(server.getsockname()):
                thread.join()


def let_in_and_fall_silent(connection: socket.socket, ended: threading.Event) -> None:
    """Talk as a pooler whose server is down, or that is paused."""
    if connection.recv(1024)[4:8] == struct.pack("!i", 80877103):  # SSLRequest
        connection.sendall(b"N")
        connection.recv(1024)
    told = (b"client_encoding\0UTF8\0", b"DateStyle\0ISO, MDY\0", b"server_version\x0018.0\0")
    connection.sendall(
        b"R\0\0\0\x08\0\0\0\0"
        + b"".join(b"S" + struct.pack("!i", len(each) + 4) + each for each in told)
        + (b"K" + struct.pack("!iii", 12, 1, 1))
        + b"Z\0\0\0\x05I"
    )
    ended.wait(60)


def drip(connection: socket.socket, ended: threading.Event) -> None:
    """Send a byte at a time of an answer that is long enough for hours."""
    connection.sendall(b"E" + struct.pack("!i", 60_000))
    while not ended.wait(0.05):
        connection.sendall(b"x")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_pooler_that_lets_in_and_does_not_answer(driver: str) -> None:
    with talker(let_in_and_fall_silent) as port:
        uri = PostgresUri(f"postgresql+{driver}://u@127.0.0.1:{port}/x")
        with pytest.raises(ServerUnreachable, match="did not reply to the first query in 1 s"):
            Connector(uri=uri, connect_timeout=1).admin()


def test_a_server_that_sends_a_byte_at_a_time() -> None:
    with talker(drip) as port:
        uri = PostgresUri(f"postgresql://u@127.0.0.1:{port}/x")
        assert probe.start_up("127.0.0.1", port, uri, timeout=0.5) is None
        with pytest.raises(CannotConnect):
            Connector(uri=uri, connect_timeout=1).admin()


def test_a_service_names_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """What is shown is what libpq connects to: a service comes before the environment."""
    file = tmp_path / "services"
    file.write_text("# ours\n[shop]\nhost=db.example\nport=7\ndbname=live\n[other]\nhost=no\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGHOST", "elsewhere.example")
    uri = PostgresUri("postgresql://?service=shop")
    assert (uri.dbname, probe.address_text(uri)) == ("live", "db.example:7")
    assert PostgresUri("postgresql:///mine?service=shop").dbname == "mine"


def test_the_environment_names_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATABASE", "live")
    assert PostgresUri("postgresql://localhost").dbname == "live"
    assert PostgresUri("postgresql://localhost/mine").dbname == "mine"
    with pytest.raises(UriValidationError, match="names no database"):
        PostgresUri("postgresql+pg8000://localhost")  # it is not on libpq


def test_an_address_beside_the_host(monkeypatch: pytest.MonkeyPatch, server: Server, driver: str) -> None:
    """libpq connects to hostaddr; the host is for certificates alone."""
    monkeypatch.delenv("PGHOSTADDR", raising=False)
    uri = PostgresUri(f"{server.uri('postgres').with_driver(driver).render(hide_password=False)}")
    uri = PostgresUri(uri.url.set(host="db.example").update_query_dict({"hostaddr": "127.0.0.1"}))
    shown = f"db.example:{uri.port} (127.0.0.1)"
    assert probe.address_text(uri) == shown
    with Connector(uri=uri).admin() as session:
        assert session.address == shown
        assert catalogue.read(session, "x").address == shown


def test_the_address_of_the_connection(
    monkeypatch: pytest.MonkeyPatch, server: Server, driver: str, tmp_path: pathlib.Path
) -> None:
    """The URI of a service says nothing of the server; the connection does."""
    there = server.uri("postgres")
    file = tmp_path / "services"
    file.write_text(f"[shop]\nhost={there.host}\nport={there.port}\nuser={there.user}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGPASSWORD", there.password or "")
    uri = PostgresUri(f"postgresql+{driver}:///x?service=shop")
    with Connector(uri=uri).admin() as session:
        assert session.address == probe.address_text(there)


def test_an_account_without_a_name(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """As in a container that runs as any uid: libpq itself cannot tell whom to log in as."""
    monkeypatch.delenv("PGUSER", raising=False)
    monkeypatch.setattr(libpq, "account", lambda: None)
    uri = PostgresUri.build(dbname="postgres", host=server.host, port=server.port)
    error = probe.explain(uri, SAID, timeout=2)
    assert "has no name. Write the user into the URI" in str(error)


def test_cockroachdb_is_told_at_start_up() -> None:
    """It says so among its parameters, before any question."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    version = "CockroachDB CCL v25.2.0 (x86_64-pc-linux-gnu, built 2025/05/09, go1.23)"
    told = {"server_version": "13.0.0", "client_encoding": "UTF8", "crdb_version": version}
    parameters = (message(b"S", f"{name}\0{value}\0".encode()) for name, value in told.items())
    ready = message(b"K", struct.pack("!ii", 1, 1)) + message(b"Z", b"I")
    with listener(message(b"R", struct.pack("!i", 0)) + b"".join(parameters) + ready) as port:
        uri = PostgresUri(f"postgresql+psycopg://ann@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable")
        with pytest.raises(Unsupported, match=r"the server is CockroachDB 25\.2\.0, which"):
            Connector(uri=uri).admin()
