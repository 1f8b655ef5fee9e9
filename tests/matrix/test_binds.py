"""Several databases of one app: the default one alone, chosen binds, or all of them."""

from __future__ import annotations

import typing as t

import pytest

from ..cli.looking import error, full, oid, said, tables
from ..project import Project
from ..servers import Server
from .apps import LITE, with_callback

APP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {default!r}
    app.config["SQLALCHEMY_BINDS"] = {binds!r}
    db = SQLAlchemy(app)

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    class Line(db.Model):
        __bind_key__ = "logs"
        id = db.Column(db.Integer, primary_key=True)

    class Sale(db.Model):
        __bind_key__ = "sales"
        id = db.Column(db.Integer, primary_key=True)
"""

ALL = ["pet", "line", "sale"]


class Names(t.NamedTuple):
    """The databases of the default bind, of "logs" and of "sales"."""

    default: str
    logs: str
    sales: str


@pytest.fixture
def names(dbname: str) -> Names:
    return Names(dbname, f"{dbname}_logs", f"{dbname}_sales")


def app_of(server: Server, names: Names, **other: str) -> str:
    """Return the app's text; ``other`` URIs replace those of the binds, or of ``default``."""
    uris = {key: full(server.uri(name)) for key, name in names._asdict().items()} | other
    default = uris.pop("default")
    return APP.format(default=default, binds=uris)


@pytest.fixture
def shop(project: Project, server: Server, names: Names) -> Project:
    return project.write({"app.py": app_of(server, names)})


def fill(server: Server, names: Names) -> None:
    for name, table in zip(names, ALL, strict=True):
        server.execute(f"INSERT INTO {table} VALUES (7)", dbname=name)


def counts(server: Server, names: Names) -> list[int]:
    pairs = zip(names, ALL, strict=True)
    return [server.execute(f"SELECT count(*) FROM {table}", dbname=name)[0][0] for name, table in pairs]


def present(server: Server, names: Names) -> list[bool]:
    return [oid(server, name) is not None for name in names]


# Choosing


def test_the_default_one_alone_unless_asked(shop: Project, server: Server, names: Names) -> None:
    assert shop.here("setup").code == 0
    assert present(server, names) == [True, False, False]
    assert tables(server, names.default) == {"pet"}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["--bind-key", "logs"], [False, True, False]),
        (["--bind-key", "logs", "--bind-key", "sales", "--bind-key", "logs"], [False, True, True]),
        (["--all-binds"], [True, True, True]),
        (["--all-binds", "--bind-key", "logs"], [True, True, True]),
    ],
)
def test_chosen_binds(
    shop: Project, server: Server, names: Names, chosen: list[str], expected: list[bool]
) -> None:
    result = shop.here("setup", *chosen)
    assert result.code == 0, str(result)
    assert present(server, names) == expected
    for name, table, made in zip(names, ALL, expected, strict=True):
        if made:
            assert tables(server, name) == {table}
            assert f'database "{name}" was initialized' in result.err
    result = shop.here("drop", "--force", *chosen)
    assert sum("was deleted" in line for line in said(result)) == sum(expected)
    assert present(server, names) == [False] * 3


@pytest.mark.parametrize("command", ["setup", "status", "drop"])
def test_an_unknown_bind(shop: Project, server: Server, names: Names, command: str) -> None:
    assert error(shop.here(command, "--bind-key", "log")) == (
        'the app\'s Flask-SQLAlchemy has no bind "log"; its binds: logs, sales.'
    )
    assert not any(present(server, names))


def test_a_flag_with_a_uri_is_for_one_database(shop: Project, server: Server, names: Names) -> None:
    """Which of the databases would it name? Guessing could drop another one than was meant."""
    other = full(server.uri(f"{names.default}_other"))
    for chosen in (["--bind-key", "logs"], ["--all-binds"]):
        assert "--uri names one database" in error(shop.here("create", "--uri", other, *chosen), code=2)
    assert not any(present(server, names))
    env = {"FLASK_POSTGRES_TARGET_DATABASE_URI": other}
    assert shop.here("create", "--all-binds", env=env).code == 0
    assert oid(server, f"{names.default}_other")
    assert present(server, names) == [False, True, True]


def test_status_of_a_bind(shop: Project, names: Names) -> None:
    assert shop.here("setup", "--bind-key", "logs").code == 0
    assert f"database:    {names.logs}\n" in shop.here("status", "--bind-key", "logs").out
    message = error(shop.here("status", "--bind-key", "logs", "--bind-key", "sales"), code=2)
    assert message == "flask psql status is for one database: give one --bind-key."


# Binds that are not PostgreSQL, and binds that are the same


def test_a_bind_of_another_kind_is_left_alone(project: Project, server: Server, names: Names) -> None:
    project.write({"app.py": app_of(server, names, sales=f"sqlite:///{project.folder}/sales.db")})
    for command in (["setup"], ["reset", "--force"], ["drop", "--force"]):
        result = project.here(*command, "--all-binds")
        assert result.code == 0, str(result)
        assert 'the bind "sales" is left alone: the scheme "sqlite" is not PostgreSQL' in result.err
    assert not (project.folder / "sales.db").exists()
    assert error(project.here("setup", "--bind-key", "sales"), code=2) == (
        "none of these binds is a PostgreSQL database."
    )


def test_a_default_of_another_kind(project: Project, server: Server, names: Names) -> None:
    project.write({"app.py": app_of(server, names, default="sqlite://")})
    assert 'the scheme "sqlite" is not PostgreSQL' in error(project.here("setup"), code=2)
    result = project.here("setup", "--all-binds")
    assert result.code == 0, str(result)
    assert 'the default database is left alone: the scheme "sqlite" is not PostgreSQL' in result.err
    assert present(server, names) == [False, True, True]
    assert said(project.here("drop", "-f", "--bind-key", "logs"))[0] == f'database "{names.logs}" was deleted'


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_one_database_behind_two_binds(project: Project, server: Server, names: Names, host: str) -> None:
    """It is made once, with the tables of both."""
    again = full(server.uri(names.default, "psycopg")).replace("127.0.0.1", host)
    project.write({"app.py": app_of(server, names, sales=again)})
    result = project.here("setup", "--all-binds")
    assert sorted(said(result)) == sorted(
        f'database "{name}" was {what}' for name in names[:2] for what in ("created", "initialized")
    )
    assert tables(server, names.default) == {"pet", "sale"}
    first = oid(server, names.default)
    result = project.here("reset", "--all-binds", "--force")
    assert result.code == 0, str(result)
    assert result.err.count(f'the old database "{names.default}" is kept') == 1
    assert oid(server, names.default) != first
    assert tables(server, names.default) == {"pet", "sale"}


def test_one_database_by_two_addresses_that_do_not_show_it(
    project: Project, server: Server, names: Names
) -> None:
    """As through a pooler's port: the command must not wait for itself."""
    again = full(server.uri(names.default)).replace("127.0.0.1", "db.example") + "?hostaddr=127.0.0.1"
    project.write({"app.py": app_of(server, names, sales=again)})
    assert project.here("setup", "--bind-key", "sales").code == 0
    assert project.here("drop", "--bind-key", "sales", "-f").code == 0
    result = project.here("setup", "--all-binds")
    assert error(result, code=2) == (
        f'two binds lead to one database, "{names.default}", by different addresses. '
        "Write the same host and port in both URIs."
    )
    assert not any(present(server, names))


def test_engines_of_lite(project: Project, server: Server, names: Names) -> None:
    one, two = (full(server.uri(name)) for name in names[:2])
    text = LITE.format(uri=one).replace(f'"default": {one!r}', f'"default": {one!r}, "logs": {two!r}')
    project.write({"app.py": text})
    assert project.here("setup", "--all-binds").code == 0
    assert (tables(server, names.default), tables(server, names.logs)) == ({"pet"}, set())
    make = 'with db.get_engine("logs").begin() as c: c.exec_driver_sql("CREATE TABLE line (id int)")'
    project.write({"app.py": with_callback(text, make)})
    assert project.here("reset", "--force", "--bind-key", "logs").code == 0
    assert (tables(server, names.default), tables(server, names.logs)) == ({"pet"}, {"line"})


# All or nothing


def test_a_reset_of_all(shop: Project, server: Server, names: Names) -> None:
    assert shop.here("setup", "--all-binds").code == 0
    fill(server, names)
    before = [oid(server, name) for name in names]
    result = shop.here("reset", "--all-binds", input="\n".join(names[:2]) + "\nwrong\n")
    assert error(result) == f'that is not "{names.sales}", so nothing was done.'
    assert [oid(server, name) for name in names] == before
    result = shop.here("reset", "--all-binds", input="\n".join(names) + "\n")
    assert result.code == 0, str(result)
    assert counts(server, names) == [0, 0, 0]
    assert not set(before) & {oid(server, name) for name in names}


FAILURES = {
    "raises": ['raise RuntimeError("no more")'],
    "exits": ["import sys; sys.exit(3)"],
    "in the last bind": [
        'with db.engines["sales"].begin() as connection:',
        '    connection.exec_driver_sql("CREATE TABLE sale (id int)")',
    ],
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_reset_of_all_that_fails_keeps_all(
    shop: Project, server: Server, names: Names, failure: str
) -> None:
    assert shop.here("setup", "--all-binds").code == 0
    fill(server, names)
    before = [oid(server, name) for name in names]
    text = with_callback(app_of(server, names), "db.create_all()", *FAILURES[failure])
    shop.write({"app.py": text})
    assert "the init callback app.seed failed" in error(shop.here("reset", "--all-binds", "--force"))
    assert [oid(server, name) for name in names] == before
    assert counts(server, names) == [1, 1, 1]
    assert {name for name in server.names() if names.default in name} == set(names)


def test_a_callback_that_wants_every_bind(shop: Project, server: Server, names: Names) -> None:
    """As Flask-SQLAlchemy's own create_all does."""
    shop.write({"app.py": with_callback(app_of(server, names), "db.create_all()")})
    message = error(shop.here("setup"))
    assert f'database "{names.logs}" does not exist' in message
    assert message.endswith("The app has other binds, which were not chosen: --all-binds chooses them.")
    assert not any(present(server, names))
    assert shop.here("setup", "--all-binds").code == 0
    assert counts(server, names) == [0, 0, 0]


def test_a_setup_of_all_that_fails_leaves_what_was_there(shop: Project, server: Server, names: Names) -> None:
    assert shop.here("setup").code == 0
    failing = with_callback(app_of(server, names), "db.create_all()", "1 / 0")
    shop.write({"app.py": failing})
    assert "ZeroDivisionError" in error(shop.here("setup", "--all-binds"))
    assert present(server, names) == [True, False, False]


def test_one_that_must_not_be_dropped_keeps_all(shop: Project, server: Server, names: Names) -> None:
    assert shop.here("setup", "--all-binds").code == 0
    assert shop.here("protect", "--bind-key", "sales").code == 0
    for command in ("reset", "drop"):
        assert f'database "{names.sales}" is protected' in error(shop.here(command, "--all-binds", "-f"))
    assert present(server, names) == [True] * 3


def test_one_server_that_does_not_answer_keeps_all(project: Project, server: Server, names: Names) -> None:
    away = "postgresql://app_dev@127.0.0.1:1/away"
    project.write({"app.py": app_of(server, names, sales=away)})
    result = project.here("setup", "--all-binds", "--server", "external")
    assert "127.0.0.1" in error(result)
    assert not any(present(server, names))


def test_a_dry_run_shows_every_plan(shop: Project, server: Server, names: Names) -> None:
    result = shop.here("setup", "--all-binds", "--dry-run")
    assert result.code == 0, str(result)
    for name in names:
        assert f'setup of database "{name}" on 127.0.0.1:{server.port}\n' in result.out
    assert "create_all, 3 tables" in result.out
    assert not any(present(server, names))


def test_a_remedy_means_the_bind_that_the_command_was_about(shop: Project) -> None:
    assert error(shop.here("init", "--bind-key", "logs")).endswith("flask psql setup --bind-key logs")
