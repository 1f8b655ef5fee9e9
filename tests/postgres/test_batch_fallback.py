"""What cannot be batched is done by SQLAlchemy's own ``create_all``."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from flask_postgres import PostgresUri
from flask_postgres.errors import FlaskPostgresError
from flask_postgres.postgres.batch import create_tables

from .batch_cases.metadata import small


@pytest.fixture(params=["psycopg2", "psycopg"])
def engine(request: pytest.FixtureRequest, database: PostgresUri) -> t.Iterator[sa.Engine]:
    engine = sa.create_engine(database.with_driver(request.param).url)
    yield engine
    engine.dispose()


def _tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def _metadata(_: sa.MetaData) -> t.Any:
    return _


def _table(metadata: sa.MetaData) -> t.Any:
    return metadata.tables["item_0"]


def _index(metadata: sa.MetaData) -> t.Any:
    return next(iter(metadata.tables["item_0"].indexes))


def _sequence(metadata: sa.MetaData) -> t.Any:
    return sa.Sequence("numbers", metadata=metadata)


def _enum(metadata: sa.MetaData) -> t.Any:
    enum = pg.ENUM("a", "b", name="kind", metadata=metadata)
    metadata.tables["item_0"].append_column(sa.Column("kind", enum))
    return enum


def _generic_enum(metadata: sa.MetaData) -> t.Any:
    enum = sa.Enum("a", "b", name="kind")
    metadata.tables["item_0"].append_column(sa.Column("kind", enum))
    return enum


TARGETS = (_metadata, _table, _index, _sequence, _enum, _generic_enum)


@pytest.mark.parametrize("event", ["before_create", "after_create"])
@pytest.mark.parametrize("target", TARGETS)
def test_listener_gets_a_connection(engine: sa.Engine, target: t.Callable[..., t.Any], event: str) -> None:
    metadata = small(1)
    answers = []

    def listener(_: object, connection: sa.Connection, **__: object) -> None:
        answers.append(connection.scalar(sa.text("SELECT 6 * 7")))

    sa.event.listen(target(metadata), event, listener)
    report = create_tables(engine, metadata)
    assert answers == [42]
    assert "listener" in (report.fallback or "")
    assert event in (report.fallback or "")
    assert _tables(engine) == {"item_0"}


@pytest.mark.parametrize("option", ["once", "named"])
def test_listener_in_sqlalchemys_wrapping(engine: sa.Engine, option: str) -> None:
    metadata = small(1)

    def listener(*given: t.Any, **named: t.Any) -> None:
        connection: sa.Connection = named["connection"] if option == "named" else given[1]
        connection.execute(sa.text("CREATE TABLE extra ()"))

    sa.event.listen(metadata, "before_create", listener, **{option: True})
    assert "before_create" in (create_tables(engine, metadata).fallback or "")
    assert _tables(engine) == {"item_0", "extra"}


def test_listener_of_a_class(engine: sa.Engine) -> None:
    seen = []

    def listener(target: sa.Table, _: object, **__: object) -> None:
        seen.append(target.name)

    sa.event.listen(sa.Table, "after_create", listener)
    try:
        assert create_tables(engine, small(2)).fallback is not None
    finally:
        sa.event.remove(sa.Table, "after_create", listener)
    assert seen == ["item_0", "item_1"]


def test_listener_that_never_fires_is_not_called(engine: sa.Engine) -> None:
    """A table that is there already fires no event; the fallback knows that as well."""
    metadata = small(1)
    metadata.create_all(engine)
    called: list[object] = []
    sa.event.listen(metadata.tables["item_0"], "after_create", lambda *_, **__: called.append(1))
    create_tables(engine, metadata)
    assert called == []


def test_statement_with_code_of_its_own(engine: sa.Engine) -> None:
    class Twice(sa.DDL):
        inherit_cache = False

        def __call__(self, target: t.Any, bind: t.Any, **options: t.Any) -> None:
            for _ in range(2):
                super().__call__(target, bind, **options)

    metadata = small(1)
    sa.event.listen(
        metadata.tables["item_0"], "after_create", Twice("INSERT INTO item_0 (name) VALUES ('x')")
    )
    assert create_tables(engine, metadata).fallback is not None
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM item_0")) == 2


@pytest.mark.parametrize("swallow", [False, True])
def test_condition_that_asks_the_server(engine: sa.Engine, swallow: bool) -> None:
    def missing(_: object, __: object, bind: t.Any, **___: object) -> bool:
        try:
            return bind.scalar(sa.text("SELECT to_regclass('extra')")) is None
        except Exception:
            if swallow:
                return False
            raise

    metadata = small(1)
    extra = sa.DDL("CREATE TABLE extra ()").execute_if(callable_=missing)
    sa.event.listen(metadata, "before_create", extra)
    assert "scalar" in (create_tables(engine, metadata).fallback or "")
    assert "extra" in _tables(engine)


def test_condition_that_inspects(engine: sa.Engine) -> None:
    def missing(_: object, __: object, bind: t.Any, **___: object) -> bool:
        return not sa.inspect(bind).has_table("extra")

    metadata = small(1)
    sa.event.listen(metadata, "before_create", sa.DDL("CREATE TABLE extra ()").execute_if(callable_=missing))
    assert create_tables(engine, metadata).fallback is not None
    assert "extra" in _tables(engine)


def test_condition_that_knows_by_itself(engine: sa.Engine) -> None:
    seen: list[object] = []

    def condition(_: object, target: t.Any, bind: t.Any, state: object = None, **rest: t.Any) -> bool:
        seen.append((target.name, bind.dialect.name, bind.engine is engine, state, rest["dialect"].name))
        return bool(state)

    metadata = small(1)
    for state in (True, False):
        ddl = sa.DDL(f'CREATE TABLE "extra {state}" ()').execute_if(callable_=condition, state=state)
        sa.event.listen(metadata.tables["item_0"], "after_create", ddl)
    assert create_tables(engine, metadata).fallback is None
    assert _tables(engine) == {"item_0", "extra True"}
    assert seen == [("item_0", "postgresql", True, state, "postgresql") for state in (True, False)]


TYPE_FIRST = {
    "made by a statement": "CREATE TYPE kind AS ENUM ('a', 'b', 'c')",
    "dropped by a statement": "DROP TYPE IF EXISTS kind",
    "seen by another path": "SET LOCAL search_path TO other, public",
}


@pytest.mark.parametrize("statement", TYPE_FIRST.values(), ids=TYPE_FIRST)
def test_statement_that_changes_what_exists(engine: sa.Engine, statement: str) -> None:
    """SQLAlchemy asks for a type after such a statement, and the batch before it."""
    metadata = small(1)
    sa.event.listen(metadata, "before_create", sa.DDL(statement))
    metadata.tables["item_0"].append_column(sa.Column("kind", sa.Enum("a", "b", name="kind")))
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("other"))
        if "DROP" in statement:
            connection.exec_driver_sql("CREATE TYPE kind AS ENUM ('old')")
    assert create_tables(engine, metadata).fallback is not None
    with engine.connect() as connection:
        home, labels = connection.execute(
            sa.text(
                "SELECT typnamespace::regnamespace::text, array_length(enum_range(NULL::%s), 1)"
                " FROM pg_type WHERE typname = 'kind'" % ("other.kind" if "other" in statement else "kind")
            )
        ).one()
    assert home == ("other" if "other" in statement else "public")
    assert labels == (3 if "CREATE" in statement else 2)


GONE_MEANWHILE = {
    "a type is dropped": "DROP TYPE kind",
    "a type is renamed": "ALTER TYPE kind RENAME TO old_kind",
    "a type is moved": "ALTER TYPE kind SET SCHEMA other",
    "a sequence is dropped": "DROP SEQUENCE numbers",
}


@pytest.mark.parametrize("statement", GONE_MEANWHILE.values(), ids=GONE_MEANWHILE)
def test_statement_that_takes_away_what_no_table_needs(engine: sa.Engine, statement: str) -> None:
    """Nothing would fail in the batch, but SQLAlchemy asks after such a statement and makes them anew."""
    metadata = small(1)
    sa.event.listen(metadata, "before_create", sa.DDL(statement))
    sa.Enum("a", "b", name="kind", metadata=metadata)
    metadata.tables["item_0"].append_column(sa.Column("number", sa.Integer, sa.Sequence("numbers")))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA other; CREATE SEQUENCE numbers START 9")
        connection.exec_driver_sql("CREATE TYPE kind AS ENUM ('old')")
    create_tables(engine, metadata)
    with engine.connect() as connection:
        labels = connection.scalar(sa.text("SELECT enum_range(NULL::kind)::text"))
        first = connection.scalar(sa.text("SELECT nextval('numbers')"))
    assert (labels, first) == (("{old}", 1) if "SEQUENCE" in statement else ("{a,b}", 9))


def test_statement_that_ends_the_transaction(engine: sa.Engine) -> None:
    metadata = small(3)
    sa.event.listen(metadata.tables["item_1"], "after_create", sa.DDL("COMMIT; BEGIN"))
    create_tables(engine, metadata)
    assert _tables(engine) == {"item_0", "item_1", "item_2"}


def test_label_that_is_added_and_used_needs_an_engine_in_autocommit(engine: sa.Engine) -> None:
    metadata = small(1)
    kind = pg.ENUM("a", name="kind", create_type=False)
    metadata.tables["item_0"].append_column(sa.Column("kind", kind, server_default="b"))
    sa.event.listen(metadata, "before_create", sa.DDL("ALTER TYPE kind ADD VALUE 'b'"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TYPE kind AS ENUM ('a')")
    with pytest.raises(FlaskPostgresError, match="unsafe use of new value"):
        create_tables(engine, metadata)
    create_tables(engine.execution_options(isolation_level="AUTOCOMMIT"), metadata)
    assert _tables(engine) == {"item_0"}


def test_concurrently_needs_an_engine_in_autocommit(engine: sa.Engine) -> None:
    metadata = small(2)
    sa.Index("late", metadata.tables["item_1"].c.name, postgresql_concurrently=True)
    with pytest.raises(
        FlaskPostgresError, match=r'could not run CREATE INDEX CONCURRENTLY late.*"item_1"'
    ) as caught:
        create_tables(engine, metadata)
    assert getattr(caught.value, "sqlstate", None) == "25001"
    assert _tables(engine) == set()
    report = create_tables(engine.execution_options(isolation_level="AUTOCOMMIT"), metadata)
    assert report.fallback is not None
    assert {index["name"] for index in sa.inspect(engine).get_indexes("item_1")} >= {"late"}


def test_engine_whose_listener_replaces_statements(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "before_execute", retval=True)
    def replace(_: object, clause: t.Any, multiparams: t.Any, params: t.Any, __: object) -> t.Any:
        if isinstance(clause, sa.schema.CreateTable):
            clause = sa.DDL("CREATE TABLE replaced (id integer, name text)")
        return clause, multiparams, params

    metadata = small(1)
    metadata.tables["item_0"].indexes.clear()
    assert "before_execute" in (create_tables(engine, metadata).fallback or "")
    assert _tables(engine) == {"replaced"}


def test_engine_whose_listener_watches_cursors(engine: sa.Engine) -> None:
    """Such listeners are everywhere: Flask-SQLAlchemy's recorded queries, and every tracer."""
    seen: list[str] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def watch(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    assert create_tables(engine, small(2)).fallback is None
    assert sum(statement.count("CREATE TABLE") for statement in seen) == 2


def test_engine_whose_listener_executes_by_itself(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "do_execute")
    def unlogged(cursor: t.Any, statement: str, parameters: t.Any, _: object) -> bool:
        cursor.execute(statement.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1), parameters)
        return True

    metadata = small(2)
    assert "do_execute" in (create_tables(engine, metadata).fallback or "")
    with engine.connect() as connection:
        query = "SELECT DISTINCT relpersistence::text FROM pg_class WHERE relname LIKE 'item%'"
        assert connection.scalars(sa.text(query)).all() == ["u"]


def test_engine_without_parameters(engine: sa.Engine) -> None:
    """SQLAlchemy then hands the driver a statement in which each % is still doubled."""
    metadata = small(1)
    metadata.tables["item_0"].comment = "5%"
    create_tables(engine.execution_options(no_parameters=True), metadata)
    assert sa.inspect(engine).get_table_comment("item_0") == {"text": "5%%"}


SPEAKERS: dict[str, tuple[str, t.Callable[..., t.Any]]] = {
    "connect": ("SET", lambda driver, *_: driver.cursor()),
    "checkout": ("SET", lambda driver, *_: driver.cursor()),
    "begin": ("SET LOCAL", lambda connection: connection.connection.cursor()),
}


@pytest.mark.parametrize("event", SPEAKERS)
def test_engine_whose_listener_speaks_first(engine: sa.Engine, event: str) -> None:
    """As a listener does that sets the search path, or asks for the identifiers of an extension's types."""
    command, cursor_of = SPEAKERS[event]
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("app"))
    engine.dispose()

    @sa.event.listens_for(engine, event)
    def speak(*given: t.Any) -> None:
        with cursor_of(*given) as cursor:
            cursor.execute(f"{command} search_path TO app")

    assert create_tables(engine, small(2)).fallback is None
    assert sa.inspect(engine).get_table_names("app") == ["item_0", "item_1"]


@pytest.mark.parametrize("driver", ["pg8000"])
def test_other_driver(database: PostgresUri, driver: str) -> None:
    pytest.importorskip(driver)
    engine = sa.create_engine(database.with_driver(driver).url)
    assert driver in (create_tables(engine, small(2)).fallback or "")
    assert _tables(engine) == {"item_0", "item_1"}
    engine.dispose()
