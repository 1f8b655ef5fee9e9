"""Migrations of Flask-Migrate, Flask-Alembic and plain Alembic, against real databases."""

from __future__ import annotations

import logging
import pathlib
import types
import typing as t

import pytest
from flask import Flask

from flask_postgres import AppError, MigrationFailed, PostgresUri
from flask_postgres.app.discovery import find_extension
from flask_postgres.app.engines import release_all
from flask_postgres.app.initialize import choose, initialize
from flask_postgres.app.migrations import Migrations, find_migrations
from flask_postgres.app.redirect import redirect

from ..servers import Server

pytestmark = [
    # Old alembic.ini files, which the templates of Flask-Migrate are, make Alembic warn.
    pytest.mark.filterwarnings("ignore:No path_separator found"),
    pytest.mark.filterwarnings("ignore:There is no current event loop:DeprecationWarning"),
]

Write = t.Callable[[t.Mapping[str, str]], None]
LoadModule = t.Callable[[str, str], types.ModuleType]

APP = """
    import os
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    {imports}

    db = SQLAlchemy()

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    def create_app():
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = "{uri}"
        db.init_app(app)
        {setup}
        return app
"""

REVISION = """
    from alembic import op
    import sqlalchemy as sa

    revision = "{revision}"
    down_revision = {down}
    branch_labels = None
    depends_on = None

    def upgrade():
        print("this goes to stderr")
        op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))

    def downgrade():
        op.drop_table("{table}")
"""


def revision(name: str, down: str | None = None, table: str = "pet") -> str:
    return REVISION.format(revision=name, down=repr(down), table=table)


FLASK_MIGRATE_ENV = """
    from logging.config import fileConfig
    from alembic import context
    from flask import current_app

    config = context.config
    fileConfig(config.config_file_name)
    db = current_app.extensions["migrate"].db

    with db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=db.metadata)
        with context.begin_transaction():
            context.run_migrations()
"""

# As apps do that were made from a well-known template: it makes the app a second time.
PLAIN_ENV = """
    from alembic import context
    from sqlalchemy import engine_from_config, pool
    from theapp import create_app, db

    config = context.config
    app = create_app()
    config.set_main_option("sqlalchemy.url", app.config["SQLALCHEMY_DATABASE_URI"].replace("%", "%%"))
    engine = engine_from_config(config.get_section(config.config_ini_section), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=db.metadata)
        with context.begin_transaction():
            context.run_migrations()
"""

INI = """
    [alembic]
    script_location = {location}
    prepend_sys_path = .
    path_separator = os
    sqlalchemy.url = driver://user:pass@localhost/dbname

    [loggers]
    keys = root,alembic,engine
    [handlers]
    keys = console
    [formatters]
    keys = generic
    [logger_root]
    level = WARN
    handlers = console
    [logger_alembic]
    level = INFO
    handlers =
    qualname = alembic
    [logger_engine]
    level = INFO
    handlers =
    qualname = sqlalchemy.engine
    [handler_console]
    class = StreamHandler
    args = (sys.stdout,)
    formatter = generic
    [formatter_generic]
    format = %(message)s
"""


def files_of(tool: str) -> dict[str, str]:
    if tool == "Flask-Migrate":
        return {
            "migrations/alembic.ini": INI.format(location="migrations"),
            "migrations/env.py": FLASK_MIGRATE_ENV,
        }
    if tool == "Flask-Alembic":
        return {}
    return {"alembic.ini": INI.format(location="migrations"), "migrations/env.py": PLAIN_ENV}


def scripts_of(tool: str) -> str:
    return "migrations" if tool == "Flask-Alembic" else "migrations/versions"


IMPORTS = {
    "Flask-Migrate": "from flask_migrate import Migrate",
    "Flask-Alembic": "from flask_alembic import Alembic",
}
SETUP = {
    "Flask-Migrate": "Migrate(app, db)",
    "Flask-Alembic": "Alembic(app, run_mkdir=False)",
}
MODULES = {"Flask-Migrate": "flask_migrate", "Flask-Alembic": "flask_alembic", "Alembic": "alembic"}

MakeMigrated = t.Callable[..., Flask]


@pytest.fixture
def make_migrated(write: Write, load_module: LoadModule) -> t.Iterator[MakeMigrated]:
    """Return a function that makes an app with migrations of one tool."""
    made: list[Flask] = []

    def make_migrated(tool: str, uri: PostgresUri, revisions: t.Mapping[str, str]) -> Flask:
        pytest.importorskip(MODULES[tool])
        scripts = {f"{scripts_of(tool)}/{name}.py": text for name, text in revisions.items()}
        write({**files_of(tool), **scripts})
        source = APP.format(
            uri=uri.with_driver("psycopg").render(hide_password=False),
            imports=IMPORTS.get(tool, ""),
            setup=SETUP.get(tool, "pass"),
        )
        app = load_module("theapp", source).create_app()
        made.append(app)
        return t.cast(Flask, app)

    yield make_migrated
    release_all()


def migrations_of(app: Flask) -> Migrations | None:
    return find_migrations(app, find_extension(app))


def init(app: Flask) -> str:
    return initialize(app, find_extension(app), create_tables=lambda *_: pytest.fail("not migrated"))


def tables(server: Server, uri: PostgresUri) -> set[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    return {name for (name,) in server.execute(query, dbname=uri.dbname)}


every_tool = pytest.mark.parametrize("tool", list(MODULES))


@every_tool
def test_upgrade_and_state(
    make_migrated: MakeMigrated,
    server: Server,
    database: PostgresUri,
    capsys: pytest.CaptureFixture[str],
    tool: str,
) -> None:
    app = make_migrated(tool, database, {"one": revision("one"), "two": revision("two", "one", "toy")})
    migrations = migrations_of(app)
    assert migrations is not None
    before = migrations.state()
    assert (before.tool, before.current, before.heads, before.behind) == (tool, (), ("two",), True)
    assert tables(server, database) == set()  # asking has made nothing

    assert init(app) == f"the migrations of {tool} in migrations, to two"
    assert tables(server, database) == {"alembic_version", "pet", "toy"}
    after = migrations.state()
    assert (after.current, after.behind) == (("two",), False)
    output = capsys.readouterr()
    assert output.out == ""
    assert "this goes to stderr" in output.err


@every_tool
def test_several_heads(make_migrated: MakeMigrated, server: Server, database: PostgresUri, tool: str) -> None:
    app = make_migrated(tool, database, {"one": revision("one"), "two": revision("two", None, "toy")})
    init(app)
    assert tables(server, database) == {"alembic_version", "pet", "toy"}
    migrations = migrations_of(app)
    assert migrations is not None
    state = migrations.state()
    assert (set(state.current), state.behind) == ({"one", "two"}, False)


@every_tool
def test_the_target_is_migrated_and_nothing_else(
    make_migrated: MakeMigrated,
    server: Server,
    database: PostgresUri,
    other_database: PostgresUri,
    tool: str,
) -> None:
    app = make_migrated(tool, database, {"one": revision("one")})
    with redirect(find_extension(app), app, {None: other_database}):
        init(app)
    assert tables(server, other_database) == {"alembic_version", "pet"}
    assert tables(server, database) == set()


@every_tool
def test_a_failure_says_where(make_migrated: MakeMigrated, database: PostgresUri, tool: str) -> None:
    broken = revision("one").replace('print("this goes to stderr")', "1 / 0")
    app = make_migrated(tool, database, {"one": broken})
    with pytest.raises(MigrationFailed) as caught:
        init(app)
    assert str(caught.value) == (
        f"the migrations ({tool}) failed: ZeroDivisionError: division by zero ({scripts_of(tool)}/one.py:10)"
    )


@every_tool
def test_a_script_that_cannot_be_read_says_where(
    make_migrated: MakeMigrated, database: PostgresUri, tool: str
) -> None:
    app = make_migrated(tool, database, {"one": "import nowhere\n" + revision("one")})
    with pytest.raises(MigrationFailed, match=r"one\.py:\d+\)$"):
        choose(app, find_extension(app))


@every_tool
def test_without_a_revision_there_are_no_migrations(
    make_migrated: MakeMigrated, folder: pathlib.Path, database: PostgresUri, tool: str
) -> None:
    app = make_migrated(tool, database, {})
    (folder / "migrations" / "versions").mkdir(parents=True, exist_ok=True)
    assert migrations_of(app) is None
    assert choose(app, find_extension(app)).kind == "create_all"
    with pytest.raises(AppError, match=r"and there is none by alembic\.ini"):
        choose(app, find_extension(app), how="migrations")


@pytest.mark.parametrize("tool", ["Flask-Migrate", "Alembic"])
def test_logging_stays_as_it_was(make_migrated: MakeMigrated, database: PostgresUri, tool: str) -> None:
    app = make_migrated(tool, database, {"one": revision("one")})
    ours, root = logging.getLogger("ours"), logging.getLogger()
    handler = logging.NullHandler()
    root.addHandler(handler)
    level = root.level
    try:
        init(app)
        assert not ours.disabled
        assert handler in root.handlers
        assert root.level == level
        # A logger that the file brings into being, which the logger of our own engines inherits from.
        assert not logging.getLogger("sqlalchemy.engine.Engine").isEnabledFor(logging.INFO)
    finally:
        root.removeHandler(handler)


def test_plain_alembic_above_the_app(
    make_migrated: MakeMigrated, server: Server, database: PostgresUri, folder: pathlib.Path
) -> None:
    """The app's package is below the folder of the alembic.ini."""
    app = make_migrated("Alembic", database, {"one": revision("one")})
    app.root_path = str(folder / "src" / "theapp")
    assert init(app) == "the migrations of Alembic in migrations, to one"
    assert tables(server, database) == {"alembic_version", "pet"}


@pytest.mark.parametrize("has_ini", [True, False])
def test_plain_alembic_in_pyproject(
    make_migrated: MakeMigrated,
    server: Server,
    database: PostgresUri,
    folder: pathlib.Path,
    has_ini: bool,
) -> None:
    """Since 1.16 Alembic's scripts can be configured in the table; the file is for the connection."""
    pytest.importorskip("alembic", minversion="1.16")
    app = make_migrated("Alembic", database, {"one": revision("one")})
    ini = folder / "alembic.ini"
    without_scripts = ini.read_text().replace("script_location = migrations\n", "")
    ini.write_text(without_scripts)
    if not has_ini:
        ini.unlink()
    (folder / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "%(here)s/migrations"\n')
    assert init(app) == "the migrations of Alembic in migrations, to one"
    assert tables(server, database) == {"alembic_version", "pet"}


@pytest.mark.parametrize("text", ["[tool.other]", "[tool.alembic"])
def test_a_pyproject_without_alembic(
    make_migrated: MakeMigrated, database: PostgresUri, folder: pathlib.Path, text: str
) -> None:
    app = make_migrated("Alembic", database, {"one": revision("one")})
    (folder / "alembic.ini").unlink()
    (folder / "pyproject.toml").write_text(text)
    assert migrations_of(app) is None


def test_an_ini_outside_the_project_is_not_the_apps(
    make_migrated: MakeMigrated, database: PostgresUri, folder: pathlib.Path
) -> None:
    app = make_migrated("Alembic", database, {"one": revision("one")})
    inner = folder / "project" / "src"
    inner.mkdir(parents=True)
    (folder / "project" / ".git").mkdir()
    app.root_path = str(inner)
    assert migrations_of(app) is None
