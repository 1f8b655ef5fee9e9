"""What is loaded when: the plugin costs nothing when it is unused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .project import Project

HEAVY = (
    "sqlalchemy",
    "flask_sqlalchemy",
    "psycopg",
    "psycopg2",
    "environs",
    "tomli",
    "alembic",
    "platformdirs",
    "psutil",
)


def loaded_after(project: Project, code: str) -> set[str]:
    """Run code in a new interpreter and return which of the heavy modules it has loaded."""
    report = f"\nimport sys; print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code + report],
        cwd=project.folder,
        env=project.env,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_entry_point_loads_nothing(project: Project) -> None:
    """Flask imports it on every ``flask`` command."""
    code = "import flask.cli, sys; before = set(sys.modules)\nimport flask_postgres.cli\n"
    code += "ours = sorted(n for n in set(sys.modules) - before if not n.startswith('flask_postgres'))\n"
    assert loaded_after(project, code + "assert ours == [], ours") == set()


def test_the_package_loads_nothing(project: Project) -> None:
    assert loaded_after(project, "import flask_postgres; flask_postgres.FlaskPostgresError") == set()
    assert loaded_after(project, "from flask_postgres import init_db_callback") == set()


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (["--help"], set[str]()),
        (["drop", "--help"], set()),
        (["config"], {"tomli"}),
        (["config", "--uri", "postgresql://h/x"], {"tomli", "sqlalchemy"}),
        (["config", "--schema"], set()),
        (
            ["server", "status", "--uri", "postgresql://127.0.0.1:1/x"],
            {"tomli", "sqlalchemy", "platformdirs"},
        ),
    ],
    ids=["help", "drop help", "config", "config of a URI", "schema", "server status"],
)
def test_commands_load_what_they_need(project: Project, words: list[str], allowed: set[str]) -> None:
    """It takes SQLAlchemy to parse a URI, and environs where a variable is set; nothing takes a driver."""
    project.write({"app.py": "from flask import Flask\napp = Flask(__name__)\n"})
    code = f"""
from flask.cli import ScriptInfo
from flask_postgres.cli import cli
try:
    cli.main({words!r}, 'flask psql', obj=ScriptInfo(app_import_path='app.py'))
except SystemExit as ended:
    assert ended.code == 0
"""
    assert loaded_after(project, code) <= allowed


@pytest.mark.parametrize("flags", [["--server", "external"], []], ids=["external", "no wheel"])
def test_who_has_no_embedded_server_does_not_load_it(project: Project, flags: list[str]) -> None:
    project.write({"app.py": "from flask import Flask\napp = Flask(__name__)\n"})
    words = ["create", "--uri", "postgresql://127.0.0.1:1/x", *flags]
    code = f"""
import sys
from flask.cli import ScriptInfo
from flask_postgres.cli import cli
from flask_postgres.embedded import wheels
if not {flags!r}:
    wheels.WHEELS = ()
try:
    cli.main({words!r}, 'flask psql', obj=ScriptInfo(app_import_path='app.py'))
except SystemExit as ended:
    assert ended.code == 1
assert 'flask_postgres.plans.engine' in sys.modules
assert 'flask_postgres.embedded.service' not in sys.modules
"""
    loaded_after(project, code)


def test_nothing_is_read_at_import(project: Project) -> None:
    """Neither a broken file nor a broken variable can break an import, or any other command."""
    project.write({"flask_postgres.toml": "= broken"})
    project.env["FLASK_POSTGRES_CONNECTION_LIMIT"] = "many"
    names = ("cli.lifecycle", "api", "settings.merge", "embedded")
    modules = ", ".join(f"flask_postgres.{name}" for name in names)
    loaded_after(project, f"import {modules}")
