"""--uri and target_database_uri: the commands act on that database, and on no other."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.postgres.marks import State

from ..project import Project
from ..servers import Server, free_port
from .looking import error, full, mark, oid, pets, said, tables


@pytest.fixture
def other(dbname: str) -> str:
    """Return the name of a second database, which does not exist."""
    return f"{dbname}_other"


@pytest.fixture
def seeded(project: Project, server: Server, dbname: str, driver: str) -> Project:
    """Return a project whose own database holds one pet."""
    project.app(server.uri(dbname, driver)).here("setup")
    return project


CREATES_ALL = "create_all"
WAYS: dict[str, t.Callable[[str], tuple[list[str], dict[str, str]]]] = {
    "flag": lambda uri: (["--uri", uri], {}),
    "variable": lambda uri: ([], {"FLASK_POSTGRES_TARGET_DATABASE_URI": uri}),
}


@pytest.mark.parametrize("way", WAYS)
def test_setup_of_another_database(
    seeded: Project, server: Server, dbname: str, other: str, way: str
) -> None:
    """In 0.2.5 this created the one and initialized the other."""
    before = oid(server, dbname)
    arguments, env = WAYS[way](full(server.uri(other)))
    result = seeded.here("setup", *arguments, env=env)
    assert result.code == 0, str(result)
    assert said(result) == [f'database "{other}" was created', f'database "{other}" was initialized']
    assert pets(server, other) == ["Fido"]
    assert pets(server, dbname) == ["Fido"], "the app's own database was touched"
    assert oid(server, dbname) == before


def test_create_all_on_another_database(project: Project, server: Server, dbname: str, other: str) -> None:
    project.app(server.uri(dbname)).here("create")
    result = project.here("setup", "--init-with", "create_all", "--uri", full(server.uri(other)))
    assert result.code == 0, str(result)
    assert tables(server, other) == {"pet"}
    assert tables(server, dbname) == set()


def test_the_apps_own_database_need_not_exist(
    project: Project, server: Server, dbname: str, other: str
) -> None:
    project.app(server.uri(dbname))
    assert project.here("setup", "--uri", full(server.uri(other))).code == 0
    assert pets(server, other) == ["Fido"]
    assert oid(server, dbname) is None


def test_reset_and_drop_of_another_database(seeded: Project, server: Server, dbname: str, other: str) -> None:
    uri = full(server.uri(other))
    before = oid(server, dbname)
    assert seeded.here("setup", "--uri", uri).code == 0
    assert seeded.here("reset", "--uri", uri, input=f"{other}\n").code == 0
    assert pets(server, other) == ["Fido"]
    assert error(seeded.here("drop", "--uri", uri, input=f"{dbname}\n"))
    assert seeded.here("drop", "--uri", uri, "-y").code == 0
    assert oid(server, other) is None
    assert oid(server, dbname) == before
    assert pets(server, dbname) == ["Fido"]


def test_the_callback_reads_the_target_from_the_config(
    project: Project, server: Server, dbname: str, other: str
) -> None:
    callback = "print(app.config['SQLALCHEMY_DATABASE_URI'].rpartition('/')[2], db.engine.url.database)"
    project.app(server.uri(dbname), callback=callback)
    result = project.here("setup", "--uri", full(server.uri(other)))
    assert result.code == 0, str(result)
    assert f"{other} {other}" in result.all


def test_another_user_of_the_same_server(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert project.here("create", "--uri", full(server.superuser_uri(dbname))).code == 0
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    assert server.execute(owner, dbname) == [("postgres",)]


def test_postgres_as_scheme(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    uri = full(server.uri(dbname)).replace("postgresql://", "postgres://")
    assert said(project.here("create", "--uri", uri)) == [f'database "{dbname}" was created']


def test_postgres_as_scheme_in_the_app(project: Project, server: Server, dbname: str) -> None:
    """SQLAlchemy does not know it, and Heroku's variable has it."""
    project.app(server.uri(dbname))
    file = project.folder / "app.py"
    file.write_text(file.read_text().replace("postgresql://", "postgres://"))
    message = error(project.psql("setup"))
    assert message.endswith('In the app, write uri.replace("postgres://", "postgresql://", 1)'), message


@pytest.mark.parametrize("foreign", ["asyncpg", "pg8000"])
def test_a_driver_that_does_not_administer(
    project: Project, server: Server, dbname: str, foreign: str
) -> None:
    project.app(server.uri(dbname))
    uri = full(server.uri(dbname, foreign))
    query = "?prepared_statement_cache_size=0&ssl=prefer" if foreign == "asyncpg" else ""
    result = project.here("create", "--verbose", "--uri", uri + query)
    assert result.code == 0, str(result)
    if query:
        assert "left out of the URI" in result.err
        assert "prepared_statement_cache_size" in result.err
    assert project.here("drop", "-f", "--uri", uri).code == 0


def test_query_parameters_are_kept(project: Project, server: Server, dbname: str, driver: str) -> None:
    """The administration of another database of the server uses them too, and so does init."""
    callback = """
        show = lambda name: db.session.execute(db.text(f"SHOW {name}")).scalar()
        print(show("work_mem"), show("application_name"))
    """
    options = {"options": "-c work_mem=5MB", "application_name": "mine", "sslmode": "prefer"}
    uri = PostgresUri.build(
        dbname=dbname, user="app_dev", password="c@n/ary:pw", host=server.host, port=server.port,
        driver=driver, query=options,
    )  # fmt: skip
    project.app(uri, callback=callback)
    result = project.here("setup")
    assert result.code == 0, str(result)
    assert "5MB mine" in result.all


def test_several_hosts(project: Project, server: Server, dbname: str, driver: str) -> None:
    """The first does not answer, the second does."""
    uri = f"postgresql+{driver}://app_dev:c%40n%2Fary%3Apw@/{dbname}?host=127.0.0.1:1&host={server.host}:{server.port}"
    project.app(uri)
    for arguments in (["setup"], ["reset", "-f"], ["drop", "-f"]):
        result = project.here(*arguments, env={"FLASK_POSTGRES_SERVER": "external"})
        assert result.code == 0, str(result)


def test_several_hosts_with_one_port(project: Project, server: Server, dbname: str, driver: str) -> None:
    """As libpq reads it. SQLAlchemy does not, so an app cannot have it as its own URI."""
    project.app(server.uri(dbname))
    uri = f"postgresql+{driver}://app_dev:c%40n%2Fary%3Apw@/{dbname}_2?host=no.such.invalid,{server.host}&port={server.port}"
    for arguments in (["setup"], ["drop", "-f"]):
        result = project.here(*arguments, "--uri", uri, env={"FLASK_POSTGRES_SERVER": "external"})
        assert result.code == 0, str(result)


def test_a_remedy_means_the_database_that_the_command_was_about(
    seeded: Project, server: Server, other: str
) -> None:
    """Copied without its --uri it would lift the protection of the app's own database."""
    uri, masked = full(server.uri(other)), server.uri(other).render()
    assert error(seeded.here("init", "--uri", uri)).endswith(f"flask psql setup --uri {masked}")
    assert seeded.here("create", "--protect", "--uri", uri).code == 0
    assert error(seeded.here("drop", "-f", "--uri", uri)).endswith(f"psql unprotect --uri {masked}")
    mark(server, other, State.BLOCKED, of=other)
    assert f": flask psql recover --uri {masked}" in seeded.here("status", "--uri", uri).out
    assert seeded.here("protect").code == 0
    assert error(seeded.here("drop", "-f")).endswith(": flask psql unprotect")


def test_no_other_message_is_given_the_uri(seeded: Project, server: Server, other: str) -> None:
    env = {"FLASK_POSTGRES_CLI_DISALLOWED_ENVS": "ci", "FLASK_POSTGRES_ENV": "ci"}
    message = error(seeded.here("reset", "-f", "--uri", full(server.uri(other)), env=env))
    assert message.startswith("flask psql reset is not allowed")
    assert "with the same" not in message


def test_a_uri_of_the_app_that_is_none(project: Project) -> None:
    project.write({"app.py": APP_WITH_A_TYPO})
    message = error(project.psql("setup"))
    assert message.endswith("Write the URI like postgresql://user:password@localhost:5432/mydb"), message


APP_WITH_A_TYPO = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql//me@localhost/mydb"
    db = SQLAlchemy(app)
"""


def test_an_app_without_an_extension_is_refused_before_a_server_is_started(
    project: Project, tmp_path: pathlib.Path
) -> None:
    project.write({"app.py": "from flask import Flask\napp = Flask(__name__)\n"})
    uri = f"postgresql://me@localhost:{free_port()}/mydb"
    message = error(project.psql("setup", "--uri", uri, "--server-data-dir", str(tmp_path / "data")))
    assert "Flask-SQLAlchemy" in message
    assert not (tmp_path / "data").exists()
