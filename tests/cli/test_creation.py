"""What shapes a new database: clauses, templates, extensions; and what a reset carries over."""

from __future__ import annotations

import pytest

from flask_postgres import PostgresUri

from ..project import Project
from ..servers import Server
from .looking import error, full, oid, said, tables

FACTS = """
    SELECT pg_get_userbyid(datdba), datconnlimit, pg_encoding_to_char(encoding), datcollate, datctype
    FROM pg_database WHERE datname = %s
"""


def test_clauses(project: Project, server: Server, dbname: str, driver: str) -> None:
    project.app(server.uri(dbname, driver))
    clauses = ["--template", "template0", "--encoding", "utf-8", "--lc-collate", "C", "--lc-ctype", "C"]
    result = project.here("create", *clauses, "--connection-limit", "7", "--owner", "app_dev")
    assert result.code == 0, str(result)
    assert server.execute(FACTS, dbname) == [("app_dev", 7, "UTF8", "C", "C")]


def test_clauses_from_toml_hold_for_setup_and_reset(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    project.write({"flask_postgres.toml": 'database_template = "template0"\nconnection_limit = 9\n'})
    for arguments in (["setup"], ["reset", "--force"]):
        assert project.here(*arguments).code == 0
        assert server.execute(FACTS, dbname)[0][1] == 9


@pytest.mark.usefixtures("database")
def test_template(project: Project, server: Server, dbname: str) -> None:
    server.execute("CREATE TABLE from_template ()", dbname=dbname)
    copy = f"{dbname}_copy"
    project.app(server.uri(copy))
    assert project.here("create", "--template", dbname).code == 0
    assert tables(server, copy) == {"from_template"}
    assert f'the template database "{dbname}_nope" does not exist' in error(
        project.here("create", "-o", "-f", "-t", f"{dbname}_nope")
    )
    assert tables(server, copy) == {"from_template"}


@pytest.mark.usefixtures("database")
def test_a_template_with_sessions(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(f"{dbname}_copy"))
    with server.connect(dbname, application_name="psql elsewhere"):
        message = error(project.here("create", "--template", dbname))
    assert f'the template "{dbname}" has open sessions' in message
    assert "psql elsewhere" in message


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        (
            ["--owner", "no_such_role"],
            'the owner "no_such_role" does not exist. Run: CREATE ROLE no_such_role',
        ),
        (["--owner", "postgres"], 'the role "app_dev" does not have the rights of the owner "postgres".'),
        (["--tablespace", "no_such_space"], 'the tablespace "no_such_space" does not exist.'),
        (["--encoding", "NO_SUCH"], "NO_SUCH"),
        (
            ["--encoding", "NO_SUCH", "--template", "template0"],
            "Look for a misspelt role, tablespace, encoding",
        ),
        (["--locale", "xx_XX"], "xx_XX"),
        (["--encoding", "LATIN1"], "Use --template template0"),
        (["--encoding", "LATIN1", "--template", "template0"], "Look at the locale and the encoding"),
    ],
)
@pytest.mark.usefixtures("database")
def test_wrong_clauses_lose_nothing(
    project: Project,
    server: Server,
    dbname: str,
    clauses: list[str],
    message: str,
) -> None:
    project.app(server.uri(dbname))
    before = oid(server, dbname)
    assert message in error(project.here("reset", "--force", *clauses))
    assert oid(server, dbname) == before
    assert [name for name in server.names() if dbname in name] == [dbname]


def test_several_reasons_come_together(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    result = project.here(
        "setup", "--owner", "no_such_role", "--extension", "citextt", "--tablespace", "nope"
    )
    assert result.code == 1
    assert said(result) == [
        "Error: 3 checks failed; nothing was changed:",
        '  - the owner "no_such_role" does not exist. Run: CREATE ROLE no_such_role',
        '  - the tablespace "nope" does not exist. Look at them: SELECT spcname FROM pg_tablespace',
        '  - the extension "citextt" is not available on the server. Did you mean "citext"?',
    ]
    assert oid(server, dbname) is None


@pytest.mark.parametrize(
    ("command", "driver"), [("create", "psycopg2"), ("setup", "psycopg"), ("reset", "psycopg2")]
)
def test_extensions_come_before_init(
    project: Project, server: Server, dbname: str, driver: str, command: str
) -> None:
    check = "db.session.execute(db.text(\"SELECT 'a'::citext\"))"
    project.app(server.uri(dbname, driver), callback=check)
    result = project.here(command, "--extension", "citext", "--extension", "pg_trgm")
    assert result.code == 0, str(result)
    found = {name for (name,) in server.execute("SELECT extname FROM pg_extension", dbname=dbname)}
    assert found >= {"citext", "pg_trgm"}


@pytest.mark.parametrize("command", ["create", "setup", "init"])
def test_missing_extensions_of_a_database_that_is_there(
    project: Project, server: Server, database: PostgresUri, dbname: str, command: str
) -> None:
    """Others create databases too: a container's POSTGRES_DB, a provider."""
    project.app(database)
    for _ in range(2):
        assert project.here(command, "--extension", "citext").code == 0
    assert server.execute("SELECT 1 FROM pg_extension WHERE extname = 'citext'", dbname=dbname) == [(1,)]
    message = error(project.here(command, "--extension", "file_fdw"))
    assert message.startswith('could not run CREATE EXTENSION IF NOT EXISTS "file_fdw"'), message


def test_an_extension_for_superusers_only_leaves_nothing(
    project: Project, server: Server, dbname: str
) -> None:
    project.app(server.uri(dbname))
    message = error(project.here("create", "--extension", "file_fdw"))
    assert "file_fdw" in message
    assert "permission denied" in message
    assert not any(dbname in name for name in server.names())


@pytest.mark.usefixtures("database")
def test_reset_carries_over(project: Project, server: Server, dbname: str, plain_role: str) -> None:
    """What belongs to the database and not to its content is as it was."""
    for statement in (
        f"ALTER DATABASE {dbname} SET work_mem = '7MB'",
        f'ALTER DATABASE {dbname} SET search_path = app, "Odd one", public',
        f"ALTER DATABASE {dbname} SET application_name = 'it''s'",
        f"ALTER ROLE app_dev IN DATABASE {dbname} SET statement_timeout = '9s'",
        f"ALTER DATABASE {dbname} CONNECTION LIMIT 12",
        f"COMMENT ON DATABASE {dbname} IS 'of the \"shop\", 100%% ours'",
        f"REVOKE ALL ON DATABASE {dbname} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {dbname} TO {plain_role} WITH GRANT OPTION",
    ):
        server.execute(statement.replace("%%", "%"))
    before = _belongings(server, dbname)
    old = oid(server, dbname)
    project.app(server.uri(dbname))
    result = project.here("reset", "--force")
    assert result.code == 0, str(result)
    assert oid(server, dbname) != old
    assert _belongings(server, dbname) == before


@pytest.mark.usefixtures("database")
def test_reset_carries_the_owner(project: Project, server: Server, dbname: str) -> None:
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'owning'"):
        server.execute("CREATE ROLE owning")
        server.execute("GRANT owning TO app_dev")
    server.execute(f"ALTER DATABASE {dbname} OWNER TO owning")
    project.app(server.uri(dbname))
    result = project.here("reset", "--force")
    assert result.code == 0, str(result)
    assert server.execute(FACTS, dbname)[0][0] == "owning"


@pytest.mark.usefixtures("database")
def test_a_setting_that_is_set_beats_what_the_old_one_had(
    project: Project, server: Server, dbname: str
) -> None:
    server.execute(f"ALTER DATABASE {dbname} CONNECTION LIMIT 12")
    project.app(server.uri(dbname))
    assert project.here("reset", "--force", "--connection-limit", "13").code == 0
    assert server.execute(FACTS, dbname)[0][1] == 13


@pytest.mark.usefixtures("database")
def test_what_cannot_be_carried_is_said_before_the_confirmation(
    project: Project, server: Server, dbname: str, plain_role: str
) -> None:
    server.execute(f"ALTER DATABASE {dbname} SET log_statement = 'all'")
    server.execute(f"ALTER DATABASE {dbname} SET my.own = '1'")
    server.execute(f"ALTER ROLE {plain_role} IN DATABASE {dbname} SET work_mem = '9MB'")
    project.app(server.uri(dbname))
    result = project.here("reset", input="no\n")
    assert error(result) == f'that is not "{dbname}", so nothing was done.'
    for name in ("log_statement", "my.own"):
        assert f"Note: the setting {name} in this database will be lost" in result.err
    assert (
        f'Note: the setting work_mem of the role "{plain_role}" in this database will be lost' in result.err
    )


@pytest.mark.usefixtures("database")
def test_a_new_database_is_protected_when_settings_say_so(
    project: Project, server: Server, dbname: str
) -> None:
    server.execute(f"COMMENT ON DATABASE {dbname} IS 'mine'")
    project.app(server.uri(dbname))
    assert project.here("reset", "--force", "--protect").code == 0
    comment = server.execute("SELECT shobj_description(%s, 'pg_database')", oid(server, dbname))[0][0]
    assert comment == "mine\n[flask-postgres:protected {}]"
    assert "is protected" in error(project.here("drop", "--force", "--uri", full(server.uri(dbname))))


def _belongings(server: Server, dbname: str) -> object:
    return [
        server.execute(FACTS, dbname),
        server.execute("SELECT shobj_description(%s, 'pg_database')", oid(server, dbname)),
        server.execute("SELECT datacl::text FROM pg_database WHERE datname = %s", dbname),
        server.execute(
            "SELECT setrole::regrole::text, unnest(setconfig) FROM pg_db_role_setting s "
            "JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = %s ORDER BY 1, 2",
            dbname,
        ),
    ]


MISSING = 'It comes with the extension "citext": add that to the extensions setting, or --extension citext'


@pytest.mark.parametrize("by", ["create_all", "callback"])
def test_a_type_that_an_extension_has(project: Project, server: Server, dbname: str, by: str) -> None:
    project.app(server.uri(dbname))
    text = (project.folder / "app.py").read_text()
    text = text.replace(
        "from flask_sql", "from sqlalchemy.dialects.postgresql import CITEXT\nfrom flask_sql", 1
    )
    project.write({"app.py": text.replace("db.Text", "CITEXT")})
    message = error(project.here("setup", *(["--init-with", "create_all"] if by == "create_all" else [])))
    assert 'type "citext" does not exist' in message
    assert MISSING in message
    assert project.here("setup", "--extension", "citext").code == 0


def test_a_schema_public_that_others_may_not_write(project: Project, server: Server, dbname: str) -> None:
    server.execute(f'CREATE DATABASE "{dbname}"')  # the superuser's own
    project.app(server.uri(dbname))
    message = error(project.here("init"))
    assert "permission denied for schema public" in message
    assert 'As the database\'s owner, run: GRANT CREATE ON SCHEMA public TO "app_dev"' in message
