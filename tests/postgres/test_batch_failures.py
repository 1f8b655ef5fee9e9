"""A failure names the statement and leaves nothing behind."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

from flask_postgres import PostgresUri
from flask_postgres.errors import FlaskPostgresError, PermissionDenied, ServerError
from flask_postgres.postgres.batch import create_tables

from ..project import Project
from ..servers import Server, server_folder
from .batch_cases.metadata import small


@pytest.fixture(params=["psycopg2", "psycopg"])
def engine(request: pytest.FixtureRequest, database: PostgresUri) -> t.Iterator[sa.Engine]:
    engine = sa.create_engine(database.with_driver(request.param).url)
    yield engine
    engine.dispose()


class Unknown(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "geometry"


def _type(table: sa.Table) -> None:
    table.append_column(sa.Column("place", Unknown()))


def _default(table: sa.Table) -> None:
    table.append_column(sa.Column("bad", sa.Integer, server_default=sa.text("nonsense")))


def _index(table: sa.Table) -> None:
    sa.Index("bad_index", sa.text("nonsense(name)"), _table=table)


def _check(table: sa.Table) -> None:
    table.append_constraint(sa.CheckConstraint("nonsense > 5 % 2"))


def _schema(table: sa.Table) -> None:
    sa.Table("elsewhere", table.metadata, sa.Column("id", sa.Integer), schema="nowhere")


def _statement(table: sa.Table) -> None:
    sa.event.listen(table, "after_create", sa.DDL("ALTER TABLE %(table)s\n  NONSENSE '5%%'"))


def _in_metadata(table: sa.Table) -> None:
    sa.event.listen(table.metadata, "after_create", sa.DDL("SELECT nonsense()"))


def _unfinished(table: sa.Table) -> None:
    sa.event.listen(table, "after_create", sa.DDL("COMMENT ON TABLE item_2 IS 'no end"))


FAILURES = [
    (_type, "42704", r'could not create table "item_2": type "geometry" does not exist'),
    (_default, "0A000", r'could not create table "item_2": cannot use column reference'),
    (_check, "42703", r'could not create table "item_2": column "nonsense" does not exist'),
    (
        _index,
        "42883",
        r'could not run CREATE INDEX bad_index ON item_2 .* for table "item_2": function nonsense',
    ),
    (_schema, "3F000", r'could not create table "nowhere.elsewhere": schema "nowhere" does not exist'),
    (
        _statement,
        "42601",
        r"could not run ALTER TABLE item_2 NONSENSE '5%' for table \"item_2\": syntax error",
    ),
    (_in_metadata, "42883", r"could not run SELECT nonsense\(\): function nonsense"),
    (
        _unfinished,
        "42601",
        r"could not run COMMENT ON TABLE item_2 IS 'no end for table \"item_2\": untermin",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "sqlstate", "message"), FAILURES, ids=lambda value: getattr(value, "__name__", "")
)
def test_names_the_statement(engine: sa.Engine, spoil: t.Any, sqlstate: str, message: str) -> None:
    metadata = small(5)
    spoil(metadata.tables["item_2"])
    with pytest.raises(FlaskPostgresError, match=message) as caught:
        create_tables(engine, metadata)
    assert getattr(caught.value, "sqlstate", None) == sqlstate
    assert isinstance(caught.value.__cause__, sa.exc.DBAPIError)
    assert "\n" not in str(caught.value)
    assert sa.inspect(engine).get_table_names() == []


def test_leaves_nothing_behind_in_autocommit(engine: sa.Engine) -> None:
    metadata = small(5)
    _type(metadata.tables["item_2"])
    with pytest.raises(ServerError, match="geometry"):
        create_tables(engine.execution_options(isolation_level="AUTOCOMMIT"), metadata)
    assert sa.inspect(engine).get_table_names() == []


def test_leaves_the_callers_transaction_as_it_was(engine: sa.Engine) -> None:
    metadata = small(5)
    _type(metadata.tables["item_2"])
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE before ()"))
        with pytest.raises(ServerError, match="geometry"):
            create_tables(connection, metadata)
        connection.execute(sa.text("CREATE TABLE after ()"))
    assert sorted(sa.inspect(engine).get_table_names()) == ["after", "before"]


def test_the_connection_stays_usable(engine: sa.Engine) -> None:
    metadata = small(5)
    _type(metadata.tables["item_2"])
    for _ in range(3):
        with pytest.raises(ServerError, match="geometry"):
            create_tables(engine, metadata)
    create_tables(engine, small(5))
    assert len(sa.inspect(engine).get_table_names()) == 5


def test_permission(server: Server, database: PostgresUri, engine: sa.Engine) -> None:
    server.execute("CREATE SCHEMA closed", dbname=database.dbname)
    metadata = sa.MetaData(schema="closed")
    sa.Table("secret", metadata, sa.Column("id", sa.Integer))
    with pytest.raises(PermissionDenied, match=r'could not create table "closed.secret"') as caught:
        create_tables(engine, metadata)
    assert caught.value.sqlstate == "42501"


def test_session_that_is_ended(engine: sa.Engine) -> None:
    metadata = small(2)
    end = sa.DDL("SELECT pg_terminate_backend(pg_backend_pid())")
    sa.event.listen(metadata.tables["item_1"], "before_create", end)
    with pytest.raises(FlaskPostgresError, match="could not create the tables"):
        create_tables(engine, metadata)
    assert sa.inspect(engine).get_table_names() == []


@pytest.mark.parametrize("broken", ["cycle", "compile"])
def test_a_models_mistake_is_sqlalchemys_to_tell(engine: sa.Engine, broken: str) -> None:
    metadata = small(1)
    if broken == "compile":
        metadata.tables["item_0"].append_column(sa.Column("nothing", sa.types.NullType()))
        expected: type[Exception] = sa.exc.CompileError
    else:
        metadata.tables["item_0"].append_column(sa.Column("lost", sa.ForeignKey("missing.id")))
        expected = sa.exc.NoReferencedTableError
    with pytest.raises(expected):
        create_tables(engine, metadata)


LOCKED_OUT = 400


@pytest.fixture(scope="module")
def small_server() -> t.Iterator[Server]:
    """Return a server of its own, with a small lock table."""
    with server_folder("fp-locks-") as folder:
        server = Server(folder)
        server.initdb()
        server.start(max_locks_per_transaction="10", max_connections="10", max_worker_processes="1")
        try:
            server.make_role()
            yield server
        finally:
            server.stop("immediate")


@pytest.fixture(params=["psycopg2", "psycopg"])
def small_engine(request: pytest.FixtureRequest, small_server: Server) -> t.Iterator[sa.Engine]:
    small_server.execute("DROP DATABASE IF EXISTS big WITH (FORCE)")
    small_server.execute("CREATE DATABASE big OWNER app_dev")
    engine = sa.create_engine(small_server.uri("big", driver=request.param).url)
    yield engine
    engine.dispose()


@pytest.mark.long
def test_more_than_the_lock_table_holds(small_engine: sa.Engine) -> None:
    message = r"400 tables in one transaction.*max_locks_per_transaction"
    with pytest.raises(ServerError, match=message) as caught:
        create_tables(small_engine, small(LOCKED_OUT))
    assert caught.value.sqlstate == "53200"
    assert sa.inspect(small_engine).get_table_names() == []


@pytest.mark.long
def test_more_than_the_lock_table_holds_is_split_when_allowed(small_engine: sa.Engine) -> None:
    report = create_tables(small_engine, small(LOCKED_OUT), split=True)
    assert report.fallback is None
    assert report.transactions > 1
    assert len(sa.inspect(small_engine).get_table_names()) == LOCKED_OUT
    assert create_tables(small_engine, small(LOCKED_OUT)).statements == 0


@pytest.mark.long
def test_a_callers_transaction_is_never_split(small_engine: sa.Engine) -> None:
    with small_engine.begin() as connection, pytest.raises(ServerError, match="max_locks_per_transaction"):
        create_tables(connection, small(LOCKED_OUT), split=True)
    assert sa.inspect(small_engine).get_table_names() == []


MANY = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)
    for number in range({count}):
        db.Table(f"t{{number}}", db.Column("id", db.Integer, primary_key=True))
"""


@pytest.mark.long
def test_setup_makes_more_tables_than_the_lock_table_holds(project: Project, small_server: Server) -> None:
    """A new database is dropped as a whole when it fails, so it need not be one transaction."""
    small_server.execute("DROP DATABASE IF EXISTS big WITH (FORCE)")
    uri = small_server.uri("big").render(hide_password=False)
    project.write({"app.py": MANY.format(uri=uri, count=LOCKED_OUT)})
    result = project.psql("setup")
    assert result.code == 0, str(result)
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert small_server.execute(count, dbname="big") == [(LOCKED_OUT,)]
    assert project.psql("drop", "-f").code == 0
