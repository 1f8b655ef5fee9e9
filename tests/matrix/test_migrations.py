"""Migrations by the tools that apps use, and the tools' own commands afterwards."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import psycopg
import pytest

from ..cli.looking import error, full, oid, tables
from ..project import Project
from ..servers import Server
from .apps import LEGACY, with_callback

pytestmark = [
    # What the template of Flask-Migrate does, seen when the command runs in this process.
    pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning"),
]

MIGRATE = LEGACY + "\n    from flask_migrate import Migrate\n    Migrate(app, db)\n"
FLASK_ALEMBIC = (
    LEGACY
    + """
    from flask_alembic import Alembic
    from flask_alembic.cli import cli as alembic_cli

    app.config["ALEMBIC"] = {{"script_location": "migrations"}}
    alembic = Alembic(app, run_mkdir=False)
    app.cli.add_command(alembic_cli, "db")
"""
)

REVISION = """
    from alembic import op
    import sqlalchemy as sa

    revision = "{name}"
    down_revision = {down!r}

    def upgrade():
        op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))

    def downgrade():
        op.drop_table("{name}")
"""

# As in apps made from well-known examples: the script makes the app anew, and reads its config.
PLAIN_ENV = """
    from logging.config import fileConfig

    from alembic import context
    from sqlalchemy import engine_from_config, pool

    from app import app

    config = context.config
    fileConfig(config.config_file_name)
    config.set_main_option("sqlalchemy.url", app.config["SQLALCHEMY_DATABASE_URI"]{escaped})
    engine = engine_from_config(config.get_section(config.config_ini_section), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""

INI = """
    [alembic]
    script_location = migrations
    path_separator = os

    [loggers]
    keys = root,alembic
    [handlers]
    keys = console
    [formatters]
    keys = generic
    [logger_root]
    level = WARNING
    handlers = console
    [logger_alembic]
    level = INFO
    handlers =
    qualname = alembic
    [handler_console]
    class = StreamHandler
    args = (sys.stderr,)
    formatter = generic
    [formatter_generic]
    format = %(levelname)s [%(name)s] %(message)s
"""


def revise(project: Project, *names: str, tool: str = "Alembic") -> None:
    """Write a chain of revisions, each of which makes a table of its own name."""
    folder = "migrations" if tool == "Flask-Alembic" else "migrations/versions"
    for name, down in zip(names, (None, *names), strict=False):
        project.write({f"{folder}/{name}.py": REVISION.format(name=name, down=down)})


def write_migrate(project: Project, uri: str) -> None:
    project.write({"app.py": MIGRATE.format(uri=uri)})
    result = project.run("db", "init")
    assert result.code == 0, str(result)
    revise(project, "one", "two")


def write_flask_alembic(project: Project, uri: str) -> None:
    project.write({"app.py": FLASK_ALEMBIC.format(uri=uri)})
    revise(project, "one", "two", tool="Flask-Alembic")


def write_plain(project: Project, uri: str, *, escaped: str = '.replace("%", "%%")') -> None:
    env = PLAIN_ENV.format(escaped=escaped)
    project.write({"app.py": LEGACY.format(uri=uri), "alembic.ini": INI, "migrations/env.py": env})
    revise(project, "one", "two")


TOOLS = {"Flask-Migrate": write_migrate, "Flask-Alembic": write_flask_alembic, "Alembic": write_plain}


def own_upgrade(project: Project, tool: str) -> str:
    """Run the tool's own command, and return what it printed."""
    if tool != "Alembic":
        result = project.run("db", "upgrade")
        assert result.code == 0, str(result)
        return result.all
    command = [sys.executable, "-m", "alembic", "upgrade", "heads"]
    done = subprocess.run(command, cwd=project.folder, env=project.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("tool", TOOLS)
def test_setup_migrates(project: Project, server: Server, dbname: str, tool: str) -> None:
    TOOLS[tool](project, full(server.uri(dbname)))
    result = project.psql("setup")
    assert result.code == 0, str(result)
    assert tables(server, dbname) == {"alembic_version", "one", "two"}
    assert "Running upgrade" not in own_upgrade(project, tool)

    revise(project, "one", "two", "three", tool=tool)
    result = project.here("status", "--json", "--exit-code")
    assert result.code == 1
    shown = json.loads(result.out)["migrations"]
    expected = {"tool": tool, "current": ["two"], "heads": ["three"], "behind": True, "error": None}
    assert shown == expected
    assert "alembic.runtime" not in result.err, "a look at the database prints nothing of its own"
    assert project.here("init").code == 0
    assert "three" in tables(server, dbname)
    assert f"{tool}, at three (up to date)" in project.here("status", "--exit-code").out

    other = f"{dbname}_other"
    assert project.here("setup", "--uri", full(server.uri(other))).code == 0
    assert tables(server, other) == tables(server, dbname)


@pytest.mark.parametrize("tool", TOOLS)
def test_create_all_in_place_of_migrations(project: Project, server: Server, dbname: str, tool: str) -> None:
    """The next setup runs the migrations: their first would fail at a table that is there."""
    TOOLS[tool](project, full(server.uri(dbname)))
    for command in (["setup"], ["reset", "-f"]):
        result = project.here(*command, "--init-with", "create_all")
        assert result.code == 0, str(result)
        note = f"create_all ran in place of the migrations of {tool}: they count as run, to two"
        assert note in result.err
        assert tables(server, dbname) == {"alembic_version", "pet"}
    assert project.here("setup").code == 0
    assert tables(server, dbname) == {"alembic_version", "pet"}
    server.execute("DROP TABLE alembic_version", dbname=dbname)
    assert "count as run" not in project.here("init", "--init-with", "create_all").err
    assert tables(server, dbname) == {"pet"}, "what is in the table of somebody else's making is not known"


def test_several_heads(project: Project, server: Server, dbname: str) -> None:
    write_migrate(project, full(server.uri(dbname)))
    revise(project, "blue")
    assert project.here("setup").code == 0
    assert tables(server, dbname) == {"alembic_version", "one", "two", "blue"}
    shown = project.here("status", "--exit-code")
    assert shown.code == 0
    assert "(up to date)" in shown.out


MULTIDB = """
    from alembic import op
    import sqlalchemy as sa

    revision = "one"
    down_revision = None

    def upgrade(engine_name):
        globals()[f"upgrade_{engine_name}"]()

    def upgrade_():
        op.create_table("here", sa.Column("id", sa.Integer))

    def upgrade_logs():
        op.create_table("there", sa.Column("id", sa.Integer))
"""


def test_multidb(project: Project, server: Server, dbname: str) -> None:
    """Its env.py connects to every bind, so every bind must be there."""
    logs = f"{dbname}_logs"
    binds = {"logs": full(server.uri(logs))}
    text = MIGRATE.format(uri=full(server.uri(dbname)))
    text = text.replace("    db =", f'    app.config["SQLALCHEMY_BINDS"] = {binds!r}\n    db =')
    project.write({"app.py": text})
    assert project.run("db", "init", "--multidb").code == 0
    project.write({"migrations/versions/one.py": MULTIDB})
    message = error(project.psql("setup"))  # the connections that env.py leaves open end with its process
    assert f'database "{logs}" does not exist' in message
    assert "--all-binds" in message
    assert oid(server, dbname) is None

    assert project.here("setup", "--all-binds").code == 0
    assert (tables(server, dbname), tables(server, logs)) == (
        {"alembic_version", "here"},
        {"alembic_version", "there"},
    )
    assert "Running upgrade" not in project.run("db", "upgrade").all
    assert "(up to date)" in project.here("status", "--exit-code").out
    assert project.here("reset", "--all-binds", "--force").code == 0
    assert (tables(server, dbname), tables(server, logs)) == (
        {"alembic_version", "here"},
        {"alembic_version", "there"},
    )


@pytest.mark.parametrize(
    ("init_with", "made"),
    [
        (None, {"by_callback"}),
        ("auto", {"by_callback"}),
        ("callback", {"by_callback"}),
        ("migrations", {"alembic_version", "one", "two"}),
        ("create_all", {"alembic_version", "pet"}),
    ],
)
def test_init_with(
    project: Project, server: Server, dbname: str, init_with: str | None, made: set[str]
) -> None:
    uri = full(server.uri(dbname))
    write_plain(project, uri)
    make = 'with db.engine.begin() as connection: connection.exec_driver_sql("CREATE TABLE by_callback ()")'
    project.write({"app.py": with_callback(LEGACY.format(uri=uri), make)})
    flag = ["--init-with", init_with] if init_with else []
    assert project.here("setup", *flag).code == 0
    assert tables(server, dbname) == made
    setting = {"FLASK_POSTGRES_INIT_WITH": init_with} if init_with else {}
    assert project.here("reset", "--force", env=setting).code == 0
    assert tables(server, dbname) == made


def test_a_percent_sign_in_the_password(project: Project, server: Server, dbname: str) -> None:
    """An env.py that does not write it twice fails for its own command too; ours says what to write."""
    write_plain(project, full(server.uri(dbname)), escaped="")
    message = error(project.here("setup"))
    assert message.startswith("the migrations (Alembic) failed: ValueError: invalid interpolation syntax in")
    assert f'(migrations/env.py:11). Database "{dbname}" was removed again. In env.py, write' in message
    assert "the URL with %% for each %:" in message
    assert oid(server, dbname) is None


def test_a_migration_that_fails(project: Project, server: Server, dbname: str) -> None:
    write_plain(project, full(server.uri(dbname)))
    assert project.here("setup").code == 0
    before = oid(server, dbname)
    revise(project, "one", "two", "three")
    script = project.folder / "migrations" / "versions" / "three.py"
    script.write_text(script.read_text().replace("sa.Integer", "sa.Intger"))
    message = error(project.here("reset", "--force"))
    assert "AttributeError: module 'sqlalchemy' has no attribute 'Intger'" in message
    assert message.endswith(f'(migrations/versions/three.py:9). Database "{dbname}" is as it was.')
    assert oid(server, dbname) == before


@pytest.mark.parametrize("words", [["setup"], ["init"], ["status"]])
def test_a_revision_that_the_scripts_do_not_have(
    project: Project, server: Server, dbname: str, words: list[str]
) -> None:
    """Another branch of the repository has it."""
    write_plain(project, full(server.uri(dbname)))
    assert project.here("setup").code == 0
    with psycopg.connect(full(server.uri(dbname))) as session:
        session.execute("UPDATE alembic_version SET version_num = 'gone'")
    shown = project.here(*words).all
    assert "Can't locate revision identified by 'gone'" in shown
    assert "or make the database anew: flask psql reset" in shown


def test_a_callback_that_wants_the_tables_of_the_migrations(
    project: Project, server: Server, dbname: str
) -> None:
    """It runs in their place, which nobody who writes a seed would guess."""
    uri = full(server.uri(dbname))
    write_plain(project, uri)
    seed = "db.session.execute(db.text('INSERT INTO one VALUES (1)'))"
    project.write({"app.py": with_callback(LEGACY.format(uri=uri), seed)})
    message = error(project.here("setup"))
    assert "The init callback runs in place of the migrations of Alembic" in message
    assert "--init-with migrations" in message


def test_a_migration_whose_parent_does_not_exist(project: Project, server: Server, dbname: str) -> None:
    write_plain(project, full(server.uri(dbname)))
    script = project.folder / "migrations" / "versions" / "one.py"
    text = re.sub(r"down_revision = .*", "down_revision = 'nonexist'", script.read_text())
    script.write_text(text)
    assert "'nonexist'" in text
    message = error(project.psql("setup"))
    assert "A migration may name 'nonexist' as its down_revision" in message
    assert oid(server, dbname) is None


def test_migrations_that_have_not_begun(project: Project, server: Server, dbname: str) -> None:
    """After create_all, the first autogenerated revision would be empty."""
    write_plain(project, full(server.uri(dbname)))
    for script in (project.folder / "migrations" / "versions").glob("*.py"):
        script.unlink()
    result = project.here("setup")
    assert result.code == 0, str(result)
    assert "Alembic has no revision yet, so create_all makes the tables" in result.err
    assert "no revision yet" not in project.here("reset", "-f", "--init-with", "create_all").err


def test_tables_that_create_all_has_made_before(project: Project, server: Server, dbname: str) -> None:
    write_plain(project, full(server.uri(dbname)))
    assert project.here("create").code == 0
    server.execute("CREATE TABLE one (id int)", dbname=dbname)
    message = error(project.here("setup"))
    assert "mark the migrations as run, such as with flask db stamp head" in message
    assert "or make the database anew: flask psql reset" in message


def test_a_key_that_env_py_misses(project: Project, server: Server, dbname: str) -> None:
    """It has nothing to do with the revisions, and must not be said to."""
    write_plain(project, full(server.uri(dbname)))
    env = project.folder / "migrations" / "env.py"
    env.write_text(f"import os\nos.environ['NO_SUCH_VARIABLE']\n{env.read_text()}")
    message = error(project.psql("setup"))
    assert "KeyError: 'NO_SUCH_VARIABLE' (migrations/env.py:2)" in message
    assert "down_revision" not in message
