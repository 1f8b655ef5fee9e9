"""What init runs: callback, migrations, or create_all."""

from __future__ import annotations

import gc
import typing as t

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_postgres import AppError, PostgresUri, init_db_callback
from flask_postgres.app.discovery import find_extension
from flask_postgres.app.engines import release_all
from flask_postgres.app.initialize import choose, initialize
from flask_postgres.postgres.batch import create_tables
from flask_postgres.remedies import Remedy
from flask_postgres.reporting import Silence

from ..servers import Server

MakeApp = t.Callable[..., Flask]


def init(app: Flask, **options: t.Any) -> str:
    return initialize(app, find_extension(app), create_tables=create_tables, **options)


def add_model(app: Flask, name: str, bind_key: str | None = None) -> type:
    db = t.cast(SQLAlchemy, app.extensions["sqlalchemy"])
    members = {"__bind_key__": bind_key, "id": sa.Column(sa.Integer, primary_key=True)}
    return type(name, (db.Model,), members)


def tables(server: Server, uri: PostgresUri) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    return [name for (name,) in server.execute(query, dbname=uri.dbname)]


class Notes(Silence):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str, *_: Remedy) -> None:
        self.notes.append(message)


@pytest.mark.parametrize("commit", [True, False])
def test_rows_that_a_callback_does_not_commit_are_said_to_be_lost(
    make_app: MakeApp, database: PostgresUri, commit: bool
) -> None:
    app, notes = make_app(database), Notes()
    pet = add_model(app, "Pet")

    @init_db_callback(app=app)
    def init_db(db: SQLAlchemy) -> None:
        db.create_all()
        db.session.add(pet())
        if commit:
            db.session.commit()

    assert init(app, reporter=notes).endswith("init_db")
    assert len(notes.notes) == (0 if commit else 1)
    if not commit:
        assert "test_initialize.py:" in notes.notes[0]
        assert "did not commit: they are lost" in notes.notes[0]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_create_all(make_app: MakeApp, server: Server, database: PostgresUri, driver: str) -> None:
    app = make_app(database, driver)
    add_model(app, "Pet")
    assert init(app) == "create_all, 1 table"
    assert tables(server, database) == ["pet"]


def test_create_all_makes_the_tables_of_the_chosen_binds(
    make_app: MakeApp, server: Server, database: PostgresUri, other_database: PostgresUri
) -> None:
    logs = other_database.with_driver("psycopg").render(hide_password=False)
    app = make_app(database, SQLALCHEMY_BINDS={"logs": logs})
    add_model(app, "Pet")
    add_model(app, "Line", "logs")
    init(app, binds=["logs"])
    assert (tables(server, database), tables(server, other_database)) == ([], ["line"])
    assert init(app, binds=[None, "logs"]) == "create_all, 2 tables"
    assert (tables(server, database), tables(server, other_database)) == (["pet"], ["line"])


def test_create_all_makes_a_sequence_of_no_table(
    make_app: MakeApp, server: Server, database: PostgresUri
) -> None:
    app = make_app(database)
    sa.Sequence("numbers", metadata=app.extensions["sqlalchemy"].metadata)
    init(app)
    assert server.execute("SELECT count(*) FROM pg_sequences", dbname=database.dbname) == [(1,)]


def test_a_models_mistake_is_one_line(make_app: MakeApp, database: PostgresUri) -> None:
    app = make_app(database)
    db = t.cast(SQLAlchemy, app.extensions["sqlalchemy"])
    db.Table("pet", db.Column("owner", db.ForeignKey("persn.id")))
    with pytest.raises(AppError, match=r"create_all failed: NoReferencedTableError: .*'pet\.owner'.*'persn'"):
        init(app)


def test_a_listener_that_raises_is_told_with_its_place(make_app: MakeApp, database: PostgresUri) -> None:
    app = make_app(database)
    add_model(app, "Pet")

    @sa.event.listens_for(app.extensions["sqlalchemy"].metadata, "before_create")
    def listener(*_: object, **__: object) -> None:
        raise ValueError("no")

    with pytest.raises(AppError, match=r"create_all failed: ValueError: no \(.*test_initialize\.py:\d+\)"):
        init(app)


def test_why_it_took_longer_is_a_detail(make_app: MakeApp, database: PostgresUri) -> None:
    class Details(Silence):
        def detail(self, message: str) -> None:
            told.append(message)

    told: list[str] = []
    app = make_app(database)
    add_model(app, "Pet")
    metadata = app.extensions["sqlalchemy"].metadata
    sa.event.listen(metadata, "after_create", sa.DDL("SELECT 1"))
    init(app, reporter=Details())
    assert told == []
    sa.event.listen(metadata, "after_create", lambda *_, **__: None)
    init(app, reporter=Details())
    assert "listens for after_create of the metadata" in told[0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_driver_that_gives_bytes_for_text(make_app: MakeApp, server: Server, dbname: str) -> None:
    """SQLAlchemy forgets to close a connection that it could not initialize; here that is collected."""
    ascii_only = "ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'"
    server.execute(f'CREATE DATABASE "{dbname}" OWNER app_dev {ascii_only}')
    app = make_app(server.uri(dbname), "psycopg")
    with pytest.raises(AppError, match="create_all failed: TypeError") as caught:
        init(app)
    assert "--encoding UTF8" in str(caught.value)
    del caught, app
    gc.collect()


def test_a_callback_comes_first(make_app: MakeApp, server: Server, database: PostgresUri) -> None:
    app = make_app(database)
    model = add_model(app, "Pet")

    @init_db_callback
    def fill(db: SQLAlchemy) -> None:
        db.create_all()
        db.session.add_all([model(), model()])
        db.session.commit()

    assert init(app).endswith("fill")
    assert server.execute("SELECT count(*) FROM pet", dbname=database.dbname) == [(2,)]
    release_all()


def test_init_with_overrules_the_order(make_app: MakeApp, database: PostgresUri) -> None:
    app = make_app(database)
    extension = find_extension(app)

    @init_db_callback
    def fill() -> None: ...

    assert choose(app, extension).kind == "callback"
    assert choose(app, extension, how="create_all").kind == "create_all"
    with pytest.raises(AppError, match="the app has no migrations"):
        choose(app, extension, how="migrations")


def test_init_with_callback_needs_one(make_app: MakeApp, database: PostgresUri) -> None:
    app = make_app(database)
    with pytest.raises(AppError, match="init_with is callback, but the app registers none"):
        choose(app, find_extension(app), how="callback")


def test_no_table_at_all_is_said(make_app: MakeApp, database: PostgresUri) -> None:
    app = make_app(database)
    assert str(choose(app, find_extension(app))) == "create_all, without any table: no model is imported"


# Flask-SQLAlchemy-Lite

MODELS = """
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase): ...

    class Pet(Base):
        __tablename__ = "pet"
        id: Mapped[int] = mapped_column(primary_key=True)
"""


@pytest.mark.parametrize("key", ["SQLALCHEMY_ENGINES", "SQLALCHEMY_ASYNC_ENGINES"])
def test_lite(
    write: t.Callable[[t.Mapping[str, str]], None], server: Server, database: PostgresUri, key: str
) -> None:
    lite = pytest.importorskip("flask_sqlalchemy_lite")
    if "ASYNC" in key:
        pytest.importorskip("asyncpg")
    write({"mymodels.py": MODELS})
    app = Flask("the_app")
    app.config[key] = {"default": database.with_driver("asyncpg" if "ASYNC" in key else "psycopg").url}
    lite.SQLAlchemy(app)
    with pytest.raises(AppError, match=r'metadata = "myapp\.models:Base"'):
        init(app)
    assert init(app, metadata="mymodels:Base") == "create_all, 1 table"
    assert tables(server, database) == ["pet"]
    release_all()


OPTIONS: dict[str, dict[str, t.Any]] = {
    "asyncpg": {"connect_args": {"server_settings": {"search_path": "elsewhere"}}},
    "psycopg": {"connect_args": {"options": "-c search_path=elsewhere"}},
    "psycopg_async": {"execution_options": {"schema_translate_map": {None: "elsewhere"}}},
}


@pytest.mark.parametrize("driver", OPTIONS)
def test_lite_with_options_for_an_async_engine(
    write: t.Callable[[t.Mapping[str, str]], None], server: Server, database: PostgresUri, driver: str
) -> None:
    """A synchronous engine makes the tables; it must make them where the app looks for them."""
    lite = pytest.importorskip("flask_sqlalchemy_lite")
    pytest.importorskip(driver.removesuffix("_async"))
    server.execute("CREATE SCHEMA elsewhere AUTHORIZATION app_dev", dbname=database.dbname)
    write({"mymodels.py": MODELS})
    app = Flask("the_app")
    engine = {"url": database.with_driver(driver).url, **OPTIONS[driver]}
    app.config["SQLALCHEMY_ASYNC_ENGINES"] = {"default": engine}
    lite.SQLAlchemy(app)
    init(app, metadata="mymodels:Base")
    query = "SELECT schemaname FROM pg_tables WHERE tablename = 'pet'"
    assert server.execute(query, dbname=database.dbname) == [("elsewhere",)]
