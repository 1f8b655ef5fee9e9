"""Loading the app: one that cannot be loaded, and one that connects while it is imported."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import sqlalchemy as sa
from flask.cli import ScriptInfo

from flask_postgres import PostgresUri, ServerUnreachable
from flask_postgres.app.loading import connection_hook, load

from ..servers import Server

Write = t.Callable[[t.Mapping[str, str]], None]

JSON_MESSAGE = (
    "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) (app.py:2)"
)
GOOD = "from flask import Flask\napp = Flask(__name__)\n"


def script_info(path: str | None = "app.py") -> ScriptInfo:
    return ScriptInfo(app_import_path=path)


def error_of(path: str | None = "app.py") -> str:
    loaded = load(script_info(path))
    assert loaded.app is None
    assert loaded.error is not None
    assert "\n" not in str(loaded.error)
    return str(loaded.error)


@pytest.mark.parametrize("path", ["app.py", "app", "app:app", None])
def test_an_app_that_is_well(write: Write, path: str | None) -> None:
    write({"app.py": GOOD})
    loaded = load(script_info(path))
    assert loaded.error is None
    assert loaded.app is not None
    assert loaded.app.import_name == "app"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nimport nowhere\n", "ModuleNotFoundError: No module named 'nowhere' (app.py:2)"),
        ("import psycopg_not\n", "ModuleNotFoundError: No module named 'psycopg_not' (app.py:1)"),
        ("x = 1\nx.y\n", "AttributeError: 'int' object has no attribute 'y' (app.py:2)"),
        ("x = 1\ny = 2\ndef f(:\n", "SyntaxError: invalid syntax (app.py:3)"),
        ("import sys\nsys.exit('set DATABASE_URL')\n", "sys.exit('set DATABASE_URL') (app.py:2)"),
        ("import json\njson.loads('{')\n", JSON_MESSAGE),
    ],
)
def test_an_app_that_cannot_be_imported(write: Write, text: str, message: str) -> None:
    write({"app.py": text})
    assert error_of() == f"the app could not be loaded: {message}"


def test_a_failure_in_a_module_of_the_app(write: Write) -> None:
    write({"app.py": "import helper\n", "helper.py": "x = 1\n1 / 0\n"})
    assert error_of() == "the app could not be loaded: ZeroDivisionError: division by zero (helper.py:2)"


def test_a_failure_in_an_app_that_is_installed(
    write: Write, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some apps are installed from a wheel, among the libraries, and are the user's own all the same."""
    write({"site-packages/shop/__init__.py": "", "site-packages/shop/wsgi.py": "x = 1\n1 / 0\n"})
    monkeypatch.syspath_prepend(str(folder / "site-packages"))
    assert error_of("shop.wsgi").endswith("by zero (site-packages/shop/wsgi.py:2)")


def test_a_missing_driver_says_what_to_install(write: Write) -> None:
    raising = "raise ModuleNotFoundError(\"No module named 'psycopg2'\", name='psycopg2')\n"
    write({"app.py": raising})
    assert error_of().endswith("Run: pip install psycopg2-binary")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.py", "Could not import 'nowhere'."),
        ("app.py:other", "Failed to find attribute 'other' in 'app'."),
        (None, "Could not locate a Flask application."),
    ],
)
def test_an_app_that_is_not_there(write: Write, path: str | None, message: str) -> None:
    write({"app.py": GOOD} if path else {})
    assert error_of(path).startswith(message)


def test_an_interruption_passes_through(write: Write) -> None:
    write({"app.py": "raise KeyboardInterrupt\n"})
    with pytest.raises(KeyboardInterrupt):
        load(script_info())


# Connecting while imported

CONNECTS = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "{uri}"
    db = SQLAlchemy(app)

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    with app.app_context():
        db.create_all()
        db.engine.dispose()
"""


def connecting(uri: PostgresUri) -> str:
    return CONNECTS.format(uri=uri.render(hide_password=False))


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_without_a_hook_it_is_one_line(write: Write, server: Server, dbname: str, driver: str) -> None:
    write({"app.py": connecting(server.uri(dbname, driver))})
    message = error_of()
    assert message.startswith(
        "the app connects to its database while it is imported, and that failed (app.py:12)"
    )
    assert f'database "{dbname}" does not exist' in message


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_hook_makes_what_is_missing(write: Write, server: Server, dbname: str, driver: str) -> None:
    uri = server.uri(dbname, driver)
    write({"app.py": connecting(uri)})
    asked: list[PostgresUri] = []

    def create(address: PostgresUri) -> None:
        asked.append(address)
        # By SQLAlchemy, as our administration does: the hook must not be called for it.
        engine = sa.create_engine(server.uri(driver=driver).url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{address.dbname}"')
        engine.dispose()

    loaded = load(script_info(), on_connect=create)
    assert loaded.error is None
    assert asked == [uri]
    assert server.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'pet'", dbname=dbname) == [(1,)]


def test_an_error_of_the_hook_is_raised(write: Write, server: Server, dbname: str) -> None:
    write({"app.py": connecting(server.uri(dbname))})

    def fail(_: PostgresUri) -> None:
        raise ServerUnreachable("nobody answers")

    with pytest.raises(ServerUnreachable):
        load(script_info(), on_connect=fail)


def test_the_hook_ends_with_its_block(server: Server) -> None:
    asked: list[PostgresUri] = []
    engine = sa.create_engine(server.uri(driver="psycopg").url, poolclass=sa.NullPool)
    with connection_hook(asked.append):
        for _ in range(2):
            engine.connect().close()
        other = sa.create_engine("sqlite://")
        other.connect().close()
        other.dispose()
    engine.connect().close()
    assert asked == [server.uri(driver="psycopg")]


def test_the_hook_is_told_of_several_hosts_and_sockets(tmp_path: pathlib.Path) -> None:
    asked: list[PostgresUri] = []

    def stop(address: PostgresUri) -> None:
        asked.append(address)
        raise ServerUnreachable("enough")

    uris = [
        "postgresql+psycopg://u:p@/db?host=one:1&host=two:2",
        f"postgresql+psycopg2://u@/db?host={tmp_path}",
        "postgresql+psycopg://u@h",
        "postgresql+psycopg://u@h/db?sslmode=require",
    ]
    for uri in uris:
        with connection_hook(stop), pytest.raises(ServerUnreachable):
            sa.create_engine(uri).connect()
    assert [(uri.hosts, uri.dbname) for uri in asked] == [
        ((("one", 1), ("two", 2)), "db"),
        (((str(tmp_path), None),), "db"),
        ((("h", None),), "u"),
        ((("h", None),), "db"),
    ]
    assert asked[-1].query["sslmode"] == "require"
