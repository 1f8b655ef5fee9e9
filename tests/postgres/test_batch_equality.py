"""The batch makes the database that SQLAlchemy's own ``create_all`` makes."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from flask_postgres import PostgresUri
from flask_postgres.errors import ServerError
from flask_postgres.postgres.batch import create_tables

from ..servers import Server
from .batch_cases.catalogue import catalogue
from .batch_cases.metadata import everything, small

DRIVERS = ("psycopg2", "psycopg")
Pair = tuple[sa.Engine, sa.Engine]


@pytest.fixture(params=DRIVERS)
def pair(request: pytest.FixtureRequest, server: Server, dbname: str) -> t.Iterator[Pair]:
    """Return engines of two fresh databases: one for SQLAlchemy's own, one for ours."""
    engines = []
    for name in (dbname, f"{dbname}_ours"):
        server.execute(f'CREATE DATABASE "{name}" OWNER app_dev')
        engines.append(sa.create_engine(server.uri(name, driver=request.param).url))
    yield engines[0], engines[1]
    for engine in engines:
        engine.dispose()


def assert_same(pair: Pair) -> None:
    theirs, ours = (catalogue(engine) for engine in pair)
    assert theirs["relations"]
    for name, rows in theirs.items():
        assert ours[name] == rows, name


def test_everything(pair: Pair) -> None:
    theirs, ours = pair
    everything().create_all(theirs)
    report = create_tables(ours, everything())
    assert report.fallback is None
    assert report.transactions == 1
    assert "shop.rooms" in (report.tables or ())
    assert_same(pair)


def test_the_same_metadata_serves_both(pair: Pair) -> None:
    theirs, ours = pair
    metadata = everything()
    assert create_tables(ours, metadata).fallback is None
    metadata.create_all(theirs)
    assert_same(pair)


def test_second_run_creates_nothing(pair: Pair) -> None:
    theirs, ours = pair
    metadata = everything()
    for _ in range(2):
        metadata.create_all(theirs)
        report = create_tables(ours, metadata)
    assert report.fallback is None
    assert report.tables == ()
    assert_same(pair)


HALVES = {
    "only tables are left": "DROP TABLE painted, painted_too, shop.switches",
    "a type is gone": "DROP TYPE unused_by_tables",
    "a referenced table is gone": "DROP TABLE shop.rooms CASCADE",
    "one of a cycle is gone": "DROP TABLE chickens CASCADE",
    "an index is gone": "DROP INDEX ix_partial",
    "a sequence is gone": "DROP SEQUENCE alone CASCADE",
    "a shared sequence is there": "DROP TABLE numbered, shop.numbered_too",
    "an odd name is gone": 'DROP TABLE "My Schema"."Odd ""Table"" 5% :x"',
    "a parent is gone": "DROP TABLE a_parent CASCADE",
    "a table is a view now": "DROP TABLE fast; CREATE VIEW fast AS SELECT 1 AS id",
}


@pytest.mark.parametrize("pair", ["psycopg"], indirect=True)  # what is asked is the same for both
@pytest.mark.parametrize("damage", HALVES.values(), ids=HALVES)
def test_half_filled(pair: Pair, damage: str) -> None:
    theirs, ours = pair
    metadata = everything()
    metadata.create_all(theirs)
    create_tables(ours, metadata)
    for engine in pair:
        with engine.begin() as connection:
            connection.exec_driver_sql(damage, execution_options={"no_parameters": True})
    metadata.create_all(theirs)
    assert create_tables(ours, metadata).fallback is None
    assert_same(pair)


TAKEN = {
    "a table's name by a sequence": "CREATE SEQUENCE painted",
    "a sequence's name by a table": "CREATE TABLE alone ()",
}


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_name_that_another_kind_has_taken(pair: Pair, taken: str) -> None:
    theirs, ours = pair
    for engine in pair:
        with engine.begin() as connection:
            connection.exec_driver_sql(taken)
    with pytest.raises(sa.exc.ProgrammingError, match="already exists"):
        everything().create_all(theirs)
    with pytest.raises(ServerError, match="already exists"):
        create_tables(ours, everything())
    assert_same(pair)


def test_chosen_tables(pair: Pair) -> None:
    theirs, ours = pair
    metadata = everything()
    chosen = [metadata.tables["painted"], metadata.tables["shop.rooms"]]
    metadata.create_all(theirs, tables=chosen)
    assert create_tables(ours, metadata, tables=chosen).tables == ("painted", "shop.rooms")
    assert_same(pair)


def test_no_tables(pair: Pair) -> None:
    theirs, ours = pair
    metadata = everything()
    sa.event.listen(metadata, "before_create", sa.DDL("CREATE TABLE made_anyway ()"))
    metadata.create_all(theirs, tables=[])
    assert create_tables(ours, metadata, tables=[]).tables == ()
    assert_same(pair)


def test_empty_metadata(pair: Pair) -> None:
    report = create_tables(pair[1], sa.MetaData())
    assert (report.tables, report.statements, report.transactions) == ((), 0, 0)


def test_schema_translate_map(pair: Pair) -> None:
    translation: dict[str | None, str | None] = {None: "My Schema", "shop": "tenant 5%"}
    for engine in pair:
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema("tenant 5%"))
            connection.execute(sa.schema.CreateSchema("My Schema"))
    theirs, ours = (engine.execution_options(schema_translate_map=translation) for engine in pair)
    for _ in range(2):
        _translatable().create_all(theirs)
        assert create_tables(ours, _translatable()).fallback is None
    assert_same(pair)


def test_two_tables_of_one_name_are_no_single_table(pair: Pair) -> None:
    metadata = sa.MetaData()
    sa.Table("twice", metadata, sa.Column("a", sa.Integer))
    sa.Table("twice", metadata, sa.Column("b", sa.Integer), schema="public")
    theirs, ours = (engine.execution_options(schema_translate_map={None: "public"}) for engine in pair)
    with pytest.raises(sa.exc.ProgrammingError, match="already exists"):
        metadata.create_all(theirs)
    with pytest.raises(ServerError, match=r'create table "public.twice"'):
        create_tables(ours, metadata)
    assert sa.inspect(ours).get_table_names() == []


def _translatable() -> sa.MetaData:
    metadata = sa.MetaData()
    rooms = sa.Table("rooms", metadata, sa.Column("id", sa.Integer, primary_key=True), schema="shop")
    colour = sa.Enum("red", "5%", name="colour", schema="shop")
    key = sa.Column("id", sa.Integer, sa.Sequence("numbers", schema="shop"), primary_key=True)
    reference = sa.Column("room", sa.ForeignKey(rooms.c.id), index=True)
    sa.Table("plain", metadata, key, reference, sa.Column("colour", colour, server_default="5%"), comment="c")
    return metadata


def test_names_in_other_schemas_do_not_count(pair: Pair) -> None:
    for engine in pair:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA other; CREATE TYPE other.colour AS ENUM ('x')")
            connection.exec_driver_sql("CREATE TABLE other.painted (); CREATE SEQUENCE other.alone")
    everything().create_all(pair[0])
    assert create_tables(pair[1], everything()).fallback is None
    assert_same(pair)


def test_names_of_the_system_do_not_count(pair: Pair) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "pg_class",
        metadata,
        sa.Column("id", sa.Integer),
        sa.Column("kind", sa.Enum("a", name="pg_cast")),
    )
    sa.Table("tables", metadata, sa.Column("table_name", sa.Text), schema="information_schema")
    metadata.create_all(pair[0])
    assert create_tables(pair[1], metadata).tables == ("pg_class",)
    assert_same(pair)


def test_type_named_like_a_table(pair: Pair) -> None:
    """A table's row type counts as a type, for SQLAlchemy too."""
    for engine in pair:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE colour (red integer)")
    metadata = sa.MetaData()
    sa.Table("painted", metadata, sa.Column("colour", sa.Enum("red", name="colour")))
    metadata.create_all(pair[0])
    assert create_tables(pair[1], metadata).fallback is None
    assert_same(pair)


def test_enum_of_two_spellings_is_created_once(pair: Pair) -> None:
    metadata = sa.MetaData()
    for name in ("one", "two"):
        sa.Table(
            name,
            metadata,
            sa.Column("c", pg.ENUM("a", "b", name="kind")),
            sa.Column("d", sa.Enum("a", "b", name="kind")),
        )
    metadata.create_all(pair[0])
    assert create_tables(pair[1], metadata).fallback is None
    assert_same(pair)


def test_views_of_sqlalchemy_2_1(pair: Pair) -> None:
    ddl = pytest.importorskip("sqlalchemy.sql.ddl")
    if not hasattr(ddl, "CreateView"):
        pytest.skip("SQLAlchemy 2.1")
    metadata = small(2)
    item = metadata.tables["item_0"]
    chosen = sa.select(item.c.id, item.c.name).where(item.c.name.like("5%:x"), item.c.id % 3 == 1)
    ddl.CreateView(chosen, "odd_items", metadata=metadata)
    ddl.CreateView(chosen, "kept_items", metadata=metadata, materialized=True)
    ddl.CreateTableAs(chosen, "copied_items", metadata=metadata)
    for _ in range(2):
        metadata.create_all(pair[0])
        assert create_tables(pair[1], metadata).fallback is None
    assert_same(pair)


@pytest.mark.parametrize("driver", DRIVERS)
def test_on_a_connection_the_caller_commits(database: PostgresUri, driver: str) -> None:
    engine = sa.create_engine(database.with_driver(driver).url)
    with engine.connect() as connection:
        assert create_tables(connection, small(3)).transactions == 1
        connection.execute(sa.text("INSERT INTO item_0 (name) VALUES ('x')"))
        connection.rollback()
        assert not sa.inspect(connection).has_table("item_0")
        connection.rollback()
        create_tables(connection, small(3))
        connection.commit()
    assert sa.inspect(engine).get_table_names() == ["item_0", "item_1", "item_2"]
    engine.dispose()


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_engines_connections_keep_their_isolation(database: PostgresUri, driver: str) -> None:
    engine = sa.create_engine(database.with_driver(driver).url, pool_size=1, max_overflow=0)
    create_tables(engine, small(1))
    with engine.connect() as connection:
        connection.execute(sa.text("INSERT INTO item_0 (name) VALUES ('x')"))
        connection.rollback()
        assert connection.scalar(sa.text("SELECT count(*) FROM item_0")) == 0
    engine.dispose()
