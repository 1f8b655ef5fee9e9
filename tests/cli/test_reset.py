"""reset is all or nothing: whatever stops it before its end, the old database is as it was."""

from __future__ import annotations

import pytest

from flask_postgres.postgres.marks import State

from ..project import Project
from ..servers import Server
from .looking import KEPT, error, full, mark, oid, pets, said, tables

SQL = "db.create_all()\ndb.session.execute(db.text('{}'))"
FAILING = [
    ("psycopg2", "raise RuntimeError('no seeds')", "RuntimeError: no seeds (app.py:17)"),
    ("psycopg", "import sys; sys.exit(0)", "sys.exit(0) (app.py:17)"),
    ("psycopg2", SQL.format("SELECT 1/0"), "division by zero (app.py:18)"),
    ("psycopg", "raise KeyboardInterrupt", "stopped."),
    ("psycopg", SQL.format("SELECT pg_terminate_backend(pg_backend_pid())"), "(app.py:18)"),
    ("psycopg2", SQL.format("SELECT pg_terminate_backend(pg_backend_pid())"), "(app.py:18)"),
]


@pytest.mark.parametrize(("driver", "callback", "message"), FAILING)
def test_a_callback_that_fails(
    project: Project, server: Server, dbname: str, driver: str, callback: str, message: str
) -> None:
    project.app(server.uri(dbname, driver)).here("setup")
    before = oid(server, dbname)
    project.app(server.uri(dbname, driver), callback=callback)
    if message != "stopped.":  # such a command says nothing at all
        message = f'{message}. Database "{dbname}" is as it was.'
    assert error(project.here("reset", "--force")).endswith(message)
    assert oid(server, dbname) == before
    assert pets(server, dbname) == ["Fido"]
    assert [name for name in server.names() if dbname in name] == [dbname]
    facts = "SELECT datallowconn, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    assert server.execute(facts, dbname) == [(True, None)]
    with_the_role = project.here("init")  # the role can still use it
    assert with_the_role.code == 1


@pytest.mark.usefixtures("database")
def test_a_role_that_may_not_create(
    project: Project, server: Server, dbname: str, driver: str, plain_role: str
) -> None:
    """Losing a database because it can be dropped but not made again must be impossible."""
    server.execute(f"ALTER DATABASE {dbname} OWNER TO {plain_role}")
    project.app(server.uri(dbname, driver, user=plain_role)).here("init")
    before = oid(server, dbname)
    for arguments in (["reset", "--force"], ["setup", "-o", "-f"], ["create", "-o", "-f"]):
        assert error(project.here(*arguments, "--reset-with", "database")) == (
            'the role "plain" may not create databases (CREATEDB is not inherited).'
            " As a superuser, run: ALTER ROLE plain CREATEDB"
        )
    assert oid(server, dbname) == before
    assert pets(server, dbname) == ["Fido"]


@pytest.mark.usefixtures("database")
def test_a_role_that_does_not_own(project: Project, server: Server, dbname: str) -> None:
    server.execute(f"ALTER DATABASE {dbname} OWNER TO postgres")
    project.app(server.uri(dbname))
    before = oid(server, dbname)
    for command in ("reset", "drop"):
        assert f'does not own database "{dbname}"; "postgres" does.' in error(
            project.here(command, "--force")
        )
    assert oid(server, dbname) == before


@pytest.mark.usefixtures("database")
def test_a_busy_database(project: Project, server: Server, dbname: str, driver: str) -> None:
    project.app(server.uri(dbname, driver))
    before = oid(server, dbname)
    with server.connect(dbname, application_name="psql elsewhere") as session:
        pid = session.info.backend_pid
        for command in ("reset", "drop"):
            assert error(project.here(command, "--force")) == (
                f'database "{dbname}" has 1 open session: pid {pid} "psql elsewhere" as postgres.'
                " Close them, or end them with --force-disconnect."
            )
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert oid(server, dbname) == before


@pytest.mark.parametrize("command", ["reset", "drop"])
@pytest.mark.usefixtures("database")
def test_force_disconnect(project: Project, server: Server, dbname: str, driver: str, command: str) -> None:
    import psycopg

    project.app(server.uri(dbname, driver))
    with psycopg.connect(full(server.uri(dbname)), application_name="of the same role") as session:
        result = project.here(command, "--force", "-fd")
        assert result.code == 0, str(result)
        assert said(result)[-1] == KEPT
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    if command == "reset":
        assert pets(server, dbname) == ["Fido"]


@pytest.mark.usefixtures("database")
def test_sessions_that_may_not_be_ended(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    before = oid(server, dbname)
    with server.connect(dbname) as session:
        for command in ("reset", "drop"):
            message = error(project.here(command, "--force", "--force-disconnect"))
            assert 'the role "app_dev" may not end the sessions of "postgres"' in message
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert oid(server, dbname) == before


@pytest.mark.usefixtures("database")
def test_the_apps_own_connections_do_not_count(
    project: Project, server: Server, dbname: str, driver: str
) -> None:
    """A pool that the app has filled while it was imported is ours to close."""
    project.app(server.uri(dbname, driver))
    text = (project.folder / "app.py").read_text()
    project.write(
        {"app.py": text + "\nwith app.app_context():\n    db.session.execute(db.text('SELECT 1'))\n"}
    )
    for command in ("reset", "drop"):
        result = project.here(command, "--force")
        assert result.code == 0, str(result)


@pytest.mark.usefixtures("database")
def test_an_unfinished_database_counts_as_absent(project: Project, server: Server, dbname: str) -> None:
    mark(server, dbname, State.UNFINISHED, of=dbname)
    project.app(server.uri(dbname))
    assert "was left incomplete" in error(project.here("init"))
    assert "was left incomplete by an interrupted command" in project.here("reset").err
    result = project.here("reset", input=f"{dbname}\n")
    assert result.code == 0, str(result)
    assert pets(server, dbname) == ["Fido"]


@pytest.mark.parametrize("command", [["reset"], ["setup", "-o"]])
def test_a_reset_that_creates_no_table_keeps_those_there_are(
    project: Project, server: Server, dbname: str, driver: str, command: list[str]
) -> None:
    """The app fills its database by other means, or no longer imports its models."""
    project.app(server.uri(dbname, driver)).here("setup")
    before = oid(server, dbname)
    project.app(server.uri(dbname, driver), callback="pass")
    message = error(project.here(*command, "--force"))
    assert f'initializing "{dbname}" created no table, and the old database has 1.' in message
    assert f'Database "{dbname}" is as it was.' in message
    assert message.endswith("or to replace it all the same: --init-with create_all")
    assert (oid(server, dbname), pets(server, dbname)) == (before, ["Fido"])
    assert [name for name in server.names() if dbname in name] == [dbname]
    result = project.here(*command, "--force", "--init-with", "callback")
    assert result.code == 0, str(result)
    assert tables(server, dbname) == set()
    result = project.here(*command, "--force")  # nothing is lost now
    assert result.code == 0, str(result)


def test_what_was_revoked_from_the_owner_stays_so(
    project: Project, server: Server, dbname: str, plain_role: str
) -> None:
    assert project.app(server.uri(dbname)).here("setup").code == 0
    server.execute(f"REVOKE CONNECT ON DATABASE {dbname} FROM PUBLIC")
    server.execute(f"REVOKE TEMPORARY ON DATABASE {dbname} FROM app_dev")
    server.execute(f"GRANT CONNECT ON DATABASE {dbname} TO {plain_role}")
    rights = "SELECT CAST(unnest(datacl) AS text) FROM pg_database WHERE datname = %s ORDER BY 1"
    before = server.execute(rights, dbname)
    assert project.here("reset", "-f").code == 0
    assert server.execute(rights, dbname) == before
