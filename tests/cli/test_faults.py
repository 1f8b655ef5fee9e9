"""Whatever a user can cause is one line, without a traceback, and nothing has changed."""

from __future__ import annotations

import socket
import threading
import typing as t

import pytest

from flask_postgres import PostgresUri

from ..project import Project
from ..servers import PASSWORD, ROLE, Server, free_port
from .looking import error, full, oid

EXTERNAL = {"FLASK_POSTGRES_SERVER": "external"}
COMMANDS = (["create"], ["setup"], ["reset", "-f"], ["drop", "-f"], ["init"], ["protect"])


def uri_of(server: Server, dbname: str, driver: str, **parts: t.Any) -> PostgresUri:
    given = {"user": ROLE, "password": PASSWORD, "host": server.host, "port": server.port, **parts}
    return PostgresUri.build(dbname=dbname, driver=driver, **given)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_no_server(project: Project, server: Server, dbname: str, command: list[str]) -> None:
    _expect_no_server(project, server.uri(dbname, port=free_port()), command)


def test_no_server_by_either_driver(project: Project, server: Server, dbname: str, driver: str) -> None:
    _expect_no_server(project, server.uri(dbname, driver, port=free_port()), ["create"])


def _expect_no_server(project: Project, uri: PostgresUri, command: list[str]) -> None:
    project.app(uri)
    message = error(project.here(*command, env=EXTERNAL))
    assert message.startswith(
        f"no PostgreSQL server listens at 127.0.0.1:{uri.port}: connection refused."
        " Start the server, or check the host and port of the URI."
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"host": "no.such.invalid"}, 'the host "no.such.invalid" cannot be resolved'),
        ({"password": "super-s3cret"}, 'refuses the user "app_dev": wrong password, or no such role.'),
        ({"user": "no_such_role"}, 'refuses the user "no_such_role": wrong password, or no such role.'),
        ({"password": None}, 'asks the user "app_dev" for a password. Write it into the URI'),
        ({"query": {"nosuchkey": "1"}}, 'invalid connection option "nosuchkey"'),
        ({"query": {"sslmode": "require"}}, "server does not support SSL, but SSL was required"),
    ],
)
def test_a_server_that_lets_nobody_in(
    project: Project, server: Server, dbname: str, driver: str, parts: dict[str, t.Any], message: str
) -> None:
    """A wrong password must not read as absence: drop would say that there is nothing to drop."""
    server.execute(f"CREATE DATABASE {dbname} OWNER app_dev")
    project.app(server.uri(dbname))
    uri = full(uri_of(server, dbname, driver, **parts))
    for command in (["create"], ["drop", "-f"]):
        assert message in error(project.here(*command, "--uri", uri))
    assert oid(server, dbname) is not None


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:///x.db", 'the scheme "sqlite" is not PostgreSQL.'),
        ("mysql://u:super-s3cret@h/x", 'the scheme "mysql" is not PostgreSQL.'),
        ("postgresql://h", "the URI names no database. Add it at the end: …/mydb"),
        ("postgresql://h/", "the URI names no database."),
        ("garbage", "this is not a URI: it does not start with a scheme."),
        ("postgresql://u:p@h:port/x", "the port is not a number."),
        ("postgresql://u:super-s3cret@h:99999/x", "the port 99999 is not between 1 and 65535."),
        ("postgresql://u:super-s3cret@x@h/db", "In a URI, write %40 for it."),
        ("postgresql:///x?host=a:b", "the port is not a number."),
        ("", "must not be empty"),
        ("postgresql+asyncpg://h/x?ssl=maybe", 'the query key "ssl" has a value that is none of'),
    ],
)
def test_a_wrong_uri(project: Project, uri: str, message: str) -> None:
    """Wrong usage, exit 2, from any source; the message says where the URI comes from."""
    from_flag = error(project.here("create", "--uri", uri, app="nothing.py"), code=2)
    assert message in from_flag
    if "asyncpg" not in uri:
        assert from_flag.startswith("--uri: ")
        env = {"FLASK_POSTGRES_TARGET_DATABASE_URI": uri}
        from_env = error(project.here("create", env=env, app="nothing.py"), code=2)
        assert from_env == from_flag.replace("--uri: ", "FLASK_POSTGRES_TARGET_DATABASE_URI: ", 1)


def test_an_app_on_sqlite(project: Project) -> None:
    project.app("sqlite://")
    for command in (["create"], ["setup"], ["drop", "-f"]):
        message = error(project.here(*command), code=2)
        assert message.startswith(
            'app.config["SQLALCHEMY_DATABASE_URI"]: the scheme "sqlite" is not PostgreSQL.'
        )


@pytest.mark.parametrize("name", ["postgres", "template1", "template0"])
def test_databases_that_are_never_dropped(project: Project, server: Server, name: str) -> None:
    """Not even by a superuser, and not when it is administered from elsewhere."""
    project.app(server.superuser_uri(name))
    for command in (["drop", "-f", "-fd"], ["reset", "-f"], ["create", "-o", "-f"]):
        admin = ["-a", "template1"] if name == "postgres" else []
        assert error(project.here(*command, *admin)) == (
            f'database "{name}" is one that this tool never drops: it works from there.'
            " Choose another target."
        )


def test_the_database_that_is_administered_from(project: Project, server: Server, dbname: str) -> None:
    server.execute(f"CREATE DATABASE {dbname} OWNER app_dev")
    project.app(server.uri(dbname))
    assert "never drops" in error(project.here("drop", "-f", "--admin-dbname", dbname))
    assert oid(server, dbname) is not None


def test_no_such_database_to_administer_from(
    project: Project, server: Server, dbname: str, driver: str
) -> None:
    project.app(server.uri(dbname, driver))
    message = error(project.here("create", "--admin-dbname", "no_such_db"))
    assert 'database "no_such_db" does not exist' in message
    assert message.endswith("choose another with --admin-dbname")


def test_something_that_is_not_postgresql(project: Project, dbname: str, driver: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = threading.Event()

        def answer() -> None:
            listener.settimeout(0.1)
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.recv(64)
                    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            project.app(f"postgresql+{driver}://u:super-s3cret@127.0.0.1:{port}/{dbname}")
            message = error(project.here("create", env=EXTERNAL))
        finally:
            done.set()
            thread.join()
    assert f"127.0.0.1:{port} accepted the connection, but is not a PostgreSQL server." in message


def test_a_role_without_createdb(
    project: Project, server: Server, dbname: str, driver: str, plain_role: str
) -> None:
    project.app(server.uri(dbname, driver, user=plain_role))
    for command in (["create"], ["setup"]):
        assert error(project.here(*command)) == (
            'the role "plain" may not create databases (CREATEDB is not inherited).'
            " As a superuser, run: ALTER ROLE plain CREATEDB"
        )
    assert oid(server, dbname) is None


def test_a_role_that_may_not_connect_to_postgres(project: Project, server: Server, dbname: str) -> None:
    """template1 serves then, and that is shown to whoever wants to know."""
    server.execute(f"CREATE ROLE {dbname} LOGIN CREATEDB PASSWORD '{PASSWORD}'")
    server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    try:
        project.app(server.uri(dbname, user=dbname))
        result = project.here("create", "--verbose")
        assert result.code == 0, str(result)
        assert 'administering from "template1", for "postgres" is out of reach' in result.err
        assert project.here("drop", "-f", "--final").code == 0
    finally:
        server.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
        server.execute(f"DROP ROLE {dbname}")


def test_every_wrong_setting_is_told_at_once(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    project.write({"flask_postgres.toml": "connection_limit = 'many'\nownr = 'x'\n"})
    result = project.here("create", "--connect-timeout", "soon")
    assert result.code == 2
    first, *faults = result.err.splitlines()
    assert first == "Error: 3 settings are wrong:"
    assert any("connection_limit" in line for line in faults)
    assert any('did you mean "owner"?' in line for line in faults)
    assert any("--connect-timeout" in line for line in faults)
    assert oid(server, dbname) is None
