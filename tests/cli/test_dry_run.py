"""--dry-run prints the plan and its SQL on stdout, and runs nothing."""

from __future__ import annotations

import re

import pytest

from ..project import Project, Result
from ..servers import Server, free_port
from .looking import error, oid, pets


def plan(result: Result, code: int = 0) -> list[str]:
    """Return the lines of the plan, without the command's token and the server's identifier."""
    assert result.code == code, str(result)
    text = re.sub(r'"server": "\d+"', '"server": "SERVER"', result.out)
    return re.sub(r"\b[0-9a-f]{8}\b", "TOKEN", text).splitlines()


def sql(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if line.startswith("     ")]


def test_create(project: Project, server: Server, dbname: str, driver: str) -> None:
    project.app(server.uri(dbname, driver))
    result = project.here("create", "-n", "--encoding", "UTF8", "--connection-limit", "5", "--owner", 'a"b%c')
    assert plan(result, code=1) == [
        f'create of database "{dbname}" on 127.0.0.1:{server.port}',
        f'1. create database "{dbname}"',
        f'     CREATE DATABASE "{dbname}" OWNER = "a""b%c" ENCODING = \'UTF8\' CONNECTION LIMIT = 5;',
    ]
    assert 'the owner "a"b%c" does not exist' in error(result)
    assert oid(server, dbname) is None


def test_setup(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    lines = plan(project.psql("setup", "--dry-run", "--extension", "citext", "--protect"))
    assert sql(lines) == [
        f'CREATE DATABASE "{dbname}~new~TOKEN";',
        f'COMMENT ON DATABASE "{dbname}~new~TOKEN" IS'
        f' \'[flask-postgres:unfinished {{"of": "{dbname}", "token": "TOKEN", "server": "SERVER"}}]\';',
        f'ALTER DATABASE "{dbname}~new~TOKEN" RENAME TO "{dbname}";',
        'CREATE EXTENSION IF NOT EXISTS "citext" CASCADE;',
        f'ALTER DATABASE "{dbname}" WITH ALLOW_CONNECTIONS true;',
        f"COMMENT ON DATABASE \"{dbname}\" IS '[flask-postgres:protected {{}}]';",
    ]
    assert f'4. initialize "{dbname}": the init callback app.init_db' in lines
    assert not any(dbname in name for name in server.names())


def test_reset(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname)).here("setup")
    before = oid(server, dbname)
    lines = plan(project.here("reset", "--dry-run"))
    assert [line.partition(" ")[0] for line in lines if line[0].isdigit()] == ["1.", "2.", "3.", "4."]
    assert f'ALTER DATABASE "{dbname}" RENAME TO "{dbname}~old~TOKEN";' in sql(lines)
    kept = f'COMMENT ON DATABASE "{dbname}~old~TOKEN" IS \'[flask-postgres:kept '
    assert sql(lines)[-1].startswith(kept)
    final = plan(project.here("reset", "--dry-run", "--final"))
    assert sql(final)[-1] == f'DROP DATABASE "{dbname}~old~TOKEN";'
    assert oid(server, dbname) == before
    assert pets(server, dbname) == ["Fido"]
    assert [name for name in server.names() if dbname in name] == [dbname]


@pytest.mark.parametrize("command", ["drop", "unprotect", "protect", "recover", "init"])
def test_the_others(project: Project, server: Server, dbname: str, command: str) -> None:
    project.app(server.uri(dbname)).here("create")
    before = server.execute("SELECT oid, shobj_description(oid, 'pg_database') FROM pg_database")
    lines = plan(project.here(command, "-n"))
    assert lines[0] == f'{command} of database "{dbname}" on 127.0.0.1:{server.port}'
    if command == "drop":
        assert sql(lines)[0] == f'ALTER DATABASE "{dbname}" RENAME TO "{dbname}~old~TOKEN";'
        assert "[flask-postgres:kept " in sql(lines)[-1]
    if command == "recover":
        assert lines[-1] == "There is nothing to do."
    assert server.execute("SELECT oid, shobj_description(oid, 'pg_database') FROM pg_database") == before


def test_what_would_be_refused(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname)).here("create", "--protect")
    result = project.here("drop", "--dry-run")
    assert "is protected" in error(result)
    assert "[flask-postgres:kept " in sql(plan(result, code=1))[-1]


def test_without_a_server(project: Project, server: Server, dbname: str) -> None:
    """Nothing is started for it; it says what it assumes."""
    port = free_port()
    project.app(server.uri(dbname, port=port))
    result = project.here("setup", "--dry-run")
    assert plan(result)[1] == (
        f"Assumed, because the server could not be asked (no PostgreSQL server listens at 127.0.0.1:{port}:"
        " connection refused): the database does not exist."
    )
    assert sql(plan(result))[0] == f'CREATE DATABASE "{dbname}~new~TOKEN";'
