"""No password in any output. ``project`` looks for them in whatever any test prints; here it gets hard."""

from __future__ import annotations

import pytest

from flask_postgres import PostgresUri

from ..project import Project
from ..servers import Server
from .looking import error, full, said

RAISING = """
    uri = app.config["SQLALCHEMY_DATABASE_URI"]
    raise RuntimeError(f"{uri} {db.engine.url.password} {db.engine.url.render_as_string(False)!r}")
"""


@pytest.mark.parametrize("flags", [[], ["--verbose"]])
def test_an_app_that_shouts_it(project: Project, server: Server, dbname: str, flags: list[str]) -> None:
    project.app(server.uri(dbname), callback=RAISING)
    result = project.here("setup", *flags)
    assert result.code == 1
    assert f"postgresql://app_dev:***@127.0.0.1:{server.port}/{dbname}" in result.err
    assert ("Traceback" in result.err) == bool(flags)
    assert ("app.py" in result.err.partition("Traceback")[2]) == bool(flags)


def test_an_app_that_prints_it_itself(project: Project, server: Server, dbname: str) -> None:
    """What the app prints is its own; ours is what quotes it."""
    project.app(server.uri(dbname), callback="import sys; sys.exit(app.config['SQLALCHEMY_DATABASE_URI'])")
    assert f"sys.exit('postgresql://app_dev:***@127.0.0.1:{server.port}/{dbname}')" in error(
        project.here("setup")
    )


def test_an_app_that_fails_to_load_with_it(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": "import os\nraise RuntimeError(os.environ['SQLALCHEMY_DATABASE_URI'])\n"})
    result = project.here("create", "--verbose", env={"SQLALCHEMY_DATABASE_URI": full(server.uri(dbname))})
    assert result.code == 0, str(result)
    assert "app_dev:***@" in result.err


def test_a_password_in_the_query(project: Project, server: Server, dbname: str, driver: str) -> None:
    uri = f"postgresql+{driver}://{server.host}:{server.port}/{dbname}?user=app_dev&password=c%40n%2Fary%3Apw"
    project.app(uri, callback=RAISING.replace("db.engine.url.password", "''"))
    assert "password=***" in project.here("setup").err or "app_dev:***@" in project.here("setup").err
    assert project.here("create").code == 0
    assert project.here("config").code == 0
    assert project.here("drop", "-f", "--verbose").code == 0


def test_every_command_with_verbose(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    for command in ("setup", "reset -f", "protect", "unprotect -f", "recover", "config", "drop -f", "init"):
        project.here(*command.split(), "--verbose")


def test_a_password_that_is_an_ordinary_word(project: Project, server: Server, dbname: str) -> None:
    """Masking it inside other words would spoil the words that scripts rely on, and tell it."""
    for password in ("e", "database", "create"):
        server.execute(f"ALTER ROLE app_dev PASSWORD '{password}'")
        try:
            project.app(server.uri(dbname, password=password))
            assert said(project.here("create")) == [f'database "{dbname}" was created']
            assert said(project.here("drop", "-f")) == [f'database "{dbname}" was deleted']
        finally:
            server.execute("ALTER ROLE app_dev PASSWORD 'c@n/ary:pw'")


def test_a_password_that_is_shown_as_a_name(project: Project, server: Server, dbname: str) -> None:
    project.app(
        PostgresUri.build(dbname=dbname, user="same", password="same", host=server.host, port=server.port)
    )
    assert 'refuses the user "same"' in error(project.here("create"))
