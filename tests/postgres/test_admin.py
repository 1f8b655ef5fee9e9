"""Administrative sessions: autocommit, no timeouts, transactions that are all or nothing."""

from __future__ import annotations

import os
import socket
import typing as t

import pytest
import sqlalchemy as sa

from flask_postgres import CannotConnect, PostgresUri, ServerError, ServerUnreachable
from flask_postgres.postgres import ddl
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.session import Session

from ..servers import Server, free_port

COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :name"


@pytest.fixture
def admin(database: PostgresUri, driver: str) -> Session:
    return Connector(uri=database.with_driver(driver), token="0badcafe").admin()


def test_it_says_who_it_is_and_has_all_the_time(server: Server, database: PostgresUri, driver: str) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    for name in names:
        server.execute(f"ALTER ROLE app_dev SET {name} = '7s'")
    try:
        with Connector(uri=database.with_driver(driver), token="0badcafe").admin() as admin:
            # A wait for a lock is begun again after two seconds.
            assert [admin.value(f"SHOW {name}") for name in names] == ["0", "2s", "0"]
            assert admin.value("SHOW application_name") == f"flask-postgres 0badcafe {database.dbname}"
            assert admin.dbname == admin.value("SELECT current_database()") == "postgres"
    finally:
        server.execute("ALTER ROLE app_dev RESET ALL")


def test_long_names_are_cut_in_whole_characters() -> None:
    uri = PostgresUri.build(dbname="ü" * 31)
    name = Connector(uri=uri, token="0badcafe").application_name
    assert len(name.encode()) <= 63
    assert name.startswith("flask-postgres 0badcafe ü")


def test_a_transaction_is_all_or_nothing(admin: Session, dbname: str) -> None:
    with admin:
        with pytest.raises(ServerError), admin.transaction(doing="try"):
            admin.run(ddl.CommentOnDatabase(dbname, "changed"), doing="comment")
            admin.run(ddl.RenameDatabase("no_such_db", "x"), doing="rename")
        assert admin.value(COMMENT, name=dbname) is None
        with pytest.raises(KeyboardInterrupt), admin.transaction(doing="try"):
            admin.run(ddl.CommentOnDatabase(dbname, "changed"), doing="comment")
            raise KeyboardInterrupt
        assert admin.value(COMMENT, name=dbname) is None
        with admin.transaction(doing="do"):
            admin.run(ddl.CommentOnDatabase(dbname, "changed %s %% :x"), doing="comment")
        assert admin.value(COMMENT, name=dbname) == "changed %s %% :x"


def test_a_lost_session_is_one_of_our_errors(server: Server, admin: Session) -> None:
    pid = admin.value("SELECT pg_backend_pid()")
    server.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
    with pytest.raises(ServerError):
        admin.value("SELECT 1")
    with pytest.raises(ServerError):
        admin.value("SELECT 1")
    admin.close()
    admin.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system does not tell")
@pytest.mark.parametrize(
    ("query", "idle", "user_timeout"),
    [("", 60, 30_000), ("?keepalives_idle=7&tcp_user_timeout=9000", 7, 9000)],
)
def test_a_silent_connection_shows_that_it_lives(
    database: PostgresUri, driver: str, query: str, idle: int, user_timeout: int
) -> None:
    """A long seeding is silence for our own session, and gateways forget such connections."""
    uri = PostgresUri(f"{database.with_driver(driver).render(hide_password=False)}{query}")
    with Connector(uri=uri).admin() as admin:
        number = admin._connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
        with socket.socket(fileno=os.dup(number)) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == user_timeout


def test_options_of_the_environment_count(
    database: PostgresUri, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-cwork_mem=5MB")
    with Connector(uri=database.with_driver(driver)).admin() as session:
        assert session.value("SHOW work_mem") == "5MB"
        assert session.value("SHOW search_path") == ""


def test_what_the_app_gives_its_driver_counts(database: PostgresUri, driver: str) -> None:
    connector = Connector(
        uri=database.with_driver(driver),
        connect_args={"options": "-c work_mem=3MB", "application_name": "the app"},
    )
    with connector.target() as session:
        assert session.value("SHOW work_mem") == "3MB"
        assert session.value("SHOW application_name").startswith("flask-postgres ")
        assert session.dbname == database.dbname


def test_wrong_arguments(database: PostgresUri, driver: str) -> None:
    with pytest.raises(CannotConnect):
        Connector(uri=database.with_driver(driver), connect_args={"no_such": object()}).admin()


def test_out_of_reach(server: Server, dbname: str, driver: str) -> None:
    with pytest.raises(ServerUnreachable):
        Connector(uri=server.uri(dbname, driver, port=free_port())).admin()
    with pytest.raises(CannotConnect, match="admin_dbname"):
        Connector(uri=server.uri(dbname, driver), admin_dbname="no_such_db").admin()
    with pytest.raises(CannotConnect, match=dbname):
        Connector(uri=server.uri(dbname, driver)).target()


def test_text_is_text_whatever_the_encoding(server: Server, dbname: str, driver: str) -> None:
    """SQL_ASCII is what initdb chooses under the locale C; a name must not be missed there."""
    ascii_only = "ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'"
    server.execute(f'CREATE DATABASE "{dbname}_ascii" OWNER app_dev {ascii_only}')
    name = f"größe {dbname}"
    server.execute(f'CREATE DATABASE "{name}"')
    with Connector(uri=server.uri(name, driver=driver), admin_dbname=f"{dbname}_ascii").admin() as admin:
        assert admin.value("SELECT datname FROM pg_database WHERE datname = :name", name=name) == name


def test_what_the_app_does_to_all_its_connections_is_not_done_to_ours(
    database: PostgresUri, driver: str
) -> None:
    def listener(connection: t.Any, _: object) -> None:
        connection.cursor().execute("SELECT NULL::vector")

    sa.event.listen(sa.Engine, "connect", listener)
    try:
        with Connector(uri=database.with_driver(driver)).admin() as admin:
            assert admin.value("SELECT 1") == 1
    finally:
        sa.event.remove(sa.Engine, "connect", listener)
