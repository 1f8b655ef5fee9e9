"""``snapshot``: the database as it is, under a name, to come back to."""

from __future__ import annotations

import json

import psycopg
import pytest

from ..project import Project
from ..servers import PASSWORD, Server
from .looking import KEPT, error, full, oid, pets, said


@pytest.fixture
def shop(project: Project, server: Server, dbname: str) -> Project:
    """Return a project whose database has a row that no reset brings back."""
    assert project.app(server.uri(dbname)).here("setup").code == 0
    server.execute("INSERT INTO pet (name) VALUES ('Rex')", dbname=dbname)
    return project


def snapshots(server: Server, dbname: str) -> list[str]:
    return sorted(name for name in server.names() if name.startswith(f"{dbname}~snap~"))


def listed(project: Project, *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(project.here("snapshot", "list", "--json", *arguments).out)
    return found


def about(server: Server, dbname: str) -> list[object]:
    return server.execute(
        "SELECT datdba, (SELECT array_agg(a ORDER BY a::text) FROM unnest(datacl) a), datallowconn,"
        " datconnlimit, shobj_description(oid, 'pg_database'),"
        " (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0)"
        " FROM pg_database d WHERE datname = %s",
        dbname,
    )


def test_there_and_back(shop: Project, server: Server, dbname: str, driver: str) -> None:
    shop.app(server.uri(dbname, driver))
    server.execute(f"COMMENT ON DATABASE {dbname} IS 'mine'")
    server.execute(f"ALTER DATABASE {dbname} SET work_mem = '5MB'")
    server.execute(f"GRANT CREATE ON DATABASE {dbname} TO PUBLIC")
    server.execute(f"ALTER DATABASE {dbname} CONNECTION LIMIT 7")
    before, was = about(server, dbname), oid(server, dbname)
    saved = shop.here("snapshot", "save", "before upgrade")
    assert said(saved) == ['snapshot "before upgrade" was saved']
    assert oid(server, dbname) == was
    server.execute("DELETE FROM pet", dbname=dbname)
    restored = shop.here("snapshot", "restore", "before upgrade", input=f"{dbname}\n")
    assert said(restored)[-2:] == [f'database "{dbname}" was restored', KEPT]
    assert pets(server, dbname) == ["Fido", "Rex"]
    assert about(server, dbname) == before
    assert shop.here("undo").code == 0
    assert (oid(server, dbname), pets(server, dbname)) == (was, [])
    assert shop.here("snapshot", "restore", "-f").code == 0, "the snapshot stays, and is the latest"
    assert pets(server, dbname) == ["Fido", "Rex"]


def test_the_one_that_is_named(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("snapshot", "save", "older").code == 0
    server.execute("DELETE FROM pet", dbname=dbname)
    assert shop.here("snapshot", "save", "newer").code == 0
    assert shop.here("snapshot", "restore", "older", "-f").code == 0
    assert pets(server, dbname) == ["Fido", "Rex"]
    assert shop.here("snapshot", "drop", "older", "-f").code == 0
    assert [each["name"] for each in listed(shop)] == ["newer"]


def test_restoring_what_was_dropped(shop: Project, server: Server, dbname: str) -> None:
    """The snapshot has all that the database had."""
    server.execute(f"COMMENT ON DATABASE {dbname} IS 'mine'")
    server.execute(f"ALTER DATABASE {dbname} SET work_mem = '5MB'")
    server.execute(f"ALTER DATABASE {dbname} CONNECTION LIMIT 7")
    before = about(server, dbname)
    assert shop.here("snapshot", "save").code == 0
    assert shop.here("drop", "-f", "--final").code == 0
    assert said(shop.here("snapshot", "restore")) == [f'database "{dbname}" was restored']
    assert about(server, dbname) == before
    assert pets(server, dbname) == ["Fido", "Rex"]


def test_list(shop: Project, server: Server, dbname: str) -> None:
    assert said(shop.here("snapshot", "list")) == [f'there is no snapshot of database "{dbname}"']
    assert shop.here("snapshot", "save", "one").code == 0
    server.execute("CREATE TABLE alembic_version (version_num text)", dbname=dbname)
    server.execute("INSERT INTO alembic_version VALUES ('1975ea83b712')", dbname=dbname)
    server.execute("ALTER TABLE alembic_version OWNER TO app_dev", dbname=dbname)
    assert shop.here("snapshot", "save", "two").code == 0
    two, one = listed(shop)
    assert (one["name"], one["revision"]) == ("one", None)
    assert (two["name"], two["revision"]) == ("two", "1975ea83b712")
    assert {one["database"], two["database"]} == {*snapshots(server, dbname)}
    heading, *rows = [line.split() for line in shop.here("snapshot", "list").out.splitlines()]
    assert heading == ["NAME", "SAVED", "SIZE", "REVISION"]
    assert [(row[0], row[-1]) for row in rows] == [("two", "1975ea83b712"), ("one", "-")]


@pytest.mark.parametrize("name", ["it's größe 数据", "n" * 200, 'a;b]} "q" per%cent'])
def test_names_of_any_kind(shop: Project, server: Server, dbname: str, name: str) -> None:
    assert shop.here("snapshot", "save", name).code == 0
    assert [each["name"] for each in listed(shop)] == [name]
    again = error(shop.here("snapshot", "save", name))
    assert f'there is a snapshot "{name}" of database "{dbname}" already' in again
    assert shop.here("snapshot", "restore", name, "-f").code == 0
    wrong = shop.here("snapshot", "drop", name, input="no\n")
    assert "This snapshot will be lost for good" in wrong.err
    assert len(snapshots(server, dbname)) == 1
    dropped = shop.here("snapshot", "drop", name, input=f"{name}\n")
    assert said(dropped)[-1] == f'snapshot "{name}" was deleted'
    assert snapshots(server, dbname) == []


@pytest.mark.parametrize("name", ["", "n" * 201, "a\nb", "\x1b[31m"])
def test_names_that_are_refused(shop: Project, server: Server, dbname: str, name: str) -> None:
    assert "the name of a snapshot is text" in error(shop.here("snapshot", "save", name), code=2)
    assert snapshots(server, dbname) == []


def test_two_databases_of_long_names_keep_their_snapshots_apart(project: Project, server: Server) -> None:
    """Names of databases are cut at 63 bytes; the mark has the whole one."""
    names = [f"{'long' * 14}_{last}" for last in "ab"]
    try:
        for name in names:
            assert project.app(server.uri(name)).here("setup").code == 0
            assert project.here("snapshot", "save", f"of {name[-1]}").code == 0
        for name in names:
            project.app(server.uri(name))
            assert [each["name"] for each in listed(project)] == [f"of {name[-1]}"]
    finally:
        for name in server.names():
            if name.startswith("longlong"):
                server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_of_another_database(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("snapshot", "save", "s").code == 0
    other = f"{dbname}_other"
    shop.app(server.uri(other))
    nothing = error(shop.here("snapshot", "restore", "s"))
    assert nothing == f'there is no snapshot "s" of database "{other}". Save one: flask psql snapshot save'
    assert (
        said(shop.here("snapshot", "restore", "s", "--from", dbname))[-1]
        == f'database "{other}" was restored'
    )
    assert pets(server, other) == ["Fido", "Rex"]
    asked = shop.here("snapshot", "restore", "--from", dbname, input="no\n")
    assert f'Note: snapshot "s" of database "{dbname}", ' in asked.err
    assert oid(server, dbname) is not None


def test_sessions(shop: Project, server: Server, dbname: str) -> None:
    with psycopg.connect(full(server.uri(dbname)), application_name="elsewhere"):
        assert f'database "{dbname}" has 1 open session' in error(shop.psql("snapshot", "save", "s"))
        assert snapshots(server, dbname) == []
        assert shop.psql("snapshot", "save", "s", "-fd").code == 0
    assert len(snapshots(server, dbname)) == 1
    assert pets(server, dbname) == ["Fido", "Rex"], "it is open again"
    assert shop.here("status", "--exit-code").code == 0


def test_what_a_protected_database_allows(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("protect").code == 0
    assert shop.here("snapshot", "save", "s").code == 0
    assert "is protected" in error(shop.here("snapshot", "restore", "s", "-f"))
    assert pets(server, dbname) == ["Fido", "Rex"]


def test_without_createdb_nothing_is_lost(shop: Project, server: Server, dbname: str) -> None:
    """Such an owner could drop the database, and not make it again."""
    assert shop.here("snapshot", "save", "s").code == 0
    server.execute(f"CREATE ROLE {dbname}_owner LOGIN PASSWORD '{PASSWORD}'")
    server.execute(f"GRANT app_dev TO {dbname}_owner")
    try:
        uri = full(server.uri(dbname, user=f"{dbname}_owner"))
        before = oid(server, dbname)
        for command in (["save", "t"], ["restore", "s", "-f"]):
            assert "CREATEDB" in shop.here("snapshot", *command, "--uri", uri).err
        assert (oid(server, dbname), len(snapshots(server, dbname))) == (before, 1)
    finally:
        server.execute(f"DROP ROLE {dbname}_owner")


def test_a_snapshot_of_a_stranger_does_not_count(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("snapshot", "save", "s").code == 0
    (name,) = snapshots(server, dbname)
    server.execute(f'ALTER DATABASE "{name}" OWNER TO postgres')
    assert listed(shop) == []
    assert "there is no snapshot" in error(shop.here("snapshot", "restore", "s", "-f"))


def test_the_guard(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("snapshot", "save", "s").code == 0
    shop.write({"flask_postgres.toml": 'cli_disallowed_envs = ["production"]\nenv = "production"'})
    for command in (["save"], ["restore", "-f"], ["drop", "s", "-f"]):
        assert "production" in error(shop.here("snapshot", *command))
    assert [each["name"] for each in listed(shop)] == ["s"]
    assert len(snapshots(server, dbname)) == 1
