"""``admin_uri``: the server's administrator, where the app's own role cannot, or does not exist yet."""

from __future__ import annotations

import typing as t

import psycopg
import pytest

from ..project import Project
from ..servers import PASSWORD, Server, server_folder
from .looking import error, full, oid, pets, said
from .test_loading import CONNECTS


@pytest.fixture(params=["superuser", "like a managed host's"])
def administrator(server: Server, request: pytest.FixtureRequest) -> t.Iterator[str]:
    """Return the URI of a role that may make databases and roles."""
    if request.param == "superuser":
        yield full(server.superuser_uri("postgres"))
        return
    server.execute(f"CREATE ROLE manager LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORD}'")
    yield full(server.uri("postgres", user="manager"))
    server.execute("DROP OWNED BY manager")
    server.execute("DROP ROLE manager")


@pytest.fixture
def shop(server: Server, dbname: str) -> t.Iterator[str]:
    """Return the name of a role that does not exist."""
    name = f"of_{dbname}"
    yield name
    for each in server.names():
        if dbname in each:
            server.execute(f'DROP DATABASE "{each}" WITH (FORCE)')
    server.execute(f"DROP ROLE IF EXISTS {name}")


def roles(server: Server, name: str) -> list[t.Any]:
    return server.execute(
        "SELECT rolcanlogin, rolcreatedb, rolcreaterole, rolsuper FROM pg_roles WHERE rolname = %s", name
    )


def members(server: Server, name: str) -> list[t.Any]:
    """Return who has the rights of a role; on 16 and later its creator may give them, and has them not."""
    version = server.execute("SELECT current_setting('server_version_num')::int")[0][0]
    having = "AND (m.inherit_option OR m.set_option)" if version >= 160000 else ""
    return server.execute(
        "SELECT m.member::regrole::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid "
        f"WHERE r.rolname = %s {having}",
        name,
    )


def test_the_whole_life(
    project: Project, server: Server, dbname: str, driver: str, administrator: str, shop: str
) -> None:
    project.app(server.uri(dbname, driver, user=shop))
    env = {"FLASK_POSTGRES_ADMIN_URI": administrator}
    shown = project.psql("setup", "--dry-run", env=env)
    assert f"CREATE ROLE \"{shop}\" LOGIN PASSWORD '***';" in shown.out
    result = project.psql("setup", "--extension", "citext", env=env)
    assert said(result) == [
        f'the role "{shop}" was created',
        f'database "{dbname}" was created',
        f'database "{dbname}" was initialized',
    ]
    assert roles(server, shop) == [(True, False, False, False)]
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    assert server.execute(owner, dbname) == [(shop,)]
    assert server.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'pet'", dbname=dbname) == [
        (shop,)
    ]
    assert members(server, shop) == []
    with psycopg.connect(full(server.uri(dbname, user=shop))) as session:
        assert session.execute("SELECT name FROM pet").fetchone() == ("Fido",)
    before = oid(server, dbname)
    assert project.psql("reset", "-f", env=env).code == 0
    assert oid(server, dbname) != before
    assert server.execute(owner, dbname) == [(shop,)]
    assert pets(server, dbname) == ["Fido"]
    assert members(server, shop) == []
    assert project.psql("status", "--exit-code", env=env).code == 0
    assert project.psql("drop", "-f", env=env).code == 0
    assert oid(server, dbname) is None
    assert members(server, shop) == []
    assert roles(server, shop) != []


def test_a_failed_setup_leaves_no_role(
    project: Project, server: Server, dbname: str, administrator: str, shop: str
) -> None:
    project.app(server.uri(dbname, user=shop), callback="raise RuntimeError('no seeds')")
    assert error(project.psql("setup", "--admin-uri", administrator))
    assert roles(server, shop) == []
    assert oid(server, dbname) is None


def test_a_password_that_does_not_fit(
    project: Project, server: Server, dbname: str, administrator: str, shop: str
) -> None:
    """An existing role's password is not touched, and nothing is begun."""
    server.execute(f"CREATE ROLE {shop} LOGIN PASSWORD 'another'")
    verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = %s"
    before = server.execute(verifier, shop)
    project.app(server.uri(dbname, user=shop))
    result = project.psql("setup", "--admin-uri", administrator)
    assert result.code == 1
    assert f'refuses the user "{shop}": wrong password' in result.err
    assert server.execute(verifier, shop) == before
    assert oid(server, dbname) is None


@pytest.mark.long
def test_another_server(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    with server_folder("fp-") as folder:
        other = Server(folder)
        other.initdb()
        other.start()
        try:
            other.make_role()
            message = error(project.psql("setup", "--admin-uri", full(other.superuser_uri("postgres"))))
        finally:
            other.stop("immediate")
    assert "admin_uri leads to another server" in message
    assert oid(server, dbname) is None


def test_a_role_that_may_not_make_roles(project: Project, server: Server, dbname: str, shop: str) -> None:
    project.app(server.uri(dbname, user=shop))
    message = error(project.psql("setup", "--admin-uri", full(server.uri("postgres"))))
    assert f'the role "{shop}" does not exist, and "app_dev" may not create roles' in message


def test_its_password_is_a_secret(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    shown = project.psql("config", "--admin-uri", full(server.superuser_uri("postgres")))
    assert "admin_uri" in shown.out
    assert f"postgresql://postgres:***@{server.host}:{server.port}/postgres" in shown.out


def test_an_app_that_connects_while_it_is_imported(
    project: Project, server: Server, dbname: str, administrator: str, shop: str
) -> None:
    """It is lent a database and a role for that, neither of which is what it gets."""
    project.write({"app.py": CONNECTS.format(uri=full(server.uri(dbname, user=shop)))})
    result = project.psql("setup", "--admin-uri", administrator)
    assert result.code == 0, str(result)
    assert "it was lent an empty one" in result.err
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    assert server.execute(owner, dbname) == [(shop,)]
    assert members(server, shop) == []


@pytest.mark.long
def test_a_role_that_is_let_into_its_own_database_alone(project: Project, dbname: str) -> None:
    """A pg_hba.conf that lists databases says nothing of the role's password."""
    with server_folder("fp-") as folder:
        own = Server(folder)
        own.initdb()
        rules = own.data_dir / "pg_hba.conf"
        rules.write_text(
            f"host {dbname} shop 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n"
        )
        own.start()
        try:
            project.app(own.uri(dbname, user="shop"))
            for words in (["setup"], ["reset", "-f"], ["drop", "-f"]):
                result = project.psql(*words, "--admin-uri", full(own.superuser_uri("postgres")))
                assert result.code == 0, str(result)
        finally:
            own.stop("immediate")
