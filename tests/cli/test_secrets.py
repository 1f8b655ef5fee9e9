"""No password in any output. ``project`` looks for them in whatever any test prints; here it gets hard."""

from __future__ import annotations

import pytest

from flask_postgres import PostgresUri

from ..project import Project
from ..servers import Server
from .looking import KEPT, error, full, said

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


def test_passwords_that_the_command_is_not_about(project: Project, server: Server, dbname: str) -> None:
    """Those of other binds, of engine options and of libpq's environment are the app's secrets as well."""
    shouting = "raise RuntimeError('first-pw', 'second-pw', 'third-pw', 'fourth-pw')"
    text = (project.app(server.uri(dbname), callback=shouting).folder / "app.py").read_text()
    binds = """
app.config["SQLALCHEMY_BINDS"] = {
    "text": "postgresql://u:first-pw@h/x",
    "options": {"url": "postgresql://u@h/y", "connect_args": {"password": "second-pw"}},
}
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"connect_args": {"passfile": "/no", "sslpassword": "third-pw"}}
db = SQLAlchemy(app)
"""
    project.write({"app.py": text.replace("\ndb = SQLAlchemy(app)\n", binds)})
    message = error(project.here("setup", env={"PGPASSWORD": "fourth-pw"}))
    assert "RuntimeError: ('***', '***', '***', '***')" in message


def test_a_long_message_is_not_cut_within_a_password(project: Project, server: Server, dbname: str) -> None:
    for length in range(385, 400):
        project.app(
            server.uri(dbname), callback=f"raise RuntimeError('x' * {length} + ' c@n/ary:pw and so on')"
        )
        message = error(project.here("setup"))
        assert "c@n" not in message
        assert "…" in message


def test_a_uri_of_an_app_that_cannot_be_loaded(project: Project, server: Server, dbname: str) -> None:
    """Nobody knows its password, and a traceback shows the line that holds it."""
    text = "postgres//u:super-s3cret@h/db"
    project.write({"app.py": f"uri = {text!r}; raise ValueError(f'cannot parse {{uri!r}}')\n"})
    result = project.here("create", "--verbose", "--uri", full(server.uri(dbname)))
    assert "cannot parse 'postgres//u:***@h/db'" in result.err
    result = project.here("init", "--verbose")
    assert "uri = 'postgres//u:***@h/db'" in result.err.partition("Traceback")[2]


def test_a_password_of_the_environment_that_is_shown_as_a_name(project: Project) -> None:
    project.write({"app.py": "import nowhere\n"})
    message = error(project.here("create", env={"DATABASE_URL": "postgresql://app:app@localhost/app"}))
    assert message.startswith("the app could not be loaded")


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
            assert said(project.here("drop", "-f")) == [f'database "{dbname}" was deleted', KEPT]
        finally:
            server.execute("ALTER ROLE app_dev PASSWORD 'c@n/ary:pw'")


def test_a_password_that_is_shown_as_a_name(project: Project, server: Server, dbname: str) -> None:
    project.app(
        PostgresUri.build(dbname=dbname, user="same", password="same", host=server.host, port=server.port)
    )
    assert 'refuses the user "same"' in error(project.here("create"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["create"],
        ["config", "--init-with"],
        ["hunter22://u:hunter22@h"],
        ["drop", "--uri", "postgresql://h/x"],
    ],
)
def test_an_argument_that_click_refuses(project: Project, arguments: list[str]) -> None:
    result = project.here(*arguments, "postgresql://u:hunter22@h/db")
    assert result.code == 2
    assert "u:***@h" in result.err
    assert "u:hunter22" not in result.err


RAISES = """
    import os
    from flask import Flask
    from flask_sqlalchemy_lite import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_ENGINES"] = {"default": os.environ["SQLALCHEMY_DATABASE_URI"]}
    db = SQLAlchemy(app)

    class Models:
        @property
        def metadata(self):
            raise RuntimeError("no metadata in " + os.environ["SQLALCHEMY_DATABASE_URI"])

    models = Models()
"""


@pytest.mark.parametrize("flags", [[], ["--verbose"]])
def test_an_error_that_nothing_expects(project: Project, database: PostgresUri, flags: list[str]) -> None:
    """Type, text and place are on one line; the traceback comes with --verbose. Neither shows a password."""
    pytest.importorskip("flask_sqlalchemy_lite")
    project.write({"app.py": RAISES})
    env = {"SQLALCHEMY_DATABASE_URI": full(database)}
    result = project.here(
        "init", "--init-with", "create_all", "--metadata", "app:models.metadata", *flags, env=env
    )
    assert result.code == 1
    message = next(line for line in result.err.splitlines() if line.startswith("Error: "))
    assert message.startswith("Error: unexpected RuntimeError: no metadata in postgresql://app_dev:***@")
    assert "(app.py:13)" in message
    assert ("Traceback" in result.err) == bool(flags)
