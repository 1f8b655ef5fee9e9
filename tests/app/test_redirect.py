"""While init runs, every connection of the app goes to the target; afterwards all is as before."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event

from flask_postgres import AppError, ExtensionNotFound, PostgresUri
from flask_postgres.app.discovery import find_extension
from flask_postgres.app.engines import release_all
from flask_postgres.app.redirect import redirect
from flask_postgres.app.tagging import tagged
from flask_postgres.postgres.admin import Connector

from ..servers import Server

MakeApp = t.Callable[..., Flask]
WHERE = sa.text("SELECT current_database()")
WHO = sa.text("SELECT current_user")


def to(app: Flask, uri: PostgresUri, key: str | None = None) -> t.ContextManager[None]:
    return redirect(find_extension(app), app, {key: uri})


def db_of(app: Flask) -> SQLAlchemy:
    return t.cast(SQLAlchemy, app.extensions["sqlalchemy"])


def where(engine: sa.Engine) -> t.Any:
    with engine.connect() as connection:
        return connection.scalar(WHERE)


def listeners(engine: sa.Engine) -> int:
    return len(list(engine.dialect.dispatch.do_connect))


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "pg8000"])
def test_sessions_and_engines_meet_the_target(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri, driver: str
) -> None:
    pytest.importorskip(driver)
    app = make_app(database, driver)
    db = db_of(app)
    with app.app_context():
        engine = db.engine
        assert db.session.scalar(WHERE) == database.dbname  # has begun, and keeps its connection
        with to(app, other_database):
            assert db.session.scalar(WHERE) == other_database.dbname
            assert where(engine) == other_database.dbname
            assert where(engine.execution_options(isolation_level="AUTOCOMMIT")) == other_database.dbname
        assert db.session.scalar(WHERE) == database.dbname
        assert where(engine) == database.dbname


def test_all_is_as_before(make_app: MakeApp, database: PostgresUri, other_database: PostgresUri) -> None:
    app = make_app(database)
    with app.app_context():
        engine = db_of(app).engine
    config, url, count = dict(app.config), engine.url, listeners(engine)
    with pytest.raises(ZeroDivisionError), to(app, other_database):
        assert where(engine) == other_database.dbname
        1 / 0  # noqa: B018
    assert dict(app.config) == config
    assert engine.url is url
    assert listeners(engine) == count
    assert where(engine) == database.dbname


def test_no_connection_is_left_behind(
    make_app: MakeApp, server: Server, database: PostgresUri, other_database: PostgresUri
) -> None:
    app = make_app(database)
    db = db_of(app)
    with app.app_context():
        db.session.scalar(WHERE)
        with to(app, other_database):
            assert sessions(server, database.dbname) == 0
            db.session.scalar(WHERE)
        assert sessions(server, other_database.dbname) == 0


def sessions(server: Server, dbname: str) -> int:
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    for _ in range(100):
        found = server.execute(count, dbname)[0][0]
        if not found:
            break
    return int(found)


def test_config_and_url_name_the_target_with_its_password(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri
) -> None:
    app = make_app(database, "psycopg2")
    with app.app_context():
        engine = db_of(app).engine
    expected = other_database.with_driver("psycopg2").render(hide_password=False)
    assert "***" not in expected
    with to(app, other_database.with_driver("psycopg")):
        assert app.config["SQLALCHEMY_DATABASE_URI"] == expected
        assert engine.url.render_as_string(hide_password=False) == expected
        with sa.create_engine(app.config["SQLALCHEMY_DATABASE_URI"]).connect() as connection:
            assert connection.scalar(WHERE) == other_database.dbname
            connection.detach()


def test_another_server_and_user(make_app: MakeApp, database: PostgresUri, server: Server) -> None:
    """The app's own address does not even answer."""
    elsewhere = PostgresUri.build(dbname="x", user="nobody", password="wrong", host="localhost", port=1)
    options = {"connect_args": {"password": "stale", "application_name": "kept"}}
    app = make_app(elsewhere, SQLALCHEMY_ENGINE_OPTIONS=options)
    db = db_of(app)
    with app.app_context(), to(app, server.superuser_uri(database.dbname)):
        assert db.session.scalar(WHERE) == database.dbname
        assert db.session.scalar(WHO) == "postgres"
        assert db.session.scalar(sa.text("SHOW application_name")) == "kept"


def test_on_the_same_server_the_apps_own_password_holds(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri
) -> None:
    """A cloud's short-lived password stands in no URI."""
    without = PostgresUri(database.url.set(password="stale"))
    app = make_app(without)
    db = db_of(app)
    with app.app_context():

        @event.listens_for(db.engine, "do_connect")
        def token(_dialect: t.Any, _record: t.Any, _cargs: t.Any, cparams: dict[str, t.Any]) -> None:
            cparams["password"] = database.password

        with to(app, without.with_dbname(other_database.dbname)):
            assert db.session.scalar(WHERE) == other_database.dbname


def test_a_new_engine_for_the_apps_own_database_follows(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri
) -> None:
    """An env.py that calls the factory again makes one."""
    app = make_app(database)
    with to(app, other_database):
        for driver in ("psycopg", "psycopg2"):
            again = sa.create_engine(database.with_driver(driver).url, poolclass=sa.NullPool)
            assert where(again) == other_database.dbname
        assert where(again) == other_database.dbname
    assert where(again) == database.dbname


def test_our_own_administration_does_not_follow(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri
) -> None:
    app = make_app(database)
    with to(app, other_database), Connector(uri=database).target() as session:
        assert session.value("SELECT pg_catalog.current_database()") == database.dbname


def test_an_engine_of_the_app_that_has_a_name_like_ours(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri
) -> None:
    app = make_app(database)
    named = {"application_name": "flask-postgres something"}
    with to(app, other_database):
        url = database.with_driver("psycopg").url
        engine = sa.create_engine(url, connect_args=named, poolclass=sa.NullPool)
        assert where(engine) == other_database.dbname


def test_connections_that_the_app_has_open_since_it_was_loaded(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri
) -> None:
    """One that is idle in a pool, and one that is checked out: neither writes to the app's own database."""
    app = make_app(database)
    engine = sa.create_engine(database.with_driver("psycopg").url)
    where(engine)
    held = engine.connect()
    held.execute(sa.text("SELECT 1"))
    with to(app, other_database):
        assert where(engine) == other_database.dbname
        assert held.execute(sa.text("SELECT current_database()")).scalar() == other_database.dbname
    assert where(engine) == database.dbname
    held.close()


def test_binds_that_are_not_named_stay(
    make_app: MakeApp, server: Server, database: PostgresUri, other_database: PostgresUri
) -> None:
    logs = server.uri(driver="psycopg").render(hide_password=False)
    app = make_app(database, SQLALCHEMY_BINDS={"logs": {"url": logs, "pool_size": 2}, "cache": "sqlite://"})
    with app.app_context():
        engines = dict(db_of(app).engines)
    with to(app, other_database):
        assert where(engines[None]) == other_database.dbname
        assert where(engines["logs"]) == "postgres"
        assert app.config["SQLALCHEMY_BINDS"]["logs"]["url"] == logs
    with to(app, other_database, "logs"):
        assert where(engines["logs"]) == other_database.dbname
        assert app.config["SQLALCHEMY_BINDS"]["logs"]["pool_size"] == 2
        assert app.config["SQLALCHEMY_BINDS"]["logs"]["url"].endswith(f"/{other_database.dbname}")
        assert app.config["SQLALCHEMY_BINDS"]["cache"] == "sqlite://"
        assert where(engines[None]) == database.dbname


def test_a_context_that_was_pushed_at_import(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri
) -> None:
    app = make_app(database)
    db = db_of(app)
    context = app.app_context()
    context.push()
    try:
        assert db.session.scalar(WHERE) == database.dbname
        with app.app_context(), to(app, other_database):
            pass
        with to(app, other_database):
            assert db.session.scalar(WHERE) == other_database.dbname
    finally:
        context.pop()


def test_what_cannot_be_redirected_is_refused(make_app: MakeApp, database: PostgresUri) -> None:
    app = make_app(database, SQLALCHEMY_BINDS={"cache": "sqlite://"})
    with pytest.raises(AppError, match="is for sqlite"), to(app, database, "cache"):
        pass
    with pytest.raises(ExtensionNotFound, match='no bind "none"'), to(app, database, "none"):
        pass
    app = make_app(database, SQLALCHEMY_ENGINE_OPTIONS={"creator": lambda: None})
    with pytest.raises(AppError, match="creator"), to(app, database):
        pass


def test_a_listener_that_connects_by_itself_is_refused(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri
) -> None:
    """It would lead to the app's own database, whatever it is told."""
    app = make_app(database)
    engine = find_extension(app).engine()

    @event.listens_for(engine, "do_connect")
    def connect(dialect: t.Any, _record: t.Any, cargs: t.Any, cparams: dict[str, t.Any]) -> t.Any:
        return dialect.connect(*cargs, **cparams)

    with pytest.raises(AppError, match="opens its connections with a function"), to(app, other_database):
        pass


@pytest.mark.parametrize("tag_first", [True, False])
def test_redirected_connections_are_tagged_too(
    make_app: MakeApp, database: PostgresUri, other_database: PostgresUri, tag_first: bool
) -> None:
    app = make_app(database)
    extension = find_extension(app)
    contexts = [tagged(extension, "the command"), to(app, other_database)]
    with contextlib.ExitStack() as stack:
        for context in contexts if tag_first else reversed(contexts):
            stack.enter_context(context)
        assert where(extension.engine()) == other_database.dbname
        with extension.engine().connect() as connection:
            assert connection.scalar(sa.text("SHOW application_name")) == "the command"


# Flask-SQLAlchemy-Lite


def lite_app(**config: t.Any) -> Flask:
    lite = pytest.importorskip("flask_sqlalchemy_lite")
    app = Flask("the_app")
    app.config.update(config)
    lite.SQLAlchemy(app)
    return app


def test_lite(database: PostgresUri, other_database: PostgresUri) -> None:
    url = database.with_driver("psycopg").url
    app = lite_app(SQLALCHEMY_ENGINES={"default": {"url": url}})
    db = app.extensions["sqlalchemy"]
    with app.app_context():
        session, maker = db.session, db.sessionmaker
        assert session.scalar(WHERE) == database.dbname
        with to(app, other_database):
            assert session.scalar(WHERE) == other_database.dbname
            with maker() as captured:
                assert captured.scalar(WHERE) == other_database.dbname
            assert app.config["SQLALCHEMY_ENGINES"]["default"]["url"].database == other_database.dbname
        assert app.config["SQLALCHEMY_ENGINES"] == {"default": {"url": url}}
        assert session.scalar(WHERE) == database.dbname
    release_all()


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", marks=pytest.mark.long),
        pytest.param("?sslmode=prefer&application_name=x", marks=pytest.mark.long),
        "?ssl=prefer",
    ],
)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_lite_with_an_async_engine(
    database: PostgresUri, other_database: PostgresUri, driver: str, query: str
) -> None:
    pytest.importorskip(driver)
    url = database.with_driver(driver).url
    app = lite_app(SQLALCHEMY_ASYNC_ENGINES={"default": url})
    db = app.extensions["sqlalchemy"]

    async def where() -> t.Any:
        async with db.async_sessionmaker() as session:
            return await session.scalar(WHERE)

    target = other_database.with_driver("asyncpg" if "ssl=" in query else "psycopg2")
    with app.app_context():
        assert asyncio.run(where()) == database.dbname
        with to(app, PostgresUri(target.render(hide_password=False) + query)):
            assert asyncio.run(where()) == other_database.dbname
        assert asyncio.run(where()) == database.dbname
    release_all()
