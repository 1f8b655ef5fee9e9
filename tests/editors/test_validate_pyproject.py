"""validate-pyproject finds the schema of ``[tool.flask_postgres]`` by our entry point."""

from __future__ import annotations

import importlib.metadata
import pathlib
import subprocess
import sys

import pytest

from .tables import BAD, GOOD

GROUP = "validate_pyproject.tool_schema"
ROOT = pathlib.Path(__file__).parents[2]

pytest.importorskip("validate_pyproject", reason="validate-pyproject is not installed")
if not importlib.metadata.entry_points(group=GROUP, name="flask_postgres"):
    pytest.skip("Flask-Postgres is not installed, so it has no entry points", allow_module_level=True)


def validate(file: pathlib.Path) -> tuple[int, str]:
    """Return the exit code and the complaint of the command."""
    command = [sys.executable, "-W", "error", "-m", "validate_pyproject", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)
    return done.returncode, done.stdout + done.stderr


def pyproject(folder: pathlib.Path, text: str) -> pathlib.Path:
    file = folder / "pyproject.toml"
    text = text.replace("[environments.", "[tool.flask_postgres.environments.")
    file.write_text(
        f'[project]\nname = "shop"\nversion = "1"\n\n[tool.flask_postgres]\n{text}', encoding="utf-8"
    )
    return file


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_accepts(tmp_path: pathlib.Path, text: str) -> None:
    code, said = validate(pyproject(tmp_path, text))
    assert code == 0, said


@pytest.mark.parametrize(("text", "key"), BAD.values(), ids=BAD)
def test_refuses(tmp_path: pathlib.Path, text: str, key: str) -> None:
    code, said = validate(pyproject(tmp_path, text))
    assert code == 1
    assert "tool.flask_postgres" in said
    assert key in said


def test_our_own_pyproject() -> None:
    code, said = validate(ROOT / "pyproject.toml")
    assert code == 0, said
