"""Each example fills its database and answers from it."""

from __future__ import annotations

import importlib
import pathlib
import typing as t

import pytest
from flask import Flask

from flask_postgres import PostgresUri
from flask_postgres.app.discovery import find_extension
from flask_postgres.app.initialize import initialize
from flask_postgres.app.loading import load
from flask_postgres.app.redirect import redirect
from flask_postgres.postgres.batch import create_tables

from .conftest import needs_new_style

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


class Filled(t.NamedTuple):
    app: Flask
    ran: str
    pages: list[t.Any]


@pytest.fixture
def fill(
    monkeypatch: pytest.MonkeyPatch, database: PostgresUri
) -> t.Iterator[t.Callable[[str, str], Filled]]:
    """Return a function that loads an example, runs init on a fresh database, and asks its page."""
    import sys

    before = set(sys.modules)

    def fill(example: str, import_path: str) -> Filled:
        from flask.cli import ScriptInfo

        monkeypatch.chdir(EXAMPLES / example)
        monkeypatch.syspath_prepend(str(EXAMPLES / example))
        importlib.invalidate_caches()
        loaded = load(ScriptInfo(app_import_path=import_path))
        assert loaded.app is not None, loaded.error
        app = loaded.app
        extension = find_extension(app)
        with redirect(extension, app, {None: database}):
            ran = initialize(app, extension, create_tables=create_tables)
            answer = app.test_client().get("/")
        assert answer.status_code == 200
        return Filled(app, ran, t.cast("list[t.Any]", answer.json))

    yield fill
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and pathlib.Path(file).is_relative_to(EXAMPLES):
            del sys.modules[name]


def test_seed(fill: t.Callable[[str, str], Filled]) -> None:
    filled = fill("seed", "app.py")
    assert filled.app.config["SQLALCHEMY_DATABASE_URI"] == "postgresql://localhost:5432/example"
    assert filled.ran == "the init callback app.init_db"
    assert filled.pages == [{"id": 1, "name": "Fido"}]


@needs_new_style
def test_factory(fill: t.Callable[[str, str], Filled]) -> None:
    filled = fill("factory", "pets")
    assert filled.ran == "the init callback pets.seed.init_db"
    assert filled.pages == [{"name": "Fido", "owner": "Ada"}, {"name": "Tom", "owner": "Ada"}]


@needs_new_style
def test_toml_only(fill: t.Callable[[str, str], Filled]) -> None:
    filled = fill("toml_only", "app.py")
    assert filled.app.config["SQLALCHEMY_DATABASE_URI"] == "postgresql://localhost:5432/library"
    assert filled.ran == "create_all, 1 table"
    assert filled.pages == []


@needs_new_style
def test_toml_only_obeys_its_variable(
    fill: t.Callable[[str, str], Filled], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.internal/books")
    assert (
        fill("toml_only", "app.py").app.config["SQLALCHEMY_DATABASE_URI"] == "postgresql://db.internal/books"
    )
