"""``rich-click flask psql --help``: the wrapper puts classes of its own below ours, before they are made."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

from flask_postgres.cli import COMMANDS

from ..project import Project

pytest.importorskip("rich_click", reason="rich-click is not installed")

WAYS = (
    (str(pathlib.Path(sys.executable).with_name("rich-click")), "flask"),
    (sys.executable, "-m", "rich_click", "flask"),
)


def wrapped(project: Project, *words: str, way: tuple[str, ...] = WAYS[0]) -> tuple[int, str]:
    """Return the exit code of a wrapped command, and what it says on a line of any length."""
    env = {**project.env, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    env["PATH"] = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [*way, *words],
        cwd=project.folder,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=90,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("way", WAYS, ids=["rich-click", "python -m rich_click"])
def test_the_group_in_order_and_in_sections(project: Project, way: tuple[str, ...]) -> None:
    code, text = wrapped(project, "psql", "--help", way=way)
    assert code == 0
    assert re.findall(r"(?m)^│ (\w+) ", text) == list(COMMANDS)
    for listed in COMMANDS.values():
        assert f" {listed.section} ─" in text
        assert listed.help in text
    assert "Example, in a fresh clone: flask psql setup" in text


@pytest.mark.parametrize("words", [("setup",), ("server",), ("server", "log")], ids=" ".join)
def test_a_command(project: Project, words: tuple[str, ...]) -> None:
    code, text = wrapped(project, "psql", *words, "--help")
    assert code == 0
    assert f"Example{text.partition('Example')[2].partition(':')[0]}: flask psql {' '.join(words)}" in text
    plain = project.here(*words, "--help").out
    assert set(re.findall(r"--[a-z-]+", text)) >= set(re.findall(r"--[a-z-]+", plain))


def test_commands_run_and_fail_as_ever(project: Project) -> None:
    code, text = wrapped(project, "psql", "config", "--only-changed", "--owner", "me")
    assert code == 0
    assert "owner" in text
    code, text = wrapped(project, "psql", "delete")
    assert code == 2
    assert 'Did you mean "drop"?' in text
    code, text = wrapped(project, "psql", "create", "--config", "missing.toml")
    assert code == 2
    assert "missing.toml" in text
