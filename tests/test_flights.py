"""What commands cost on a server that is far away: connections, and flights over them."""

from __future__ import annotations

import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.ddl import CommentOnDatabase

from .postgres.batch_cases.flights import FlightCounter
from .project import Project
from .servers import ROLE, Server

APP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)

    for number in range({tables}):
        db.Table(
            f"pet_{{number}}",
            db.Column("id", db.Integer, primary_key=True),
            db.Column("name", db.Text, index=True),
        )
"""

STARTUP = bytes.fromhex("00030000")


@pytest.fixture
def flights(server: Server) -> t.Iterator[FlightCounter]:
    with FlightCounter(server.host, server.port) as counter:
        yield counter


class Counted:
    """A project whose database is reached through a counter."""

    def __init__(self, project: Project, uri: PostgresUri, flights: FlightCounter) -> None:
        self._project = project
        self._uri = uri
        self._flights = flights

    def run(self, *arguments: str, tables: int = 1, allowed: t.Container[int] = (0,)) -> list[bytes]:
        """Run ``flask psql …`` and return what it said to the server, flight by flight."""
        app = APP.format(uri=self._uri.render(hide_password=False), tables=tables)
        self._project.write({"app.py": app})
        before = len(self._flights.sent)
        result = self._project.here(*arguments)
        assert result.code in allowed, result
        return self._flights.sent[before:]


@pytest.fixture
def counted(project: Project, server: Server, dbname: str, driver: str, flights: FlightCounter) -> Counted:
    return Counted(project, server.uri(dbname, driver=driver, port=flights.port), flights)


def test_setup_costs_the_same_for_many_tables(counted: Counted) -> None:
    many = counted.run("setup", tables=300)
    counted.run("drop", "--force")
    one = counted.run("setup", tables=1)
    assert len(many) <= 40
    assert len(many) - len(one) <= 8


def test_one_connection_for_administration_and_one_for_the_app(counted: Counted) -> None:
    assert _connections(counted.run("create")) == 1
    assert _connections(counted.run("create")) == 1, "it exists"
    assert _connections(counted.run("init")) == 2
    assert _connections(counted.run("reset", "--force")) == 3, "one looks whether there is a table at all"
    assert _connections(counted.run("drop", "--force")) == 1
    assert _connections(counted.run("setup")) == 2


def test_every_session_of_ours_starts_with_an_empty_search_path(counted: Counted) -> None:
    for command in (["setup"], ["status"], ["reset", "-f"], ["recover"], ["drop", "-f"], ["wait"]):
        started = [said for said in counted.run(*command, allowed=(0, 1)) if said[4:8] == STARTUP]
        ours = [said for said in started if b"\0flask-postgres " in said]
        assert ours, command
        assert all(b"-csearch_path=\0" in said for said in ours), command
        assert not any(b"-csearch_path=" in said for said in started if said not in ours), command


@pytest.mark.parametrize("command", ["create", "setup", "drop"])
def test_nothing_is_asked_twice(counted: Counted, command: str) -> None:
    if command == "drop":
        counted.run("create")
    flown = counted.run(command, *(["--force"] if command == "drop" else []))
    asked = [said for said in flown if b"SELECT" in said.upper()]
    assert asked
    assert len(set(asked)) == len(asked)


def test_a_connection_costs_one_question(server: Server, driver: str, flights: FlightCounter) -> None:
    connector = Connector(uri=server.uri(driver=driver, port=flights.port))
    with connector.open("postgres"):
        assert len([said for said in flights.sent if b"SELECT" in said.upper()]) == 1


def test_backslashes_where_they_are_special(server: Server, database: PostgresUri, driver: str) -> None:
    """That question is not whether they are, so they are made not to be."""
    server.execute(f"ALTER ROLE {ROLE} SET standard_conforming_strings TO off")
    try:
        with Connector(uri=database.with_driver(driver)).admin() as admin:
            admin.run(CommentOnDatabase(database.dbname, r"a\b 'c' \'"), doing="comment")
            query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :name"
            assert admin.value(query, name=database.dbname) == r"a\b 'c' \'"
    finally:
        server.execute(f"ALTER ROLE {ROLE} RESET standard_conforming_strings")


def _connections(flown: t.Sequence[bytes]) -> int:
    return sum(said[4:8] == STARTUP for said in flown)
