"""Taplo, which checks TOML in editors, reads the schema that the file names in its first line."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

from flask_postgres.settings import generate

from .tables import BAD, GOOD

ROOT = pathlib.Path(__file__).parents[2]
DIRECTIVE = generate.example_text().splitlines()[0]
VARIABLE = "FLASK_POSTGRES_TEST_TAPLO"

pytestmark = pytest.mark.long  # and node cares for no version of Python


@pytest.fixture(scope="module")
def taplo() -> str:
    """Return the command: the one that the variable names, that of ``.ci/run``, or the one on the PATH."""
    ours = ROOT / ".cache/taplo/node_modules/.bin/taplo"
    found = shutil.which(os.environ.get(VARIABLE) or ours) or shutil.which("taplo")
    if found is None:
        pytest.skip(f"no Taplo: run npm install --prefix .cache/taplo @taplo/cli, or set {VARIABLE}")
    version = subprocess.run([found, "--version"], capture_output=True, text=True)
    if not version.stdout.startswith("taplo"):  # the exit code is 1 in any case
        pytest.skip(f"{found} does not run: is there node?")
    return found


def lint(taplo: str, *files: pathlib.Path) -> tuple[int, str]:
    """Return the exit code and what Taplo complains about; one start takes a second."""
    done = subprocess.run(
        [taplo, "lint", "--no-auto-config", "--colors", "never", *(file.name for file in files)],
        cwd=files[0].parent, capture_output=True, text=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def write(folder: pathlib.Path, texts: dict[str, str], *, directive: str) -> list[pathlib.Path]:
    """Write each text into a file below the directive, and the schema where that expects it."""
    schema = folder / generate.SCHEMA_FILE
    schema.parent.mkdir(exist_ok=True)
    schema.write_text(generate.schema_text(), encoding="utf-8")
    for name, text in texts.items():
        content = f"{directive}\n\n{text.removeprefix(DIRECTIVE).strip()}\n"
        (folder / f"{name}.toml").write_text(content, encoding="utf-8")
    return [folder / f"{name}.toml" for name in texts]


def test_accepts(taplo: str, tmp_path: pathlib.Path) -> None:
    code, said = lint(taplo, *write(tmp_path, GOOD, directive=DIRECTIVE))
    assert code == 0, said


def test_accepts_the_committed_example(taplo: str) -> None:
    code, said = lint(taplo, ROOT / generate.EXAMPLE_FILE)
    assert code == 0, said


def test_refuses(taplo: str, tmp_path: pathlib.Path) -> None:
    texts = {name: text for name, (text, _) in BAD.items()}
    files = write(tmp_path, texts, directive=DIRECTIVE)
    code, said = lint(taplo, *files)
    assert code == 1
    for file, (text, key) in zip(files, BAD.values(), strict=True):
        complaint = said.partition(f"{file}:3:")[2].partition("error: ")[0]
        assert f"3 │ {text.strip()}" in complaint, f"no complaint about line 3 of {file.name}:\n{said}"
        assert key in complaint


def test_it_is_our_schema_that_refuses(taplo: str, tmp_path: pathlib.Path) -> None:
    texts = {name: text for name, (text, _) in BAD.items()}
    assert lint(taplo, *write(tmp_path, texts, directive=""))[0] == 0
