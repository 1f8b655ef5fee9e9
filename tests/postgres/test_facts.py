"""Facts: one query tells what a real server and its databases are like."""

from __future__ import annotations

import pytest

from flask_postgres import PostgresUri
from flask_postgres.postgres import catalogue
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.facts import Database, Facts, Grant, Parameter
from flask_postgres.postgres.marks import Mark, State

from ..cli.looking import mark
from ..servers import Server


def read(uri: PostgresUri, *, token: str = "0badcafe", **asked: object) -> Facts:
    with Connector(uri=uri, token=token).admin() as session:
        return catalogue.read(session, uri.dbname, **asked)  # type: ignore[arg-type]


def target(found: Facts) -> Database:
    assert found.target is not None
    return found.target


def test_nothing_there(server: Server, dbname: str, driver: str) -> None:
    found = read(server.uri(dbname, driver))
    assert found.target is None
    assert found.relatives == ()
    assert (found.role.name, found.role.superuser, found.role.createdb) == ("app_dev", False, True)
    assert (found.admin_dbname, found.standby, found.assumed) == ("postgres", False, None)
    assert found.template is not None
    assert found.template.name == "template1"
    assert found.can.swap
    assert found.can.version >= 130000


def test_a_database(server: Server, database: PostgresUri, dbname: str, driver: str, plain_role: str) -> None:
    for statement in (
        f"ALTER DATABASE {dbname} SET work_mem = '5MB'",
        f"ALTER DATABASE {dbname} SET log_statement = 'all'",
        f"ALTER DATABASE {dbname} SET my.own = 'a=b'",
        f"ALTER ROLE {plain_role} IN DATABASE {dbname} SET work_mem = '6MB'",
        f"ALTER DATABASE {dbname} CONNECTION LIMIT 9",
        f"REVOKE ALL ON DATABASE {dbname} FROM PUBLIC",
        f"GRANT CREATE ON DATABASE {dbname} TO {plain_role} WITH GRANT OPTION",
    ):
        server.execute(statement)
    found = read(database.with_driver(driver))
    it = target(found)
    assert (it.name, it.owner, it.owned, it.connection_limit) == (dbname, "app_dev", True, 9)
    assert set(it.parameters) == {
        Parameter("work_mem", "5MB"),
        Parameter("log_statement", "all"),
        Parameter("my.own", "a=b"),
        Parameter("work_mem", "6MB", plain_role),
    }
    assert it.grants is not None
    assert Grant("CREATE", plain_role, True) in it.grants
    assert all(grant.grantee is not None for grant in it.grants)
    assert set(found.superuser_only) >= {"log_statement", "my.own"}
    assert "work_mem" not in found.superuser_only
    assert it.size is not None
    assert it.size > 1_000_000


def test_default_privileges_are_not_privileges(database: PostgresUri) -> None:
    assert target(read(database)).grants is None


def test_marks_and_relatives(server: Server, database: PostgresUri, dbname: str) -> None:
    names = (f"{dbname}~old~11111111", f"{dbname}~new~22222222", f"{dbname}x~new~33333333")
    for name in names:
        server.execute(f'CREATE DATABASE "{name}" OWNER app_dev')
    mark(server, names[0], State.ASIDE, of=dbname, token="11111111")
    mark(server, names[1], State.UNFINISHED, of=dbname, token="22222222")
    server.execute(f"COMMENT ON DATABASE {dbname} IS '{Mark(State.PROTECTED).under(None)}'")
    found = read(database)
    assert target(found).state is State.PROTECTED
    assert {item.name for item in found.relatives} == set(names[:2])
    assert found.aside is not None
    assert found.aside.name == names[0]
    assert [item.name for item in found.unmade] == [names[1]]
    # its maker lives: another command's session bears its token
    with Connector(uri=database, token="22222222").admin():
        assert read(database).unmade == ()


def test_sessions(server: Server, database: PostgresUri, dbname: str, driver: str) -> None:
    with server.connect(dbname, application_name="psql elsewhere"):
        (other,) = target(read(database.with_driver(driver))).sessions
        assert (other.application, other.user, other.endable, other.citus) == (
            "psql elsewhere",
            "postgres",
            False,
            False,
        )
    with Connector(uri=database, token="0badcafe").target():
        assert target(read(database)).sessions == (), "our own never count"


def test_another_owner(server: Server, database: PostgresUri, dbname: str, plain_role: str) -> None:
    server.execute(f"ALTER DATABASE {dbname} OWNER TO {plain_role}")
    it = target(read(database))
    assert (it.owner, it.owned) == (plain_role, False)
    found = read(server.superuser_uri(dbname))
    assert target(found).owned
    assert (found.role.superuser, found.role.createdb) == (True, True)


def test_createdb_is_not_inherited(server: Server, dbname: str, plain_role: str) -> None:
    server.execute(f"GRANT app_dev TO {plain_role}")
    try:
        assert read(server.uri(dbname, user=plain_role)).role.createdb is False
    finally:
        server.execute(f"REVOKE app_dev FROM {plain_role}")


@pytest.mark.parametrize("name", ['no "such', "a%b", "it's"])
def test_what_settings_name(server: Server, dbname: str, driver: str, name: str) -> None:
    found = read(
        server.uri(dbname, driver),
        template=name,
        roles=(name, "postgres", "app_dev"),
        tablespaces=(name, "pg_default"),
        extensions=(name, "citext"),
    )
    assert found.template is None
    assert found.template_name == name
    assert found.missing_roles == found.missing_tablespaces == found.missing_extensions == (name,)
    assert found.unusable_roles == ("postgres",)
    assert "citext" in found.available_extensions


def test_extensions_are_asked_for_only_when_named(server: Server, dbname: str) -> None:
    assert read(server.uri(dbname)).available_extensions == ()


def test_an_invalid_database(server: Server, database: PostgresUri, dbname: str) -> None:
    server.execute(f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{dbname}'")
    try:
        it = target(read(database))
        assert it.invalid
        assert it.size is None
    finally:
        server.execute(f"UPDATE pg_database SET datconnlimit = -1 WHERE datname = '{dbname}'")


def test_only_relatives_are_read_and_only_the_end_of_their_comments(server: Server, dbname: str) -> None:
    """A comment of 90 MB on a database of any role made every command take a minute."""
    name = f"{dbname}_x%"
    for each in (name, f"{name}~old~11111111", f"{dbname}yx%~old~22222222"):
        server.execute(f'CREATE DATABASE "{each}" OWNER app_dev')
    long = "x" * 100_000
    server.execute(
        f"COMMENT ON DATABASE \"{name}~old~11111111\" IS '{long}\n[flask-postgres:protected {{}}]'"
    )
    found = read(server.uri(name))
    assert {item.name for item in (*found.relatives, *found.foreign)} == {f"{name}~old~11111111"}
    (relative,) = found.relatives
    assert relative.state is State.PROTECTED
    assert len(relative.comment or "") < 10_000
