"""No function and no operator that somebody else has made is called by our sessions (CVE-2018-1058)."""

from __future__ import annotations

import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.postgres import catalogue, contents, status
from flask_postgres.postgres.admin import Connector

from ..project import Project
from ..servers import SUPERUSER, Server

EVIL = """
    CREATE SCHEMA evil;
    CREATE FUNCTION evil.seize() RETURNS boolean LANGUAGE plpgsql AS
      $$ BEGIN ALTER ROLE app_dev SUPERUSER; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$;
    CREATE FUNCTION evil.same(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.seize()';
    CREATE FUNCTION evil.same(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT evil.seize()';
    CREATE FUNCTION evil.same(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT evil.seize()';
    CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.same);
    CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.same);
    CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.same);
    CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.seize()';
    CREATE FUNCTION evil.same(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT evil.seize()';
    CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.same);
    CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.same);
    CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql
      AS 'SELECT evil.seize()::text';
    CREATE FUNCTION evil.version() RETURNS text LANGUAGE sql AS 'SELECT evil.seize()::text';
"""


@pytest.fixture
def trapped(server: Server, database: PostgresUri, dbname: str) -> PostgresUri:
    """Return the superuser's URI of a database whose owner has laid traps in it."""
    import psycopg

    with psycopg.connect(database.render(hide_password=False), autocommit=True) as owner:
        owner.execute(EVIL)
        owner.execute(f'ALTER DATABASE "{dbname}" SET search_path = evil, pg_catalog')
    return server.superuser_uri(dbname)


def superuser(server: Server) -> bool:
    return bool(server.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'app_dev'")[0][0])


def test_the_trap_works(server: Server, trapped: PostgresUri, dbname: str) -> None:
    """Otherwise the tests below could not fail."""
    try:
        with server.connect(dbname) as careless:
            careless.execute("SELECT count(*) FROM pg_class c, pg_namespace n WHERE n.oid = c.relnamespace")
        assert superuser(server)
    finally:
        server.execute("ALTER ROLE app_dev NOSUPERUSER")
    assert trapped.user == SUPERUSER


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_no_trap_of_the_owner_catches_a_superuser(server: Server, trapped: PostgresUri, driver: str) -> None:
    connector = Connector(uri=trapped.with_driver(driver), admin_dbname=trapped.dbname)
    try:
        status.look(connector)
        with connector.target() as session:
            assert session.value("SHOW search_path") == ""
            catalogue.read(session, trapped.dbname)
            contents.holds_rows(session)
        assert not superuser(server)
    finally:
        server.execute("ALTER ROLE app_dev NOSUPERUSER")


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_no_trap_catches_a_session_whose_options_a_pooler_has_dropped(
    server: Server, trapped: PostgresUri, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PgBouncer does with ``ignore_startup_parameters = options``."""

    def dropped(self: Connector, uri: PostgresUri, *, emptied: bool) -> dict[str, t.Any]:
        arguments = as_sent(self, uri, emptied=emptied)
        return {key: value for key, value in arguments.items() if key != "options"}

    as_sent = Connector._connect_args
    monkeypatch.setattr(Connector, "_connect_args", dropped)
    connector = Connector(uri=trapped.with_driver(driver), admin_dbname=trapped.dbname)
    try:
        status.look(connector)
        with connector.target() as session:
            contents.holds_rows(session)
        assert not superuser(server)
    finally:
        server.execute("ALTER ROLE app_dev NOSUPERUSER")


def test_no_command_of_a_superuser_is_caught(server: Server, trapped: PostgresUri, project: Project) -> None:
    project.app(trapped)
    try:
        for command in ("status", "protect", "unprotect -f", "recover", "reset -f -n", "drop -f"):
            name, *flags = command.split()
            admin = ["--admin-dbname", trapped.dbname] if name == "status" else []
            result = project.here(name, *flags, *admin)
            assert result.code == 0, str(result)
            assert not superuser(server), command
    finally:
        server.execute("ALTER ROLE app_dev NOSUPERUSER")


@pytest.mark.parametrize("options", ["-cwork_mem=5MB", "-csearch_path=evil -cwork_mem=5MB"])
def test_options_of_the_uri_still_count(database: PostgresUri, options: str) -> None:
    with Connector(uri=PostgresUri(database.url.update_query_dict({"options": options}))).admin() as session:
        assert session.value("SHOW work_mem") == "5MB"
        assert session.value("SHOW search_path") == ""
