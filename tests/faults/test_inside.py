"""A reset inside the database, by a role that has a database and nothing else: all or nothing as well."""

from __future__ import annotations

import json
import re
import signal
import typing as t

import psycopg
import pytest

from ..cli.looking import error, full, oid
from ..project import Project, Result
from ..servers import Server, wait_until

APP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from flask_postgres import init_db_callback

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)

    @init_db_callback
    def init_db(app, db):
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in {made!r}:
                connection.exec_driver_sql(statement)
        {then}
"""
MADE = (
    "CREATE TYPE mood AS ENUM ('good', 'bad')",
    "CREATE DOMAIN short AS text CHECK (length(VALUE) < 9)",
    "CREATE TYPE pair AS (a int, b mood)",
    "CREATE TABLE pet (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, mood mood, name citext)",
    "ALTER TABLE pet ADD s short",
    "CREATE TABLE toy (id int PRIMARY KEY, pet int REFERENCES pet)",
    "CREATE TABLE log (id int, day int) PARTITION BY LIST (day)",
    "CREATE TABLE log_1 PARTITION OF log FOR VALUES IN (1)",
    'CREATE TABLE "odd ""100%% name" (id int)',
    "CREATE VIEW good AS SELECT * FROM pet WHERE mood = 'good'",
    "CREATE MATERIALIZED VIEW many AS SELECT count(*) FROM good",
    "CREATE SEQUENCE free",
    "CREATE FUNCTION of(m mood, p pet) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER touched BEFORE INSERT ON pet FOR EACH ROW EXECUTE FUNCTION touch()",
    "CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int)",
    "CREATE PROCEDURE run(m mood) LANGUAGE sql AS 'SELECT 1'",
    "CREATE STATISTICS stats ON id, n FROM pet",
    "CREATE SCHEMA audit",
    "CREATE TYPE audit.span AS RANGE (subtype = int)",
    "CREATE TABLE audit.entry (id bigserial, at audit.span)",
    "COMMENT ON SCHEMA audit IS 'who did what'",
    "INSERT INTO pet (mood, name, s) VALUES ('good', 'Fido', 'x')",
)
CONTENT = """
    SELECT n.nspname, i.type, i.identity, d.objid FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) i
    WHERE d.refclassid = 'pg_namespace'::regclass AND n.nspname !~ '^pg_|^information'
      AND NOT EXISTS (SELECT 1 FROM pg_depend e
        WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
    UNION ALL SELECT nspname, 'schema', coalesce(obj_description(oid), ''), oid FROM pg_namespace
    WHERE nspname !~ '^pg_|^information' ORDER BY 1, 2, 3
"""


class Place:
    """A database of a role that has nothing else."""

    def __init__(self, server: Server, dbname: str, project: Project) -> None:
        self.server, self.dbname, self.project = server, dbname, project
        self.uri = full(server.uri(dbname, user="plain"))

    def app(self, then: str = "pass", made: t.Sequence[str] = MADE) -> None:
        self.project.write({"app.py": APP.format(uri=self.uri, made=made, then=then)})

    def run(self, *words: str, **options: t.Any) -> Result:
        return self.project.psql(*words, **options)

    def content(self, *, numbers: bool = True) -> list[tuple[t.Any, ...]]:
        rows = self.server.execute(CONTENT, dbname=self.dbname)
        return rows if numbers else [row[:3] for row in rows]

    def sql(self, statement: str) -> list[t.Any]:
        return self.server.execute(statement, dbname=self.dbname)


@pytest.fixture
def place(server: Server, dbname: str, project: Project, plain_role: str) -> Place:
    server.execute(f'CREATE DATABASE "{dbname}" OWNER {plain_role}')
    server.execute("CREATE EXTENSION citext", dbname=dbname)
    return Place(server, dbname, project)


@pytest.fixture
def filled(place: Place) -> Place:
    place.app()
    result = place.run("setup")
    assert result.code == 0, str(result)
    return place


def test_the_whole_life(filled: Place) -> None:
    before, number = filled.content(), oid(filled.server, filled.dbname)
    filled.sql("GRANT USAGE ON SCHEMA public TO app_dev")
    result = filled.run("reset", "-f")
    assert result.code == 0, str(result)
    assert result.err.splitlines() == [
        'what is in the database is replaced, and not the database itself: the role "plain" may not create'
        " databases",
        f'database "{filled.dbname}" was emptied',
        f'database "{filled.dbname}" was initialized',
        f'the old content of "{filled.dbname}" was deleted',
    ]
    after = filled.content()
    assert oid(filled.server, filled.dbname) == number
    assert [row[:3] for row in after] == [row[:3] for row in before]
    assert {row[3] for row in before if row[:2] != ("public", "extension")}.isdisjoint(
        {row[3] for row in after if row[1] not in ("extension", "schema")}
    )
    assert filled.sql("SELECT has_schema_privilege('app_dev', 'public', 'USAGE')") == [(True,)]
    assert filled.run("status", "--exit-code").code == 0
    assert filled.run("setup", "--if-missing").code == 0


def test_all_or_nothing(filled: Place) -> None:
    before = filled.content()
    filled.app("raise RuntimeError('no seeds')")
    message = error(filled.run("reset", "-f"))
    assert message.endswith(f'Database "{filled.dbname}" is as it was.'), message
    assert filled.content() == before
    assert filled.sql("SELECT name FROM pet") == [("Fido",)]


def test_what_is_asked_and_shown(filled: Place) -> None:
    before = filled.content()
    shown = filled.run("reset", "--dry-run").out
    assert "and not the database itself: the role" in shown
    assert re.search(r'ALTER TABLE public\."odd ""100% name" SET SCHEMA "public~old~[0-9a-f]{8}";', shown)
    assert re.search(r'ALTER SCHEMA "audit" RENAME TO "audit~old~[0-9a-f]{8}";', shown)
    asked = filled.run("reset", input="no\n")
    assert asked.code == 1
    assert "Note: what is in the database is replaced" in asked.err
    assert filled.content() == before


def test_one_that_makes_no_table(filled: Place) -> None:
    before = filled.content()
    filled.app(made=())
    message = error(filled.run("reset", "-f"))
    assert "created no table, and it had some before" in message
    assert filled.content() == before


def test_create_overwrite_and_a_chosen_schema(filled: Place) -> None:
    assert filled.run("create", "-o", "-f", "--create-schema", "mine").code == 0
    assert [row[:3] for row in filled.content() if row[1] != "extension"] == [
        ("mine", "schema", ""),
        ("public", "schema", "standard public schema"),
    ]


def test_with_database_typed(filled: Place) -> None:
    before = filled.content()
    assert "may not create databases" in error(filled.run("reset", "-f", "--reset-with", "database"))
    assert filled.content() == before


def test_with_schema_typed_by_a_role_that_could_do_more(
    server: Server, dbname: str, project: Project
) -> None:
    project.app(server.uri(dbname))
    assert project.psql("setup").code == 0
    number = oid(server, dbname)
    assert project.psql("reset", "-f", "--reset-with", "schema").code == 0
    assert oid(server, dbname) == number
    assert server.execute("SELECT name FROM pet", dbname=dbname) == [("Fido",)]


def test_what_is_not_ours_to_move(filled: Place) -> None:
    filled.sql("CREATE TABLE theirs (id int)")
    before = filled.content()
    message = error(filled.run("reset", "-f"))
    assert f'does not own all that is in "{filled.dbname}": table public.theirs.' in message
    assert filled.content() == before


def test_a_session_of_somebody_else(filled: Place) -> None:
    with psycopg.connect(filled.uri):
        assert "has 1 open session" in error(filled.run("reset", "-f"))
        assert filled.run("reset", "-f", "-fd").code == 0


def test_protected(filled: Place) -> None:
    assert filled.run("protect").code == 0
    assert "is protected" in error(filled.run("reset", "-f"))


@pytest.mark.parametrize("rows", [True, False])
def test_killed_while_the_app_fills_it(filled: Place, rows: bool) -> None:
    before = filled.content()
    filled.app(f"open('reached', 'w'); {'pass' if rows else ''}\n        import time; time.sleep(600)", MADE)
    if not rows:
        filled.app("open('reached', 'w'); import time; time.sleep(600)", MADE[:9])
    with filled.project.start("psql", "reset", "-f") as process:
        wait_until((filled.project.folder / "reached").exists, what="the callback")
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    filled.app()
    shown = json.loads(filled.run("status", "--json").out)
    assert (shown["ready"], shown["database"]["condition"]) == (False, "unfinished")
    assert {item["command"] for item in shown["leftovers"]} == {"flask psql recover"}
    for words in (["setup"], ["setup", "--if-missing"], ["reset", "-f"]):
        message = error(filled.run(*words))
        assert "flask psql recover" in message, message
    if rows:
        assert filled.run("recover", input="no\n").code == 1
    recovered = filled.run("recover", *(["-f"] if rows else []))
    assert recovered.code == 0, str(recovered)
    assert filled.content() == before
    assert filled.sql("SELECT name FROM pet") == [("Fido",)]
    assert filled.run("status", "--exit-code").code == 0


def test_what_was_set_aside_can_be_dropped(filled: Place) -> None:
    filled.app("open('reached', 'w'); import time; time.sleep(600)")
    with filled.project.start("psql", "reset", "-f") as process:
        wait_until((filled.project.folder / "reached").exists, what="the callback")
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert filled.run("recover", "--discard", "-f").code == 0
    assert not [row for row in filled.content() if "~old~" in row[0]]
    assert filled.sql("SELECT name FROM pet") == [("Fido",)]


def test_an_empty_database_counts_as_missing(place: Place) -> None:
    place.app()
    shown = place.run("status", "--exit-code")
    assert shown.code == 1
    assert "state:" in shown.out
    assert "empty" in shown.out
    result = place.run("setup", "--if-missing")
    assert result.code == 0, str(result)
    assert result.err.splitlines() == [
        f'database "{place.dbname}" already exists, and is empty',
        f'database "{place.dbname}" was initialized',
    ]
    assert place.sql("SELECT name FROM pet") == [("Fido",)]
    assert place.run("setup", "--if-missing").err == f'database "{place.dbname}" already exists\n'
    assert place.run("status", "--exit-code").code == 0


def test_an_init_that_fails_leaves_it_empty(place: Place) -> None:
    place.sql("CREATE SCHEMA made_for_the_app AUTHORIZATION plain")
    place.sql("COMMENT ON SCHEMA made_for_the_app IS 'kept'")
    before = place.content()
    place.app(
        "raise RuntimeError('no seeds')",
        [*MADE, "CREATE EXTENSION hstore", "CREATE TABLE made_for_the_app.x (id int)"],
    )
    message = error(place.run("setup", "--if-missing"))
    assert message.endswith("is as it was."), message
    assert place.content() == before
    place.app(made=[*MADE, "CREATE TABLE made_for_the_app.x (id int)"])
    assert place.run("setup", "--if-missing").code == 0
    assert place.sql("SELECT count(*) FROM made_for_the_app.x") == [(0,)]


@pytest.mark.long
@pytest.mark.parametrize("count", [100, 2000])
def test_many_tables(place: Place, count: int) -> None:
    """Moving a table takes some locks, for which the server's table has room: else nothing is changed."""
    loop = "DO $$ BEGIN FOR i IN {}..{} LOOP EXECUTE {}; END LOOP; END $$"
    create = "'CREATE TABLE t' || i || ' (id serial)'"
    parts = [loop.format(start, start + 49, create) for start in range(1, count, 50)]
    place.app(made=parts)
    result = place.run("setup")
    assert result.code == 0, str(result)
    before = place.content()
    place.app("raise RuntimeError('no seeds')", made=parts)
    failed = place.run("reset", "-f")
    assert place.content() == before, str(failed)
    place.app(made=parts)
    result = place.run("reset", "-f")
    if result.code:
        assert count > 100
        assert "max_locks_per_transaction" in result.err, str(result)
        assert place.content() == before
        return
    assert "is as it was" in failed.err
    assert place.content(numbers=False) == [row[:3] for row in before]


def test_where_no_other_database_lets_the_role_in(place: Place) -> None:
    """As on a host that gives one database and nothing else."""
    server = place.server
    for name in ("postgres", "template1"):
        server.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    try:
        place.app()
        for words in (
            ["wait"],
            ["create"],
            ["setup"],
            ["wait", "--ready"],
            ["status", "--exit-code"],
            ["reset", "-f"],
            ["setup", "--if-missing"],
            ["protect"],
            ["unprotect", "-f"],
            ["recover"],
        ):
            result = place.run(*words)
            assert result.code == 0, f"{words}: {result}"
        assert place.sql("SELECT name FROM pet") == [("Fido",)]
    finally:
        for name in ("postgres", "template1"):
            server.execute(f"GRANT CONNECT ON DATABASE {name} TO PUBLIC")


def test_a_type_of_an_extension(place: Place) -> None:
    """Its columns keep their type, and the extension its place, while the tables move."""
    if not place.sql("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
        pytest.skip("this PostgreSQL has no pgvector")
    place.sql("CREATE EXTENSION vector")
    place.app(
        made=[
            "CREATE TABLE doc (id serial PRIMARY KEY, v vector(3))",
            "INSERT INTO doc (v) VALUES ('[1,2,3]')",
        ]
    )
    for words in (["setup"], ["reset", "-f"]):
        result = place.run(*words)
        assert result.code == 0, str(result)
    before = place.content()
    place.app("raise RuntimeError", made=["CREATE TABLE doc (id int)"])
    assert place.run("reset", "-f").code == 1
    assert place.content() == before
    assert place.sql("SELECT v <-> '[1,2,4]' FROM doc") == [(1.0,)]


MIGRATED = """
    from flask import Flask
    from flask_migrate import Migrate
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)
    Migrate(app, db)
"""
REVISION = """
    import sqlalchemy as sa
    from alembic import op

    revision, down_revision = {name!r}, {down!r}

    def upgrade():
        kind = sa.Enum("good", "bad", name={name!r} + "_kind")
        op.create_table({name!r}, sa.Column("id", sa.Integer, primary_key=True), sa.Column("kind", kind))
        op.execute("INSERT INTO {name} (kind) VALUES ('good')")
        {then}
"""


def test_migrations_and_their_types(place: Place) -> None:
    """The version table is set aside as well, so that every migration runs anew."""
    pytest.importorskip("flask_migrate")
    project = place.project
    project.write({"app.py": MIGRATED.format(uri=place.uri)})
    assert project.run("db", "init").code == 0
    script = "migrations/versions/{}.py"
    project.write({script.format("one"): REVISION.format(name="one", down=None, then="")})
    for words in (["setup"], ["reset", "-f"]):
        result = place.run(*words)
        assert result.code == 0, str(result)
        assert "up to date" in place.run("status", "--exit-code").out
    before = place.content()
    project.write({script.format("two"): REVISION.format(name="two", down="one", then="1 / 0")})
    assert "is as it was" in error(place.run("reset", "-f"))
    assert place.content() == before
    assert place.sql("SELECT version_num FROM alembic_version") == [("one",)]


def test_extensions_in_a_schema_of_their_own(place: Place) -> None:
    """Dropping that schema would take every column of their types along, in what was set aside too."""
    place.sql("DROP EXTENSION citext")
    place.sql("CREATE SCHEMA extensions AUTHORIZATION plain")
    place.sql("CREATE EXTENSION citext SCHEMA extensions")
    made = ["CREATE TABLE pet (name extensions.citext)", "INSERT INTO pet VALUES ('Fido')"]
    place.app(made=made)
    assert place.run("setup").code == 0
    before = place.content()
    place.app("raise RuntimeError('no seeds')", made=made)
    assert "is as it was" in error(place.run("reset", "-f"))
    assert place.content() == before
    assert place.sql("SELECT CAST(pg_typeof(name) AS text) FROM pet") == [("extensions.citext",)]
    place.app(made=made)
    assert place.run("reset", "-f").code == 0
    assert place.content(numbers=False) == [row[:3] for row in before]


def test_schemas_whose_names_are_cut_to_the_same(place: Place) -> None:
    """What lies in two must not be mixed in one."""
    names = ["s" * 60 + end for end in "ab"]
    place.app(made=[f"CREATE TABLE {names[0]}.t (id int)"])
    place.sql(f"CREATE SCHEMA {names[0]}")
    place.sql(f"GRANT ALL ON SCHEMA {names[0]} TO plain")
    assert place.run("setup").code == 0
    place.sql(f"CREATE SCHEMA {names[1]}")
    place.sql(f"CREATE TABLE {names[1]}.t (id int)")
    place.sql(f"ALTER TABLE {names[1]}.t OWNER TO plain")
    before = place.content()
    assert "already exists" in error(place.run("reset", "-f"))
    assert place.content() == before


def test_a_protected_database_that_is_empty_can_be_filled(place: Place) -> None:
    place.app()
    assert place.run("protect").code == 0
    result = place.run("setup")
    assert result.code == 0, str(result)
    assert "is protected" in error(place.run("reset", "-f"))


def test_a_template(filled: Place) -> None:
    before = filled.content()
    filled.server.execute(f'ALTER DATABASE "{filled.dbname}" IS_TEMPLATE true')
    try:
        assert "is a template" in error(filled.run("reset", "-f"))
    finally:
        filled.server.execute(f'ALTER DATABASE "{filled.dbname}" IS_TEMPLATE false')
    assert filled.content() == before
