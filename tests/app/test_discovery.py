"""Discovery: which extension the app has, and what is read from it."""

from __future__ import annotations

import sys
import types
import typing as t

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.model import Model
from sqlalchemy import event, orm

from flask_postgres import AppError, ExtensionNotFound, PostgresUri
from flask_postgres.app.discovery import FlaskSQLAlchemy, FlaskSQLAlchemyLite, find_extension
from flask_postgres.app.models import load_metadata

from .conftest import needs_new_style

URI = "postgresql+psycopg://someone:s3cret@localhost:5999/example?application_name=mine"


def make_app(**config: t.Any) -> Flask:
    app = Flask("the_app")
    app.config.update({"SQLALCHEMY_DATABASE_URI": URI, **config})
    return app


def declarative_base() -> t.Any:
    class Base(orm.DeclarativeBase): ...

    return Base


def declarative_base_without_meta() -> t.Any:
    class Base(orm.DeclarativeBaseNoMeta): ...

    return Base


def dataclass_base() -> t.Any:
    class Base(orm.MappedAsDataclass, orm.DeclarativeBase): ...

    return Base


def dataclass_base_without_meta() -> t.Any:
    class Base(orm.MappedAsDataclass, orm.DeclarativeBaseNoMeta): ...

    return Base


def made_base() -> t.Any:
    from flask_sqlalchemy.model import DefaultMeta

    return orm.declarative_base(cls=Model, metaclass=DefaultMeta)


def old_model() -> t.Any:
    return Model


NEW_STYLES = [declarative_base, declarative_base_without_meta, dataclass_base, dataclass_base_without_meta]
STYLES = [*(pytest.param(style, marks=needs_new_style) for style in NEW_STYLES), made_base, old_model]


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_base_class(style: t.Callable[[], t.Any]) -> None:
    app = make_app()
    try:
        db = SQLAlchemy(model_class=style())
    except sa.exc.InvalidRequestError as error:
        pytest.skip(f"this Flask-SQLAlchemy cannot do it on SQLAlchemy {sa.__version__}: {error}")

    class Pet(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "pet"
        id = sa.Column(sa.Integer, primary_key=True)

    db.init_app(app)
    extension = find_extension(app)
    assert isinstance(extension, FlaskSQLAlchemy)
    assert extension.db is db
    assert [table.name for table in extension.tables()] == ["pet"]
    assert extension.metadata() is db.metadata


def test_a_subclass_of_the_extension_is_one() -> None:
    class Ours(SQLAlchemy): ...

    app = make_app()
    db = Ours(app)
    assert find_extension(app).db is db


def test_several_instances_in_one_process() -> None:
    one, two = make_app(), make_app()
    dbs = SQLAlchemy(one), SQLAlchemy(two)
    assert (find_extension(one).db, find_extension(two).db) == dbs


def test_binds() -> None:
    app = make_app(SQLALCHEMY_BINDS={"logs": "postgresql+psycopg://localhost/logs", "cache": "sqlite://"})
    db = SQLAlchemy(app)

    class Line(db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "logs"
        id = sa.Column(sa.Integer, primary_key=True)

    extension = find_extension(app)
    assert set(extension.engines()) == {None, "logs", "cache"}
    assert extension.engine_url("logs").database == "logs"
    assert [table.name for table in extension.tables("logs")] == ["line"]
    assert extension.tables() == ()
    with pytest.raises(ExtensionNotFound, match='no bind "lgos"; its binds: cache, logs'):
        extension.engine("lgos")


def test_an_app_without_any_says_what_was_looked_at() -> None:
    app = Flask("bare")
    app.extensions["babel"] = object()
    with pytest.raises(ExtensionNotFound, match=r'"bare" has no .*\(its extensions: babel\).* db.init_app'):
        find_extension(app)


def test_something_else_of_that_name_is_named() -> None:
    app = Flask("bare")
    app.extensions["sqlalchemy"] = types.SimpleNamespace()
    with pytest.raises(ExtensionNotFound, match=r"is a types\.SimpleNamespace"):
        find_extension(app)


# connect_args


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_connect_args_are_what_the_app_adds_to_its_uri(driver: str) -> None:
    options = {"connect_args": {"options": "-c search_path=x", "connect_timeout": 3}}
    app = make_app(SQLALCHEMY_DATABASE_URI=URI.replace("psycopg", driver), SQLALCHEMY_ENGINE_OPTIONS=options)
    SQLAlchemy(app)
    assert find_extension(app).connect_args() == options["connect_args"]


def test_connect_args_include_what_a_listener_of_the_app_adds() -> None:
    app = make_app()
    db = SQLAlchemy(app)
    with app.app_context():

        @event.listens_for(db.engine, "do_connect")
        def token(_dialect: t.Any, _record: t.Any, _cargs: t.Any, cparams: dict[str, t.Any]) -> None:
            cparams["password"] = "t0ken"

    assert find_extension(app).connect_args() == {"password": "t0ken"}
    assert find_extension(app).connect_args() == {"password": "t0ken"}


@pytest.mark.parametrize("pool", [sa.NullPool, sa.StaticPool, sa.QueuePool])
def test_connect_args_of_every_pool(pool: type[sa.Pool]) -> None:
    app = make_app(SQLALCHEMY_ENGINE_OPTIONS={"poolclass": pool, "connect_args": {"sslmode": "require"}})
    SQLAlchemy(app)
    assert find_extension(app).connect_args() == {"sslmode": "require"}


def test_a_creator_is_refused_and_not_called() -> None:
    called: list[None] = []
    app = make_app(SQLALCHEMY_ENGINE_OPTIONS={"creator": lambda: called.append(None)})
    SQLAlchemy(app)
    with pytest.raises(AppError, match=r'"example" opens its connections with a function .*creator'):
        find_extension(app).connect_args()
    assert not called


def test_a_listener_that_fails_is_named() -> None:
    app = make_app()
    db = SQLAlchemy(app)
    with app.app_context():

        @event.listens_for(db.engine, "do_connect")
        def connect(*_: object) -> t.Any:
            raise RuntimeError("no vault")

    with pytest.raises(AppError, match="do_connect listener failed: RuntimeError: no vault"):
        find_extension(app).connect_args()


# Flask-SQLAlchemy-Lite


def make_lite(**config: t.Any) -> Flask:
    lite = pytest.importorskip("flask_sqlalchemy_lite")
    app = Flask("the_app")
    app.config.update(config)
    lite.SQLAlchemy(app, require_default_engine=False)
    return app


def test_lite() -> None:
    app = make_lite(SQLALCHEMY_ENGINES={"default": URI, "logs": {"url": URI.replace("example", "logs")}})
    extension = find_extension(app)
    assert isinstance(extension, FlaskSQLAlchemyLite)
    assert set(extension.engines()) == {None, "logs"}
    assert extension.engine_url("logs").database == "logs"
    assert extension.metadata() is None
    assert extension.tables() == ()


def test_lite_with_async_engines() -> None:
    pytest.importorskip("asyncpg")
    url = "postgresql+asyncpg://someone@localhost/example"
    options = {"url": url, "connect_args": {"timeout": 3}}
    app = make_lite(
        SQLALCHEMY_ENGINES={"default": URI}, SQLALCHEMY_ASYNC_ENGINES={"default": url, "a": options}
    )
    extension = find_extension(app)
    assert len(extension.all_engines()[None]) == 2
    assert extension.engine_url().drivername == "postgresql+psycopg"
    assert extension.engine_url("a").drivername == "postgresql+asyncpg"
    assert extension.connect_args("a") == {"timeout": 3}


def test_an_extension_that_is_not_used_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flask_sqlalchemy_lite", raising=False)
    app = make_app()
    SQLAlchemy(app)
    find_extension(app)
    assert "flask_sqlalchemy_lite" not in sys.modules


# The metadata setting


MODELS = """
    from sqlalchemy import MetaData
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase): ...
    other = MetaData()
    number = 3
"""


def test_metadata_setting(load_module: t.Callable[[str, str], t.Any]) -> None:
    module = load_module("mymodels", MODELS)
    app = Flask("the_app")
    assert load_metadata("mymodels:Base", app) is module.Base.metadata
    assert load_metadata("mymodels:Base.metadata", app) is module.Base.metadata
    assert load_metadata("mymodels:other", app) is module.other


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mymodels", 'Write it like "myapp.models:Base"'),
        ("mymodels:Bse", "mymodels has no Bse"),
        ("mymodels:number", "which is a int"),
        ("nowhere:Base", "ModuleNotFoundError: No module named 'nowhere'"),
        ("broken:Base", r"ZeroDivisionError: division by zero \(broken.py:1\)"),
    ],
)
def test_metadata_setting_that_is_wrong(
    write: t.Callable[[t.Mapping[str, str]], None], reference: str, message: str
) -> None:
    write({"mymodels.py": MODELS, "broken.py": "1 / 0\n"})
    with pytest.raises(AppError, match=message):
        load_metadata(reference, Flask("the_app"))


def test_uri_of_the_engine_keeps_its_password() -> None:
    app = make_app()
    SQLAlchemy(app)
    assert PostgresUri(find_extension(app).engine_url()).password == "s3cret"
