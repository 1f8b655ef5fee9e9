"""An app that cannot be loaded, or has no database, does not take the tool down with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import psycopg
import pytest

from flask_postgres.postgres.marks import State

from ..project import SEED, Project
from ..servers import Server, wait_until
from .looking import error, full, mark, oid, pets, said, tables

NOT_READ = (
    "the app's config was not read: the app could not be loaded: "
    "ModuleNotFoundError: No module named 'nowhere' (app.py:1)"
)


@pytest.fixture
def broken(project: Project) -> Project:
    return project.write({"app.py": "import nowhere\n"})


def test_create_and_drop_with_a_uri(broken: Project, server: Server, dbname: str, driver: str) -> None:
    uri = full(server.uri(dbname, driver))
    assert said(broken.here("create", "--uri", uri)) == [NOT_READ, f'database "{dbname}" was created']
    dropped = broken.here("drop", "-f", "--no-app", "--uri", uri)
    kept, _, command = said(dropped)[1].partition(": ")
    assert (said(dropped)[0], kept) == (f'database "{dbname}" was deleted', "the old database is kept")
    assert command.startswith("flask psql undo --uri postgresql")


@pytest.mark.parametrize("command", ["init", "setup", "reset"])
def test_what_needs_the_app(broken: Project, server: Server, dbname: str, command: str) -> None:
    result = broken.here(command, "--uri", full(server.uri(dbname)))
    assert said(result) == [f"Error: {NOT_READ.partition('read: ')[2]}"]
    assert result.code == 1
    assert oid(server, dbname) is None


@pytest.mark.parametrize("command", ["create", "drop", "protect"])
def test_without_a_uri(broken: Project, command: str) -> None:
    """One line, and the reason is told once."""
    result = broken.psql(command) if command == "create" else broken.here(command)
    assert said(result) == [f"Error: {NOT_READ.partition('read: ')[2]}"]


def test_without_any_app(project: Project, server: Server, dbname: str) -> None:
    result = project.psql("create", "--uri", full(server.uri(dbname)))
    assert result.code == 0, str(result)
    assert "Could not locate a Flask application" in result.err
    assert said(result)[-1] == f'database "{dbname}" was created'


def test_an_app_without_a_database(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": "from flask import Flask\napp = Flask(__name__)\n"})
    assert error(project.here("create"), code=2).startswith(
        "no target database is configured (checked --uri,"
    )
    uri = full(server.uri(dbname))
    message = 'the app "app" has no Flask-SQLAlchemy instance (its extensions: none).'
    for command in ("init", "setup"):
        assert message in error(project.here(command, "--uri", uri))
    assert oid(server, dbname) is None
    assert project.here("create", "--uri", uri).code == 0


def test_an_app_factory(project: Project, server: Server, dbname: str) -> None:
    project.write(
        {
            "app.py": f"""
                from flask import Flask
                from flask_sqlalchemy import SQLAlchemy
                from flask_postgres import init_db_callback

                db = SQLAlchemy()

                class Pet(db.Model):
                    id = db.Column(db.Integer, primary_key=True)
                    name = db.Column(db.Text)

                @init_db_callback
                def init_db(db):
                    db.create_all(); db.session.add(Pet(name="Fido")); db.session.commit()

                def create_app():
                    app = Flask(__name__)
                    app.config["SQLALCHEMY_DATABASE_URI"] = {full(server.uri(dbname))!r}
                    db.init_app(app)
                    return app
            """
        }
    )
    assert project.here("setup").code == 0
    assert project.here("reset", "-f").code == 0
    assert pets(server, dbname) == ["Fido"]


LENT = (
    "the app connects to its database while it is imported: it was lent an empty one for that. "
    "Better do this in a function, with @init_db_callback for making tables"
)

CONNECTS = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)

    with app.app_context():
        db.create_all()
"""


@pytest.mark.parametrize("command", ["create", "setup"])
def test_an_app_that_connects_while_it_is_imported(
    project: Project, server: Server, dbname: str, driver: str, command: str
) -> None:
    project.write({"app.py": CONNECTS.format(uri=full(server.uri(dbname, driver)))})
    result = project.psql(command)
    assert result.code == 0, str(result)
    assert said(result)[:2] == [LENT, f'database "{dbname}" was created']
    assert len(tables(server, dbname)) == (command == "setup")
    for arguments in (["reset", "-f"], ["drop", "-f"]):
        assert project.here(*arguments).code == 0


def test_what_the_import_was_lent_is_not_what_the_user_gets(
    project: Project, server: Server, dbname: str
) -> None:
    """The scaffold has no clause that the database must not have, and nothing of it stays."""
    project.write({"app.py": CONNECTS.format(uri=full(server.uri(dbname)))})
    clauses = ["--encoding", "LATIN1", "--locale", "C", "--template", "template0", "--extension", "citext"]
    result = project.psql("setup", *clauses, "--protect")
    assert result.code == 0, str(result)
    query = f"SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = '{dbname}'"
    assert server.execute(query) == [("LATIN1", "C")]
    assert server.execute("SELECT 1 FROM pg_extension WHERE extname = 'citext'", dbname=dbname) == [(1,)]
    assert pets(server, dbname) == []
    assert "is protected" in error(project.here("drop", "-f"))


def test_the_guard_in_the_config_of_an_app_that_connects(
    project: Project, server: Server, dbname: str
) -> None:
    text = CONNECTS.format(uri=full(server.uri(dbname)))
    guarded = text.replace(
        "    db = SQL", '    app.config["FLASK_POSTGRES_CLI_DISALLOWED_ENVS"] = "production"\n    db = SQL'
    )
    assert guarded != text
    project.write({"app.py": guarded})
    assert "is not allowed" in error(project.psql("setup"))
    assert oid(server, dbname) is None


def test_a_callback_that_raises_in_an_app_that_connects(
    project: Project, server: Server, dbname: str
) -> None:
    text = CONNECTS.format(uri=full(server.uri(dbname)))
    project.write(
        {
            "app.py": text
            + """
    from flask_postgres import init_db_callback
    @init_db_callback
    def init_db(db):
        db.create_all()
        raise RuntimeError("no")
"""
        }
    )
    assert "RuntimeError: no" in error(project.psql("setup"))
    assert oid(server, dbname) is None


FILLS = """
    import sqlalchemy as sa
    own = sa.MetaData()
    sa.Table("role", own, sa.Column("name", sa.Text))
    with app.app_context():
        if not sa.inspect(db.engine).has_table("role"):
            own.create_all(db.engine)
            with db.engine.begin() as connection:
                connection.execute(own.tables["role"].insert(), [{"name": "admin"}])
"""


@pytest.mark.parametrize("loses", [pytest.param(False, marks=pytest.mark.long), True])
def test_an_app_that_fills_its_database_while_it_is_loaded(
    project: Project, server: Server, dbname: str, loses: bool
) -> None:
    """With tables of its own, as Flask-AppBuilder: they are made in a new database too, or all is undone."""
    text = CONNECTS.format(uri=full(server.uri(dbname))).partition("    class")[0]
    project.write({"app.py": text + FILLS})
    roles = "SELECT name FROM role"
    assert project.psql("setup").code == 0
    assert server.execute(roles, dbname=dbname) == [("admin",)]
    first = oid(server, dbname)
    if loses:
        raising = FILLS.replace("own.create_all(db.engine)", "raise RuntimeError('not now')")
        project.write({"app.py": text + raising})
        result = project.psql("reset", "-f")
        assert "RuntimeError: not now" in result.err
        assert error(result).startswith("the app could not be loaded on the new database.")
    else:
        assert project.psql("reset", "-f").code == 0
    assert (oid(server, dbname) == first) == loses
    assert server.execute(roles, dbname=dbname) == [("admin",)]
    server.execute(f'DROP DATABASE "{dbname}"')
    assert project.psql("create").code == 0 or loses
    assert loses or tables(server, dbname) == set()


PROBE = """
    try:
        with app.app_context():
            db.session.execute(db.text("SELECT 1"))
    except Exception:
        pass
"""


def test_an_app_that_only_tries_to_connect(project: Project, server: Server, dbname: str) -> None:
    """It is loaded without its database, and the ordinary plan does everything."""
    text = CONNECTS.format(uri=full(server.uri(dbname)))
    project.write({"app.py": text.partition("\n    with app")[0] + PROBE})
    result = project.psql("setup", "--if-missing")
    assert said(result) == [f'database "{dbname}" was created', f'database "{dbname}" was initialized']
    assert pets(server, dbname) == []


def test_an_app_that_connects_to_another_database(project: Project, server: Server, dbname: str) -> None:
    """Only the target is ever lent."""
    other = f"{dbname}_analytics"
    text = CONNECTS.format(uri=full(server.uri(dbname)))
    connecting = (
        f"    import sqlalchemy\n    sqlalchemy.create_engine({full(server.uri(other))!r}).connect()\n"
    )
    project.write({"app.py": text + connecting})
    assert f'database "{other}" does not exist' in error(project.psql("setup"))
    assert oid(server, dbname) is None
    assert oid(server, other) is None


def test_a_connection_that_stays_open_since_the_import(project: Project, server: Server, dbname: str) -> None:
    """It belongs to the command itself, and is no reason against anything."""
    project.app(server.uri(dbname))
    project.psql("setup")
    text = (project.folder / "app.py").read_text()
    more = """
import sqlalchemy
engine = sqlalchemy.create_engine(app.config["SQLALCHEMY_DATABASE_URI"])
connection = engine.connect()
connection.execute(sqlalchemy.text("SELECT 1"))
with engine.connect() as idle:
    idle.execute(sqlalchemy.text("SELECT 1"))
"""
    project.write({"app.py": text + more})
    assert "0 sessions" in project.here("status").out or "sessions" not in project.here("status").out
    for arguments in (["reset", "-f"], ["drop", "-f"]):
        result = project.here(*arguments)
        assert result.code == 0, str(result)


def test_an_app_that_connects_to_what_was_set_aside(project: Project, server: Server, dbname: str) -> None:
    """Its own error says only that the database is missing; recover needs no app."""
    uri = full(server.uri(dbname))
    project.write({"app.py": CONNECTS.format(uri=uri)})
    assert project.psql("setup").code == 0
    before, aside = oid(server, dbname), f"{dbname}~old~0badcafe"
    server.execute(f'ALTER DATABASE "{dbname}" RENAME TO "{aside}"')
    mark(server, aside, State.ASIDE, of=dbname)
    result = project.psql("setup")
    assert "Put it back: flask psql recover" in result.err, str(result)
    assert "With --uri no app is needed." in error(result)
    assert project.here("recover", "--uri", uri).code == 0
    assert oid(server, dbname) == before


def test_the_other_commands_give_its_line(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": CONNECTS.format(uri=full(server.uri(dbname)))})
    for arguments in (["init"], ["drop", "-f"], ["reset", "-f"]):
        message = error(project.here(*arguments))
        assert message.startswith(
            "the app connects to its database while it is imported, and that failed (app.py:"
        )
    assert oid(server, dbname) is None


def test_an_import_makes_nothing_where_the_guard_is_closed(
    project: Project, server: Server, dbname: str
) -> None:
    project.write({"app.py": CONNECTS.format(uri=full(server.uri(dbname)))})
    result = project.psql("setup", env={"FLASK_POSTGRES_CLI_DISALLOWED_ENVS": "production"})
    assert result.code == 1
    assert oid(server, dbname) is None


def test_a_dry_run_makes_nothing_for_an_import(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": CONNECTS.format(uri=full(server.uri(dbname)))})
    for command in ("create", "setup"):
        project.here(command, "--dry-run")
        assert oid(server, dbname) is None


def test_broken_toml_breaks_nothing_else(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname)).write({"flask_postgres.toml": "owner = \n"})
    message = error(project.here("create"), code=2)
    assert "flask_postgres.toml:1:" in message
    for arguments in (["--help"], ["routes"]):
        result = project.run(*arguments)
        assert (result.code, result.err) == (0, ""), str(result)
    assert project.here("--help").code == 0


WAITS = """
    import sys
    print("lent", file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize(
    "name",
    [
        "SIGINT",
        *(pytest.param(each, marks=pytest.mark.long) for each in ("SIGTERM", "SIGHUP", "SIGKILL")),
    ],
)
def test_a_signal_while_the_app_is_loaded(project: Project, server: Server, dbname: str, name: str) -> None:
    """What was lent is dropped; after SIGKILL it is an unfinished database, which the next setup removes."""
    text = CONNECTS.format(uri=full(server.uri(dbname)))
    project.write({"app.py": text + WAITS})
    with project.start("psql", "setup") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "lent\n"
        assert oid(server, dbname) is not None
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=60)
    if name == "SIGKILL":
        assert "does not exist" not in project.here("status", "--uri", full(server.uri(dbname))).out
    else:
        assert err == f"Error: stopped by {name}. Nothing is left half done.\n"
        assert not any(dbname in each for each in server.names())
    project.write({"app.py": text})
    assert project.psql("setup").code == 0
    assert pets(server, dbname) == []


POLLS = """
    import logging, threading
    logging.basicConfig(level=logging.INFO)

    def poll():
        while True:
            try:
                with app.app_context():
                    db.session.execute(db.text("SELECT 1"))
                    db.session.remove()
            except Exception:
                pass

    threading.Thread(target=poll, daemon=True).start()
"""


def test_a_thread_of_the_app_that_uses_its_session(project: Project, server: Server, dbname: str) -> None:
    """It neither brings a command down nor is seen; nor is a root logger at INFO."""
    text = CONNECTS.format(uri=full(server.uri(dbname))).partition("\n    with app")[0]
    project.write({"app.py": text + POLLS})
    for words in (
        ["setup"],
        ["status"],
        ["reset", "-f", "--force-disconnect"],
        ["drop", "-f", "--force-disconnect"],
    ):
        result = project.psql(*words)
        assert result.code == 0, str(result)
        assert "Pool" not in result.err, str(result)
        assert "Warning" not in result.err, str(result)
    assert oid(server, dbname) is None


PACKAGE = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    db = SQLAlchemy()

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)

    def create_app(config="prod"):
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r} + config
        db.init_app(app)
        return app
"""
MANAGE = """
    from flask.cli import FlaskGroup
    from shop import create_app
    FlaskGroup(create_app=lambda: create_app("dev"))()
"""


@pytest.mark.parametrize(
    ("program", "app", "folder"),
    [
        (["manage.py"], None, "."),
        pytest.param(["-m", "flask"], "shop:create_app('dev')", ".", marks=pytest.mark.long),
        pytest.param(["-m", "flask"], None, ".", marks=pytest.mark.long),
        pytest.param(["-m", "flask"], "shop:create_app('dev')", "services/web", marks=pytest.mark.long),
    ],
    ids=["FlaskGroup", "factory", "wsgi.py", "monorepo"],
)
def test_ways_to_name_the_app(
    project: Project, server: Server, dbname: str, program: list[str], app: str | None, folder: str
) -> None:
    files = {
        "shop/__init__.py": PACKAGE.format(uri=full(server.uri(dbname))),
        "manage.py": MANAGE,
        "wsgi.py": "from shop import create_app\napp = create_app('dev')\n",
    }
    project.write({f"{folder}/{name}": text for name, text in files.items()})
    env = project.env | ({"FLASK_APP": app} if app else {})
    for words in (["setup"], ["setup", "--if-missing"], ["reset", "-f"], ["drop", "-f"]):
        command = [sys.executable, *program, "psql", *words]
        done = subprocess.run(command, cwd=project.folder / folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (oid(server, f"{dbname}dev") is None) == (words[0] == "drop")


PATCHED = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import warnings; warnings.simplefilter('ignore'); import eventlet; eventlet.monkey_patch()",
}


@pytest.mark.long
@pytest.mark.parametrize("library", PATCHED)
def test_an_app_that_patches_the_standard_library(
    project: Project, server: Server, dbname: str, library: str
) -> None:
    """Locks, threads and sleeping are others then, from the middle of the command on."""
    pytest.importorskip(library)
    project.app(server.uri(dbname), callback=SEED)
    file = project.folder / "app.py"
    text = f"{PATCHED[library]}\n{file.read_text()}"
    file.write_text(text)
    for words in (["setup"], ["status", "--exit-code"], ["reset", "-f"], ["drop", "-f", "--final"]):
        result = project.psql(*words, "--verbose")  # eventlet prints tracebacks of its own
        assert result.code == 0, str(result)
    waits = f"{SEED}; open('reached', 'w'); import time; time.sleep(600)"
    file.write_text(text.replace(SEED, waits))
    for signum in (signal.SIGINT, signal.SIGTERM):
        (project.folder / "reached").unlink(missing_ok=True)
        with project.start("psql", "setup") as process:
            wait_until((project.folder / "reached").exists, what="the callback")
            process.send_signal(signum)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert f'Error: stopped by {signum.name}. Database "{dbname}" was removed again.\n' in err
        assert "Interrupted" not in err, err
        assert not any(dbname in each for each in server.names())


RAW = """
    import psycopg, psycopg2
    try:
        kept = [psycopg.connect({uri!r}, autocommit=True), psycopg2.connect({uri!r})]
        kept[1].cursor().execute("SELECT 1")
    except Exception:
        pass
"""


def test_connections_that_the_app_has_opened_by_its_driver_alone(
    project: Project, server: Server, dbname: str
) -> None:
    """They are our own process's, and SQLAlchemy knows nothing of them."""
    project.app(server.uri(dbname))
    file = project.folder / "app.py"
    file.write_text(textwrap.dedent(RAW.format(uri=full(server.uri(dbname)))) + file.read_text())
    assert project.psql("setup").code == 0
    shown = project.psql("status")
    assert "connections: none" in shown.out, str(shown)
    for words in (["reset", "-f"], ["reset", "-f", "--reset-with", "schema"]):
        result = project.psql(*words)
        assert result.code == 0, str(result)
        assert pets(server, dbname) == ["Fido"]
    with psycopg.connect(full(server.uri(dbname))):  # somebody else's is one all the same
        assert "has 1 open session" in error(project.psql("drop", "-f"))
    assert project.psql("drop", "-f").code == 0
    assert oid(server, dbname) is None
