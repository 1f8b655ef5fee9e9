"""``flask psql status``: what is shown, what scripts read, and when it fails."""

from __future__ import annotations

import contextlib
import json
import typing as t

import psycopg
import pytest

from flask_postgres import PostgresUri
from flask_postgres.postgres import marks
from flask_postgres.postgres.facts import Database, Facts
from flask_postgres.postgres.marks import Mark, State
from flask_postgres.postgres.status import Status

from ..project import Project, Result
from ..servers import Server, free_port
from .looking import mark

TOKEN = "0badcafe"


@pytest.fixture
def database(server: Server, database: PostgresUri) -> PostgresUri:
    """Return a database in which something is: one without anything is not ready."""
    server.execute("CREATE TABLE older (id int)", dbname=database.dbname)
    return database


def report(result: Result, *, code: int = 0) -> dict[str, t.Any]:
    assert result.code == code, str(result)
    return t.cast("dict[str, t.Any]", json.loads(result.out))


def rows(result: Result) -> dict[str, str]:
    pairs = (line.partition(":") for line in result.out.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_of_a_database_that_is_well(server: Server, dbname: str, project: Project, driver: str) -> None:
    project.app(server.uri(dbname, driver))
    assert project.psql("setup").code == 0
    shown = project.psql("status", "--exit-code")
    assert (shown.code, shown.err) == (0, "")
    table = rows(shown)
    assert table["server"].startswith(f"127.0.0.1:{server.port}, PostgreSQL ")
    assert (table["database"], table["state"], table["owner"]) == (dbname, "complete", "app_dev")
    assert (table["tables"], table["connections"], table["leftovers"]) == ("1", "none", "none")
    assert table["driver"].startswith(f"{driver} ({driver}")
    assert (table["protection"], table["ready"]) == ("not protected", "yes")
    assert table["size"].endswith("MB")


def test_the_keys_of_the_json(server: Server, database: PostgresUri, project: Project) -> None:
    found = report(project.app(database).psql("status", "--json"))
    size = found["database"].pop("size_bytes")
    version = found["server"].pop("version")
    assert found["server"].pop("driver").startswith("psycopg")
    assert found == {
        "ready": True,
        "reasons": [],
        "server": {
            "reachable": True,
            "address": f"127.0.0.1:{server.port}",
            "product": "PostgreSQL",
            "role": "app_dev",
            "standby": False,
            "error": None,
        },
        "database": {
            "name": database.dbname,
            "exists": True,
            "condition": "complete",
            "at_work": False,
            "connectable": True,
            "error": None,
            "protected": False,
            "owner": "app_dev",
            "encoding": "UTF8",
            "tables": 1,
            "connections": 0,
            "sessions": [],
            "former": None,
        },
        "migrations": None,
        "embedded": None,
        "leftovers": [],
    }
    assert size > 1_000_000
    assert server.execute("SHOW server_version")[0][0].startswith(version)


def test_the_keys_are_the_same_whatever_is_known(
    server: Server, database: PostgresUri, project: Project
) -> None:
    def keys(found: dict[str, t.Any]) -> dict[str, t.Any]:
        return {key: sorted(value) if isinstance(value, dict) else None for key, value in found.items()}

    project.app(database)
    known = report(project.psql("status", "--json"))
    missing = report(project.psql("status", "--json", "--uri", _text(server.uri("is_not_there"))))
    port = free_port()
    down = report(project.psql("status", "--json", "--uri", _text(server.uri("x", port=port))), code=1)
    assert keys(known) == keys(missing) == keys(down)


def test_a_missing_database_is_an_answer(server: Server, dbname: str, project: Project) -> None:
    project.app(server.uri(dbname))
    shown = project.psql("status")
    assert shown.code == 0
    assert rows(shown)["state"] == "does not exist"
    found = report(project.psql("status", "--json", "--exit-code"), code=1)
    assert found["reasons"] == [f'database "{dbname}" does not exist']
    assert found["database"]["exists"] is False
    assert found["database"]["owner"] is None


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_server_that_cannot_be_reached_is_an_error(server: Server, project: Project, driver: str) -> None:
    project.app(server.uri("shop", driver, port=free_port()))
    shown = project.psql("status")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("Error: no PostgreSQL server listens at 127.0.0.1:")
    found = report(project.psql("status", "--json"), code=1)
    assert found["server"]["reachable"] is False
    assert found["server"]["error"].startswith("no PostgreSQL server listens")
    assert found["database"]["exists"] is None
    assert found["ready"] is False


def test_a_wrong_password_is_never_a_missing_database(
    server: Server, database: PostgresUri, project: Project
) -> None:
    project.app(server.uri(database.dbname, password="not it"))
    found = report(project.psql("status", "--json"), code=1)
    assert found["database"]["exists"] is None
    assert "refuses the user" in found["server"]["error"]


def test_json_stays_json_whatever_the_password_is(server: Server, project: Project) -> None:
    """A password may equal a piece of JSON, or be spelt otherwise in it."""
    for password in ('"', "true", "a\\u00e4ä"):
        project.app(server.uri("shop", password=password))
        found = report(project.psql("status", "--json"), code=1)
        assert found["server"]["reachable"] is False


def test_sessions_of_others_are_counted(server: Server, database: PostgresUri, project: Project) -> None:
    project.app(database)
    with server.connect(database.dbname, application_name="a visitor"):
        found = report(project.psql("status", "--json"))["database"]
        shown = rows(project.psql("status"))
    assert found["connections"] == 1
    (session,) = found["sessions"]
    assert (session["application"], session["user"]) == ("a visitor", "postgres")
    assert shown["connections"].startswith("1: pid ")


def test_the_apps_own_connections_are_not_counted(database: PostgresUri, project: Project) -> None:
    project.app(database)
    with open(project.folder / "app.py", "a") as file:
        file.write("with app.app_context():\n    db.session.execute(db.text('SELECT 1'))\n")
    assert report(project.psql("status", "--json"))["database"]["connections"] == 0


def test_tables_are_those_of_the_app(server: Server, database: PostgresUri, project: Project) -> None:
    with contextlib.suppress(psycopg.errors.FeatureNotSupported):  # not every build has it
        server.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements", dbname=database.dbname)
    for statement in (
        "CREATE TABLE plain (id int)",
        "CREATE TABLE parted (id int) PARTITION BY LIST (id)",
        "CREATE TABLE part_1 PARTITION OF parted FOR VALUES IN (1)",
        "CREATE VIEW seen AS SELECT 1 AS one",
        "CREATE SCHEMA other",
        "CREATE TABLE other.plain (id int)",
    ):
        server.execute(statement, dbname=database.dbname)
    assert report(project.app(database).psql("status", "--json"))["database"]["tables"] == 4


def test_protection(database: PostgresUri, project: Project) -> None:
    project.app(database)
    assert project.psql("protect").code == 0
    assert rows(project.psql("status", "--exit-code"))["protection"] == "protected"
    assert report(project.psql("status", "--json", "--exit-code"))["database"]["protected"] is True


def test_works_when_only_the_target_can_be_reached(
    server: Server, database: PostgresUri, project: Project
) -> None:
    project.app(database)
    found = report(project.psql("status", "--json", "--exit-code", "--admin-dbname", "is_not_there"))
    assert found["database"]["condition"] == "complete"
    neither = _text(server.uri("nor_this"))
    refused = project.psql("status", "--admin-dbname", "is_not_there", "--uri", neither)
    assert refused.code == 1
    assert "is_not_there" in refused.err


def test_works_in_a_disallowed_environment(database: PostgresUri, project: Project) -> None:
    project.app(database).write({"flask_postgres.toml": "cli_disallowed_envs = ['production']"})
    assert project.psql("drop", "--force").code == 1
    assert project.psql("status", "--exit-code").code == 0


def test_works_without_the_app_when_a_uri_is_given(database: PostgresUri, project: Project) -> None:
    project.write({"app.py": "import nowhere\n"})
    shown = project.psql("status", "--exit-code", "--uri", _text(database))
    assert shown.code == 0
    assert "the app's config was not read" in shown.err
    assert rows(shown)["database"] == database.dbname
    without = project.psql("status")
    assert (without.code, without.out) == (1, "")


@pytest.mark.parametrize(
    ("state", "words", "mend"),
    [
        (State.UNFINISHED, "unfinished: a command was interrupted", "flask psql setup"),
        (State.BLOCKED, "closed to connections by a command that was interrupted", "flask psql recover"),
    ],
)
def test_what_an_interrupted_command_has_left(
    server: Server, database: PostgresUri, project: Project, state: State, words: str, mend: str
) -> None:
    mark(server, database.dbname, state, of=database.dbname)
    project.app(database)
    shown = rows(project.psql("status"))
    assert shown["state"] == words
    assert mend in shown["leftovers"]
    found = report(project.psql("status", "--json", "--exit-code"), code=1)
    assert [(item["kind"], item["command"]) for item in found["leftovers"]] == [(state.value, mend)]
    assert not project.psql(*mend.split()[2:]).code, "the command that mends must do so"
    assert report(project.psql("status", "--json", "--exit-code"))["leftovers"] == []


def test_a_living_command_leaves_nothing(server: Server, database: PostgresUri, project: Project) -> None:
    mark(server, database.dbname, State.UNFINISHED, of=database.dbname)
    project.app(database)
    with server.connect(application_name=f"flask-postgres {TOKEN} {database.dbname}"):
        found = report(project.psql("status", "--json", "--exit-code"), code=1)
    assert found["leftovers"] == []
    assert (found["database"]["at_work"], found["database"]["condition"]) == (True, "unfinished")


def test_a_former_database_that_was_set_aside(server: Server, dbname: str, project: Project) -> None:
    aside = marks.name_for_old(dbname, TOKEN)
    server.execute(f'CREATE DATABASE "{aside}" OWNER app_dev')
    mark(server, aside, State.ASIDE, of=dbname)
    project.app(server.uri(dbname))
    found = report(project.psql("status", "--json"))
    assert found["database"]["exists"] is False
    (left,) = found["leftovers"]
    assert (left["name"], left["kind"], left["command"]) == (aside, "aside", "flask psql recover")
    assert left["size_bytes"] > 1_000_000
    assert project.psql("recover").code == 0
    assert report(project.psql("status", "--json"))["leftovers"] == []


def test_a_former_database_beside_a_complete_one(
    server: Server, database: PostgresUri, project: Project
) -> None:
    aside = marks.name_for_old(database.dbname, TOKEN)
    server.execute(f'CREATE DATABASE "{aside}" OWNER app_dev')
    mark(server, aside, State.ASIDE, of=database.dbname)
    project.app(database)
    shown = project.psql("status", "--exit-code")
    assert shown.code == 0, "what is left over does not keep the app from its database"
    assert rows(shown)["leftovers"].endswith(": flask psql recover"), "it may be the only complete one"
    mark(server, aside, State.ASIDE, of=database.dbname, superseded=True)
    assert rows(project.psql("status"))["leftovers"].endswith(": flask psql recover --discard")


def test_the_beginning_of_a_database(server: Server, dbname: str, project: Project) -> None:
    name = marks.name_for_new(dbname, TOKEN)
    server.execute(f'CREATE DATABASE "{name}" OWNER app_dev')
    mark(server, name, State.UNFINISHED, of=dbname)
    found = report(project.app(server.uri(dbname)).psql("status", "--json"))
    assert [item["kind"] for item in found["leftovers"]] == ["unmade"]


def test_a_database_closed_to_connections(server: Server, database: PostgresUri, project: Project) -> None:
    server.execute(f'ALTER DATABASE "{database.dbname}" ALLOW_CONNECTIONS false')
    found = report(project.app(database).psql("status", "--json", "--exit-code"), code=1)
    assert found["database"]["condition"] == "closed"
    assert found["database"]["connectable"] is False


def test_a_database_that_the_role_may_not_enter(
    server: Server, database: PostgresUri, project: Project
) -> None:
    server.execute(f'ALTER DATABASE "{database.dbname}" OWNER TO postgres')
    server.execute(f'REVOKE CONNECT ON DATABASE "{database.dbname}" FROM PUBLIC')
    found = report(project.app(database).psql("status", "--json", "--exit-code"), code=1)
    assert (found["database"]["exists"], found["database"]["connectable"]) == (True, False)
    assert database.dbname in found["database"]["error"]
    assert found["database"]["size_bytes"] is None


@pytest.mark.parametrize(
    ("target", "condition", "kinds"),
    [
        (None, "missing", []),
        (Database(name="shop"), "complete", []),
        (Database(name="shop", connection_limit=-2), "invalid", ["invalid"]),
        (Database(name="shop", allow_connections=False), "closed", []),
        (Database(name="shop", mark=Mark(State.PROTECTED)), "complete", []),
        (Database(name="shop", mark=Mark(State.UNFINISHED)), "unfinished", ["unfinished"]),
        (Database(name="shop", mark=Mark(State.UNFINISHED), maker_alive=True), "unfinished", []),
        (Database(name="shop", mark=Mark(State.BLOCKED)), "blocked", ["blocked"]),
    ],
)
def test_conditions(target: Database | None, condition: str, kinds: list[str]) -> None:
    status = Status(dbname="shop", facts=Facts(target=target), tables=0)
    assert status.condition == condition
    assert [item.kind for item in status.leftovers] == kinds
    assert (status.reason is None) == (condition == "complete")


def test_a_bind(server: Server, database: PostgresUri, project: Project) -> None:
    project.app(server.uri("is_not_there"))
    app = (project.folder / "app.py").read_text()
    binds = f"app.config['SQLALCHEMY_BINDS'] = {{'log': {_text(database)!r}, 'other': {_text(database)!r}}}\n"
    text = app.replace("db = SQLAlchemy(app)", f"{binds}db = SQLAlchemy(app)")
    (project.folder / "app.py").write_text(text)
    assert (
        report(project.psql("status", "--json", "--bind-key", "log"))["database"]["name"] == database.dbname
    )
    assert project.psql("wait", "--bind-key", "log").code == 0
    ask = ("--", "-Atc", "SELECT current_database()")
    assert project.psql("shell", "--bind-key", "log", *ask).out == f"{database.dbname}\n"
    unknown = project.psql("status", "--bind-key", "nope")
    assert (unknown.code, unknown.out) == (1, "")


MIGRATED = {
    "alembic.ini": "[alembic]\nscript_location = migrations\npath_separator = os\n",
    "migrations/env.py": """
        from alembic import context
        from sqlalchemy import create_engine

        with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
    """,
    "migrations/versions/one.py": """
        from alembic import op
        import sqlalchemy as sa

        revision, down_revision = "one", None

        def upgrade():
            op.create_table("pet", sa.Column("id", sa.Integer))
    """,
}


def test_migrations(server: Server, dbname: str, project: Project) -> None:
    pytest.importorskip("alembic")
    project.app(server.uri(dbname)).write(MIGRATED)
    assert project.psql("create").code == 0
    behind = report(project.psql("status", "--json", "--exit-code"), code=1)
    assert behind["migrations"] == {
        "tool": "Alembic",
        "current": [],
        "heads": ["one"],
        "behind": True,
        "error": None,
    }
    assert behind["reasons"] == ["the migrations are behind"]
    assert rows(project.psql("status"))["migrations"] == "Alembic, at no revision, behind one"
    assert project.psql("init", "--init-with", "migrations").code == 0
    shown = project.psql("status", "--exit-code")
    assert shown.code == 0
    assert rows(shown)["migrations"] == "Alembic, at one (up to date)"


def test_migrations_of_another_target(server: Server, database: PostgresUri, project: Project) -> None:
    pytest.importorskip("alembic")
    project.app(server.uri("is_not_there")).write(MIGRATED)
    found = report(project.psql("status", "--json", "--uri", _text(database)))
    assert found["migrations"]["behind"] is True


def test_migrations_that_cannot_be_read(database: PostgresUri, project: Project) -> None:
    pytest.importorskip("alembic")
    project.app(database).write({**MIGRATED, "migrations/env.py": "raise RuntimeError('oh no')"})
    shown = project.psql("status")
    assert shown.code == 0
    assert "oh no" in rows(shown)["migrations"]
    found = report(project.psql("status", "--json", "--exit-code"), code=1)
    assert "oh no" in found["migrations"]["error"]


def _text(uri: PostgresUri) -> str:
    return uri.render(hide_password=False)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DATABASE {}", 'database "{}" takes no more connections: its CONNECTION LIMIT is reached.'),
        ("ROLE {}", 'role "{}" takes no more connections: its CONNECTION LIMIT is reached.'),
    ],
)
def test_a_connection_limit(
    server: Server, database: PostgresUri, project: Project, driver: str, statement: str, words: str
) -> None:
    """Raising max_connections would not help."""
    name = f"of_{database.dbname}"
    server.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD 'c@n/ary:pw'")
    of = database.dbname if "DATABASE" in statement else name
    server.execute(f"ALTER {statement.format(of)} CONNECTION LIMIT 0")
    try:
        project.app(server.uri(database.dbname, driver, user=name))
        shown = project.here("status")
        assert words.format(of) in shown.all, str(shown)
        assert "max_connections" not in shown.all
        if shown.code:
            assert f'run: ALTER {statement.split()[0]} "{of}" CONNECTION LIMIT -1' in shown.err
    finally:
        server.execute(f"DROP ROLE {name}")
