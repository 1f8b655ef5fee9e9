"""What somebody at a terminal is told, and a script is not."""

from __future__ import annotations

import re

import pytest

from flask_postgres import PostgresUri

from ..project import Project
from ..servers import Server, free_port, wait_until
from .looking import error, full


def test_setup_says_what_there_is_now_and_what_comes_next(
    project: Project, server: Server, dbname: str
) -> None:
    project.app(server.uri(dbname))
    shown = project.on_terminal("--app", "app", "psql", "setup")
    assert shown.code == 0, shown
    *_, has, following = re.sub(r"\x1b\[\d*m", "", shown.out).splitlines()
    assert has.startswith(f'database "{dbname}" has 1 table')
    assert has.endswith(", 1 row") or server.execute("SHOW server_version_num")[0][0] < "150000"
    assert following == "Next: flask --app app run"
    assert "Next:" not in project.psql("setup").all


def test_the_question_shows_what_is_in_it(project: Project, database: PostgresUri) -> None:
    project.app(database)
    assert project.psql("init").code == 0
    shown = project.on_terminal("psql", "reset", typed="no\n")
    assert shown.code == 1
    assert re.search(r"size +[\d.]+ MB, 1 table\b", shown.out), shown
    assert "1 table" not in project.psql("reset", input="no\n").err


def test_what_to_do_stands_on_a_line_of_its_own(project: Project, server: Server, dbname: str) -> None:
    uri = full(server.uri(dbname))
    project.app(server.uri(dbname))
    shown = project.on_terminal("psql", "init", "--uri", uri).out.splitlines()
    (at,) = [number for number, line in enumerate(shown) if "Error:" in line]
    assert shown[at].endswith("does not exist.")
    assert shown[at + 1].startswith("  Create and fill it: flask psql setup --uri postgresql://")
    assert len(project.psql("init").err.splitlines()) == 1


def test_your_own_flask_run_is_named(project: Project, server: Server, database: PostgresUri) -> None:
    pytest.importorskip("psutil")
    project.app(database)
    source = (project.folder / "app.py").read_text()
    uri = full(database.with_driver(None))
    keep = f"import psycopg, sys\nif 'run' in sys.argv: kept = psycopg.connect({uri!r})\n"
    (project.folder / "app.py").write_text(source + keep)
    running = project.start("run", "--port", str(free_port()))
    try:
        there = "SELECT 1 FROM pg_stat_activity WHERE datname = %s"
        wait_until(lambda: server.execute(there, database.dbname) != [], what="flask run to connect")
        said = error(project.psql("reset", "--force"))
        assert f": your own flask run (pid {running.pid})" in said
    finally:
        running.kill()
        running.communicate()


def test_the_file_that_makes_the_app_is_named(project: Project, database: PostgresUri) -> None:
    project.app(database)
    (project.folder / "app.py").rename(project.folder / "main.py")
    assert error(project.fresh("psql", "setup")).endswith("Perhaps: flask --app main psql …")
    (project.folder / "other.py").write_text("from flask import Flask\nother = Flask(__name__)\n")
    assert "Perhaps" not in project.fresh("psql", "setup").err
