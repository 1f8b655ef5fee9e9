"""Fixtures of the app layer: modules that vanish after the test, and apps on real databases."""

from __future__ import annotations

import importlib
import itertools
import pathlib
import sys
import textwrap
import types
import typing as t
from importlib import metadata

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_postgres import PostgresUri
from flask_postgres.app import callbacks

from ..servers import Server

_numbers = itertools.count()

needs_new_style = pytest.mark.skipif(
    metadata.version("flask-sqlalchemy").startswith("3.0."),
    reason="Flask-SQLAlchemy 3.0 does not take model base classes of SQLAlchemy 2",
)


@pytest.fixture(autouse=True)
def no_callbacks() -> t.Iterator[None]:
    """Let no callback of another test be seen."""
    kept = dict(callbacks._at_module_level)
    callbacks._at_module_level.clear()
    yield
    callbacks._at_module_level.clear()
    callbacks._at_module_level.update(kept)


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[pathlib.Path]:
    """Return the working directory, from which modules can be imported; they are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and pathlib.Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


class WriteModules(t.Protocol):
    def __call__(self, files: t.Mapping[str, str]) -> None: ...


@pytest.fixture
def write(folder: pathlib.Path) -> WriteModules:
    """Return a function that writes files into the working directory."""

    def write(files: t.Mapping[str, str]) -> None:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        importlib.invalidate_caches()

    return write


@pytest.fixture
def load_module(write: WriteModules) -> t.Callable[[str, str], types.ModuleType]:
    """Return a function that writes one module and imports it."""

    def load_module(name: str, text: str) -> types.ModuleType:
        write({f"{name.replace('.', '/')}.py": text})
        return importlib.import_module(name)

    return load_module


@pytest.fixture
def other_database(server: Server, dbname: str) -> PostgresUri:
    """Return a second fresh, empty database of the same server."""
    name = f"{dbname}_other{next(_numbers)}"
    server.execute(f'CREATE DATABASE "{name}" OWNER app_dev')
    return server.uri(name)


@pytest.fixture
def make_app() -> t.Iterator[t.Callable[..., Flask]]:
    """Return a function that makes a Flask-SQLAlchemy app on a database."""
    made: list[Flask] = []

    def make_app(uri: PostgresUri, driver: str = "psycopg", **config: t.Any) -> Flask:
        app = Flask("the_app")
        app.config["SQLALCHEMY_DATABASE_URI"] = uri.with_driver(driver).render(hide_password=False)
        app.config.update(config)
        SQLAlchemy(app)
        made.append(app)
        return app

    yield make_app
    for app in made:
        with app.app_context():
            for engine in app.extensions["sqlalchemy"].engines.values():
                engine.dispose()
