"""What the tests of the commands look at."""

from __future__ import annotations

from flask_postgres import PostgresUri
from flask_postgres.postgres.marks import Mark, State

from ..project import Result
from ..servers import Server

KEPT = "the old database is kept: flask psql undo"


def full(uri: PostgresUri) -> str:
    """Return the URI with its password, for a command line or a file."""
    return uri.render(hide_password=False)


def oid(server: Server, dbname: str) -> int | None:
    """Return what tells one database from another of the same name; None when there is none."""
    rows = server.execute("SELECT oid FROM pg_database WHERE datname = %s", dbname)
    return rows[0][0] if rows else None


def mark(
    server: Server, name: str, state: State, *, of: str, token: str = "0badcafe", superseded: bool = False
) -> None:
    """Give a database a mark that counts."""
    query = "SELECT CAST(system_identifier AS text) FROM pg_control_system()"
    ((identifier,),) = server.execute(query)
    made = Mark(state, of, token, superseded=superseded, oid=oid(server, name), server=identifier)
    server.execute(f"COMMENT ON DATABASE \"{name}\" IS '{made.under(None)}'")


def pets(server: Server, dbname: str) -> list[str]:
    """Return what the callback of the seed app has written."""
    return [name for (name,) in server.execute("SELECT name FROM pet ORDER BY id", dbname=dbname)]


def tables(server: Server, dbname: str) -> set[str]:
    rows = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", dbname=dbname)
    return {name for (name,) in rows}


def said(result: Result) -> list[str]:
    """Return the lines on stderr, after making sure that nothing is on stdout."""
    assert result.out == "", str(result)
    return result.err.splitlines()


def error(result: Result, code: int = 1) -> str:
    """Return the one line of an error, after making sure that it is the last line and has this exit code."""
    assert result.code == code, str(result)
    last = result.err.splitlines()[-1]
    assert last.startswith("Error: "), str(result)
    return last.removeprefix("Error: ")
