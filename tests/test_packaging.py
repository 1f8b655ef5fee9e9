"""What is delivered: the package, typed, and nothing else."""

from __future__ import annotations

import importlib.metadata
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a folder with the wheel and the sdist, made from a copy of what would be released."""
    pytest.importorskip("flit_core")
    source = tmp_path_factory.mktemp("source") / "project"
    ignored = shutil.ignore_patterns(
        ".git", ".cache", ".*_cache", "__pycache__", ".venv*", "dist", "*.egg-info", ".hypothesis"
    )
    shutil.copytree(ROOT, source, ignore=ignored)
    target = tmp_path_factory.mktemp("built")
    build = "import sys; from flit_core.buildapi import build_sdist, build_wheel"
    build += "; build_wheel(sys.argv[1]); build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(target)], cwd=source, check=True, capture_output=True)
    return target


def test_the_wheel(built: pathlib.Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name == "flask_postgres-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read("flask_postgres-1.0.0.dist-info/METADATA").decode()
    assert "flask_postgres/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"flask_postgres", "flask_postgres-1.0.0.dist-info"}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "flask_postgres").rglob("*.py")}
    assert modules <= set(names)
    assert any(name.endswith("LICENSE") for name in names)
    for line in ("Requires-Python: >=3.10", "License-Expression: MIT", "Provides-Extra: embedded"):
        assert line in metadata


def test_the_sdist_has_its_tests(built: pathlib.Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    for name in (
        "tests/conftest.py",
        "schemas/flask_postgres.schema.json",
        "CHANGELOG.md",
        "README.md",
        "LICENSE",
    ):
        assert f"flask_postgres-1.0.0/{name}" in names


def test_the_entry_point() -> None:
    (found,) = [
        entry for entry in importlib.metadata.entry_points(group="flask.commands") if entry.name == "psql"
    ]
    assert found.value == "flask_postgres.cli:cli"
    assert found.load().name == "psql"


@pytest.mark.long
@pytest.mark.parametrize("marshmallow", ["3.18.0", "4.0.1"])
def test_installing_leaves_what_the_app_has(
    built: pathlib.Path, tmp_path: pathlib.Path, marshmallow: str
) -> None:
    """An app pins what it uses, and marshmallow 4 is not compatible with 3."""
    present = [f"marshmallow=={marshmallow}", "flask==2.3.3", "flask-sqlalchemy==3.1.1", "sqlalchemy==2.0.40"]
    (wheel,) = built.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    pip = [tmp_path / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    if subprocess.run([*pip, "install", "-q", *present], check=False).returncode:
        pytest.skip("no package index is reached, or it lacks one of these versions")
    subprocess.run([*pip, "install", "-q", str(wheel)], check=True)
    frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout.lower()
    assert set(present) <= set(frozen.splitlines())
    done = subprocess.run(
        [tmp_path / "bin" / "flask", "psql", "config", "--only-changed"],
        cwd=tmp_path, env={"FLASK_POSTGRES_OWNER": "me"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, 'owner = "me"' in done.stdout) == (0, True), done.stderr
