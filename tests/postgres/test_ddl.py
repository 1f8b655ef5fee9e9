"""Statements: each identifier is compiled, and what is shown is what is sent."""

from __future__ import annotations

import typing as t

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.schema import ExecutableDDLElement

from flask_postgres import DatabaseMissing
from flask_postgres.postgres import ddl
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.ddl import sql_text
from flask_postgres.postgres.session import Session

from ..servers import Server

CLAUSES = {
    "database_template": 'tem"plate',
    "owner": "own er",
    "encoding": "UTF'8",
    "locale": "C",
    "lc_collate": "de_DE",
    "lc_ctype": "de_DE",
    "locale_provider": "ICU",
    "icu_locale": "de-DE",
    "tablespace": "fast;disk",
    "connection_limit": 5,
}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (ddl.CreateDatabase("shop"), 'CREATE DATABASE "shop"'),
        (ddl.CreateDatabase('My"Shop%'), 'CREATE DATABASE "My""Shop%"'),
        (ddl.DropDatabase("a b"), 'DROP DATABASE "a b"'),
        (ddl.DropDatabase("x", force=True, if_exists=True), 'DROP DATABASE IF EXISTS "x" WITH (FORCE)'),
        (ddl.RenameDatabase("a", "b"), 'ALTER DATABASE "a" RENAME TO "b"'),
        (ddl.AllowConnections("a", False), 'ALTER DATABASE "a" WITH ALLOW_CONNECTIONS false'),
        (ddl.ConnectionLimit("a", 3), 'ALTER DATABASE "a" WITH CONNECTION LIMIT 3'),
        (ddl.CommentOnDatabase("a", "it's 100%"), "COMMENT ON DATABASE \"a\" IS 'it''s 100%'"),
        (ddl.CommentOnDatabase("a", None), 'COMMENT ON DATABASE "a" IS NULL'),
        (ddl.SetInDatabase("a", "work_mem", "5MB"), 'ALTER DATABASE "a" SET "work_mem" TO \'5MB\''),
        (ddl.SetInDatabase("a", "my.own", "x"), 'ALTER DATABASE "a" SET "my"."own" TO \'x\''),
        (
            ddl.SetInDatabase("a", "search_path", '"$user", public, "a,b", "c""d"'),
            """ALTER DATABASE "a" SET "search_path" TO '$user', 'public', 'a,b', 'c"d'""",
        ),
        (ddl.SetInDatabase("a", "search_path", ""), 'ALTER DATABASE "a" SET "search_path" TO \'\''),
        (
            ddl.SetInDatabase("a", "x", "1", role="r"),
            'ALTER ROLE "r" IN DATABASE "a" SET "x" TO \'1\'',
        ),
        (ddl.CreateSchema("app"), 'CREATE SCHEMA IF NOT EXISTS "app"'),
        (ddl.CreateSchema("app", new=True), 'CREATE SCHEMA "app"'),
        (ddl.CreateSchema("a", "Me"), 'CREATE SCHEMA IF NOT EXISTS "a" AUTHORIZATION "Me"'),
        (ddl.RenameSchema("a", "b"), 'ALTER SCHEMA "a" RENAME TO "b"'),
        (ddl.CommentOnSchema("a", "it's 100%"), "COMMENT ON SCHEMA \"a\" IS 'it''s 100%'"),
        (ddl.CommentOnSchema("a", None), 'COMMENT ON SCHEMA "a" IS NULL'),
        (ddl.DropSchema("a"), 'DROP SCHEMA "a"'),
        (ddl.DropSchema("a", cascade=True), 'DROP SCHEMA "a" CASCADE'),
        (ddl.SetSchema("table", 'public."100%"', "a"), 'ALTER TABLE public."100%" SET SCHEMA "a"'),
        (ddl.SetSchema("statistics object", "a.b", "c"), 'ALTER STATISTICS a.b SET SCHEMA "c"'),
        (ddl.DropObjects("view", ("a.b", "a.c")), "DROP VIEW IF EXISTS a.b, a.c CASCADE"),
        (ddl.DropExtension("citext"), 'DROP EXTENSION IF EXISTS "citext" CASCADE'),
        (ddl.CreateRole("a", "S$x"), "CREATE ROLE \"a\" LOGIN PASSWORD 'S$x'"),
        (ddl.CreateRole("a", None), 'CREATE ROLE "a" LOGIN PASSWORD NULL'),
        (ddl.DropRole("a"), 'DROP ROLE "a"'),
        (ddl.GrantRole("a", True), 'GRANT "a" TO CURRENT_USER WITH INHERIT TRUE, SET TRUE'),
        (ddl.GrantRole("a", False), 'GRANT "a" TO CURRENT_USER'),
        (ddl.RevokeRole("a"), 'REVOKE "a" FROM CURRENT_USER'),
        (ddl.RollbackPrepared("it's"), "ROLLBACK PREPARED 'it''s'"),
        (ddl.GrantOnDatabase("a", "CONNECT", None), 'GRANT CONNECT ON DATABASE "a" TO PUBLIC'),
        (
            ddl.GrantOnDatabase("a", "CREATE", "r", grantable=True),
            'GRANT CREATE ON DATABASE "a" TO "r" WITH GRANT OPTION',
        ),
        (ddl.RevokeOnDatabase("a", None), 'REVOKE ALL ON DATABASE "a" FROM PUBLIC'),
        (ddl.CreateExtension("uuid-ossp"), 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp" CASCADE'),
    ],
)
def test_text(statement: ExecutableDDLElement, expected: str) -> None:
    assert sql_text(statement) == expected


def test_every_clause() -> None:
    assert CLAUSES.keys() == ddl.CLAUSES.keys()
    assert sql_text(ddl.CreateDatabase("x", CLAUSES)) == (
        'CREATE DATABASE "x" TEMPLATE = "tem""plate" OWNER = "own er" ENCODING = \'UTF\'\'8\' LOCALE = \'C\''
        " LC_COLLATE = 'de_DE' LC_CTYPE = 'de_DE' LOCALE_PROVIDER = \"icu\" ICU_LOCALE = 'de-DE'"
        ' TABLESPACE = "fast;disk" CONNECTION LIMIT = 5'
    )


def test_an_unknown_privilege_is_not_pasted() -> None:
    with pytest.raises((KeyError, sa.exc.CompileError)):
        sql_text(ddl.GrantOnDatabase("a", "ALL; DROP DATABASE x", None))


@pytest.fixture(scope="module")
def sessions(server: Server) -> t.Iterator[dict[str, Session]]:
    """Return a superuser's session by each driver."""
    by_driver = {name: Connector(uri=server.superuser_uri(driver=name)) for name in ("psycopg2", "psycopg")}
    with by_driver["psycopg2"].admin() as one, by_driver["psycopg"].admin() as other:
        yield {"psycopg2": one, "psycopg": other}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(comment=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_comment_arrives(sessions: dict[str, Session], driver: str, comment: str) -> None:
    """Percent signs, backslashes and quotes, whatever a driver makes of them."""
    admin = sessions[driver]
    admin.run(ddl.CommentOnDatabase("template0", comment), doing="comment")
    read = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'template0'"
    assert (admin.value(read) or "") == comment


PRESENT = ("postgres", "template0", "template1")
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: len(text.encode()) <= 63 and text not in PRESENT
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
def test_any_name_arrives(sessions: dict[str, Session], driver: str, name: str) -> None:
    """A server names in its answer the database that it did not find."""
    admin = sessions[driver]
    with pytest.raises(DatabaseMissing) as caught:
        admin.run(ddl.RenameDatabase(name, "never"), doing="rename")
    cause = caught.value.__cause__
    assert isinstance(cause, sa.exc.DBAPIError)
    said = cause.orig.diag.message_primary if cause.orig is not None else ""
    assert said == f'database "{name}" does not exist'


@pytest.mark.usefixtures("database")
def test_the_catalogues_lists_come_back(server: Server, dbname: str) -> None:
    """What pg_db_role_setting holds is read again as the same list."""
    path = '"$user", public, "a,b", "c""d", "Ü x"'
    server.execute(f"ALTER DATABASE {dbname} SET search_path = {path}")
    read = (
        "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase"
        " WHERE datname = %s"
    )
    ((before,),) = server.execute(read, dbname)
    value = before[0].partition("=")[2]
    server.execute(f"ALTER DATABASE {dbname} RESET ALL")
    with psycopg.connect(server.superuser_uri().render(hide_password=False), autocommit=True) as connection:
        connection.execute(sql_text(ddl.SetInDatabase(dbname, "search_path", value)))  # type: ignore[arg-type]
    assert server.execute(read, dbname) == [(before,)]
