"""Any text of 1 to 63 bytes is the name of a database, in every command, with both drivers."""

from __future__ import annotations

import typing as t

import psycopg
import pytest
from psycopg import sql

from flask_postgres import PostgresUri, UriValidationError

from ..project import Project
from ..servers import Server
from .looking import error, oid, pets, said

NAMES = [
    "my-app",
    "MyApp",
    "user",
    "a b",
    'qu"ote',
    "it's",
    "per%cent",
    "a:b",
    "x;drop",
    "tab\there",
    "größe 数据",
]
BOTH = ["100%s %(name)s", 'A :b-"c";--\'$1\\{0}é', "n" * 63, "ü" * 31]


def by_driver() -> t.Iterator[tuple[str, str]]:
    """Yield the plain ones with one driver or the other, and the worst with both."""
    drivers = ("psycopg2", "psycopg")
    yield from zip(NAMES, drivers * len(NAMES), strict=False)
    yield from ((name, driver) for name in BOTH for driver in drivers)


@pytest.fixture
def nothing_left(server: Server) -> t.Iterator[None]:
    """Drop whatever the test leaves: these names are no test's own."""
    before = server.names()
    yield
    for name in server.names() - before:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize(("name", "driver"), list(by_driver()))
@pytest.mark.usefixtures("nothing_left")
def test_through_its_whole_life(project: Project, server: Server, name: str, driver: str) -> None:
    project.app(server.uri(name, driver))
    before = server.names()
    result = project.here("setup")
    assert result.code == 0, str(result)
    assert said(result)[0] == f'database "{name}" was created'.replace("\t", " ")
    assert server.names() - before == {name}
    first = oid(server, name)
    result = project.here("reset", input=f"{name}\n")
    assert result.code == 0, str(result)
    assert len(server.names() - before) == 2, "the old one is kept"
    assert oid(server, name) != first
    assert pets(server, name) == ["Fido"]
    assert project.here("undo").code == 0
    assert oid(server, name) == first
    result = project.here("drop", "--final", "--force")
    assert result.code == 0, str(result)
    assert server.names() == before


@pytest.mark.parametrize("name", ["n" * 64, "ü" * 32])
def test_one_byte_too_many(project: Project, server: Server, name: str) -> None:
    """PostgreSQL would cut it without a word, and two names could meet in one database."""
    uri = f"postgresql://app_dev@{server.host}:{server.port}/{name}"
    message = error(project.here("create", "--uri", uri, app="nothing.py"), code=2)
    assert "the database name has 64 bytes; PostgreSQL keeps 63." in message
    with pytest.raises(UriValidationError):
        PostgresUri(uri)


@pytest.mark.usefixtures("nothing_left")
def test_names_that_differ_in_case_are_two(project: Project, server: Server, driver: str) -> None:
    for name in ("MyApp", "myapp"):
        project.app(server.uri(name, driver))
        assert said(project.here("create")) == [f'database "{name}" was created']
    assert said(project.here("drop", "--force"))[0] == 'database "myapp" was deleted'
    assert oid(server, "MyApp") is not None


@pytest.mark.usefixtures("nothing_left")
def test_a_name_that_looks_like_sql_reaches_no_server(
    project: Project, server: Server, dbname: str, driver: str
) -> None:
    server.execute(f"CREATE DATABASE {dbname} OWNER app_dev")
    name = f'x"; DROP DATABASE {dbname}; --'
    project.app(server.uri(name, driver))
    assert project.here("create").code == 0
    assert {dbname, name} <= server.names()
    with pytest.raises(psycopg.errors.DuplicateDatabase):
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


@pytest.mark.usefixtures("nothing_left")
def test_a_name_does_not_steer_the_terminal(project: Project, server: Server) -> None:
    name = "red\x1b[31m\x07"
    project.app(server.uri(name))
    assert said(project.here("create")) == ['database "red\\x1b[31m\\x07" was created']
    refused = project.here("drop", input="red\n")
    assert "\x1b" not in refused.err
    assert 'that is not "red\\x1b[31m\\x07"' in error(refused)
    assert said(project.here("drop", input=f"{name}\n"))[-2] == 'database "red\\x1b[31m\\x07" was deleted'


def test_a_comment_does_not_steer_the_terminal(
    project: Project, server: Server, database: PostgresUri, dbname: str
) -> None:
    """Its owner has written it, who may be another role."""
    project.app(database)
    server.execute(f"COMMENT ON DATABASE \"{dbname}\" IS E'a\\x1b[2Jb\\rc\td'")
    result = project.here("reset", "--dry-run")
    assert result.code == 0, str(result)
    assert "a\\x1b[2Jb\\rc\td" in result.out
    assert "\x1b" not in result.out + result.err
