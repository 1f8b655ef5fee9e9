"""TAB in real shells: bash and zsh at a terminal, fish asked by its own command."""

from __future__ import annotations

import pytest

from flask_postgres.cli import COMMANDS

from ..project import Project
from .shells import SHELLS, Line, Shell

pytestmark = pytest.mark.long

BINDS = """
    import os
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    print("noise"); os.system("echo noise; echo noise >&2")
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql://localhost:1/main"
    app.config["SQLALCHEMY_BINDS"] = {"users": "postgresql://localhost:1/people", "pets": "postgresql:///pets"}
    db = SQLAlchemy(app)
"""


@pytest.fixture(params=SHELLS, ids=lambda shell: shell.name)
def shell(request: pytest.FixtureRequest) -> Shell:
    """Return each shell in turn."""
    found: Shell = request.param
    if found.missing:
        pytest.skip(found.missing)
    return found


def press(shell: Shell, project: Project, line: str, *, all: bool) -> list[str]:
    """Return the words that TAB has added to the line, after making sure that it added nothing else."""
    env = {**project.env, "FLASK_POSTGRES_CLI_DISALLOWED_ENVS": "production"}
    done: Line = shell.complete(line, folder=project.folder, env=env, all=all)
    assert "rror" not in done.screen
    assert "noise" not in done.screen
    before = line.split(" ")[:-1]
    assert done.words[: len(before)] == before
    return done.words[len(before) :]


def test_every_command_in_order(shell: Shell, project: Project) -> None:
    found = press(shell, project, "flask psql ", all=True)
    if shell.name == "fish":  # it sorts for itself
        assert set(found) == set(COMMANDS)
    else:
        assert found == list(COMMANDS)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flask psql se", ["setup", "seed", "server"]),
        ("flask psql server st", ["start", "stop", "status"]),
        ("flask psql setup --init-with c", ["callback", "create_all"]),
        ("flask psql drop --force", ["--force", "--force-disconnect"]),
        ("flask psql setup --bind-key ", ["users", "pets"]),
    ],
)
def test_what_is_offered(shell: Shell, project: Project, line: str, expected: list[str]) -> None:
    project.write({"app.py": BINDS})
    assert sorted(press(shell, project, line, all=True)) == sorted(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flask psql reco", "recover"),
        ("flask psql reset --dry", "--dry-run"),
        ("flask psql setup --bind-key pe", "pets"),
        ("flask psql config --config my", "my settings.toml"),
        ("flask psql setup --server-data-dir dat", "data/"),
        ("flask psql server start --server-bin-dir dat", "data/"),
    ],
)
def test_what_is_filled_in(shell: Shell, project: Project, line: str, expected: str) -> None:
    project.write({"app.py": BINDS, "my settings.toml": "", "data/file": "", "data.txt": ""})
    (found,) = press(shell, project, line, all=False)
    assert found.rstrip("/") == expected.rstrip("/")


def test_completion_is_silent_when_the_app_fails_to_load(shell: Shell, project: Project) -> None:
    project.write({"app.py": "raise ValueError('an error')\n"})
    assert press(shell, project, "flask psql unp", all=False) == ["unprotect"]
    assert press(shell, project, "flask psql drop --bind-key x", all=False) == (
        [] if shell.name == "fish" else ["x"]
    )
