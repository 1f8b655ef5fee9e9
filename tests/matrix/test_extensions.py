"""Every extension with every driver, through the life of a database."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from ..cli.looking import KEPT, error, full, oid, pets, said, tables
from ..project import Project
from ..servers import Server
from .apps import LEGACY, LITE, LITE_ASYNC, MODELS_OF, with_callback

OLD = metadata.version("flask-sqlalchemy").startswith("3.0.")

MATRIX = [
    ("Flask-SQLAlchemy, Model", "psycopg2"),
    ("Flask-SQLAlchemy, Model", "psycopg"),
    ("Flask-SQLAlchemy, Model", "pg8000"),
    pytest.param(
        "Flask-SQLAlchemy, DeclarativeBase",
        "psycopg",
        marks=pytest.mark.skipif(OLD, reason="came with Flask-SQLAlchemy 3.1"),
    ),
    ("Lite", "psycopg2"),
    ("Lite", "psycopg"),
    ("Lite, async", "asyncpg"),
    ("Lite, async", "psycopg"),
]


@pytest.mark.parametrize(("kind", "driver"), MATRIX)
def test_the_life_of_a_database(
    project: Project, server: Server, dbname: str, kind: str, driver: str
) -> None:
    project.write({"app.py": MODELS_OF[kind].format(uri=full(server.uri(dbname, driver)))})
    was_created, was_initialized = (f'database "{dbname}" was {what}' for what in ("created", "initialized"))

    assert said(project.here("setup")) == [was_created, was_initialized]
    assert tables(server, dbname) == {"pet"}
    server.execute("INSERT INTO pet VALUES (1, 'Rex')", dbname=dbname)
    assert said(project.here("setup")) == [f'database "{dbname}" already exists', was_initialized]
    assert pets(server, dbname) == ["Rex"]
    shown = json.loads(project.here("status", "--json", "--exit-code").out)
    assert (shown["ready"], shown["database"]["tables"], shown["migrations"]) == (True, 1, None)

    first = oid(server, dbname)
    result = project.here("reset", "--force")
    assert said(result) == [was_created, was_initialized, KEPT]
    assert oid(server, dbname) != first
    assert pets(server, dbname) == []
    assert said(project.here("drop", "--force", "--final")) == [f'database "{dbname}" was deleted']
    assert not any(dbname in name for name in server.names())


SYNCHRONOUS = [
    'with db.get_engine().begin() as connection: connection.exec_driver_sql("CREATE TABLE made (id int)")'
]
ASYNCHRONOUS = [
    "async def make():",
    '    engine = db.get_async_engine("default")',
    '    async with engine.begin() as connection: await connection.exec_driver_sql("CREATE TABLE made ()")',
    "    await engine.dispose()",
    "import asyncio; asyncio.run(make())",
]


@pytest.mark.parametrize(
    ("app", "driver", "lines"), [(LITE, "psycopg", SYNCHRONOUS), (LITE_ASYNC, "asyncpg", ASYNCHRONOUS)]
)
def test_a_callback_of_lite_on_its_own_and_on_another_database(
    project: Project, server: Server, dbname: str, app: str, driver: str, lines: list[str]
) -> None:
    text = app.format(uri=full(server.uri(dbname, driver)))
    project.write({"app.py": with_callback(text, *lines)})
    assert project.here("setup").code == 0
    assert tables(server, dbname) == {"made"}
    other = f"{dbname}_other"
    result = project.here("setup", "--uri", full(server.uri(other)))
    assert result.code == 0, str(result)
    assert tables(server, other) == {"made"}
    failing = with_callback(text, *lines, 'raise LookupError("no more")')
    project.write({"app.py": failing})
    assert error(project.here("reset", "--force")).startswith(
        "the init callback app.seed failed: LookupError: no more (app.py:"
    )
    assert tables(server, dbname) == {"made"}


def test_lite_without_metadata_says_what_it_needs(project: Project, server: Server, dbname: str) -> None:
    text = LITE.format(uri=full(server.uri(dbname)))
    project.write({"app.py": text.replace('app.config["FLASK_POSTGRES_METADATA"]', "unused")})
    assert error(project.here("setup")) == (
        "Flask-SQLAlchemy-Lite does not know the app's tables, so create_all has nothing to make. "
        'Set metadata = "myapp.models:Base", or register an init_db_callback.'
    )
    assert oid(server, dbname) is None
    assert project.here("setup", "--metadata", "app:Base").code == 0
    assert tables(server, dbname) == {"pet"}


def test_lite_with_an_engine_that_is_a_dict(project: Project, server: Server, dbname: str) -> None:
    """With options beside the URL, as its documentation shows."""
    as_dict = LITE.replace("{uri!r}", '{{"url": {uri!r}, "pool_size": 2}}')
    project.write({"app.py": as_dict.format(uri=full(server.uri(dbname)))})
    assert project.here("setup").code == 0
    other = f"{dbname}_other"
    assert project.here("setup", "--uri", full(server.uri(other))).code == 0
    assert tables(server, dbname) == tables(server, other) == {"pet"}


def test_no_model_is_imported(project: Project, server: Server, dbname: str) -> None:
    """The database is empty then, and nobody would know why."""
    head = LEGACY.partition("    class Pet")[0]
    project.write({"app.py": head.format(uri=full(server.uri(dbname)))})
    result = project.here("setup")
    assert result.code == 0
    assert said(result)[0] == "create_all found no table: the app imports no model"


TWO_APPS = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from flask_postgres import init_db_callback

    shop_db, blog_db = SQLAlchemy(), SQLAlchemy()

    class Item(shop_db.Model):
        id = shop_db.Column(shop_db.Integer, primary_key=True)

    class Post(blog_db.Model):
        id = blog_db.Column(blog_db.Integer, primary_key=True)

    def make(name, uri, db):
        made = Flask(name)
        made.config["SQLALCHEMY_DATABASE_URI"] = uri
        db.init_app(made)
        return made

    shop = make("shop", {shop!r}, shop_db)
    blog = make("blog", {blog!r}, blog_db)

    @init_db_callback(app=blog)
    def seed(db):
        db.create_all()
"""


def test_several_instances_in_one_process(project: Project, server: Server, dbname: str) -> None:
    """Each app has its own db, its own tables and its own callback."""
    names = [f"{dbname}_shop", f"{dbname}_blog"]
    shop, blog = (full(server.uri(name)) for name in names)
    project.write({"app.py": TWO_APPS.format(shop=shop, blog=blog)})
    for app, name, table in (("shop", names[0], "item"), ("blog", names[1], "post")):
        assert said(project.here("setup", app=f"app.py:{app}"))[0] == f'database "{name}" was created'
        assert tables(server, name) == {table}
    assert "the app registers none" in error(
        project.here("init", "--init-with", "callback", app="app.py:shop")
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("file_fdw", "add it to the extensions setting, or --extension file_fdw"),
        ("postgis", "Install its package on the server. The embedded server has contrib and pgvector alone"),
    ],
)
def test_an_extension_that_the_app_itself_cannot_create(
    project: Project, server: Server, dbname: str, name: str, hint: str
) -> None:
    create = f'with db.engine.begin() as connection: connection.exec_driver_sql("CREATE EXTENSION {name}")'
    project.write({"app.py": with_callback(LEGACY.format(uri=full(server.uri(dbname))), create)})
    assert hint in error(project.here("setup"))
