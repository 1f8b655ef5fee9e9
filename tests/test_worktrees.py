"""``worktree_uri``: a database for each linked worktree of Git."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

from flask_postgres import PostgresUri, UriValidationError, worktree_uri

URI = "postgresql+psycopg://me:pa%40ss@localhost:5432/shop?connect_timeout=5"


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the main worktree of a repository with one commit."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "shop"
    git(tmp_path, "init", "--quiet", "shop")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "first")
    return folder


def git(folder: pathlib.Path, *arguments: str) -> None:
    settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *settings, *arguments], cwd=folder, check=True, capture_output=True)


def dbname(folder: pathlib.Path) -> str:
    return PostgresUri(worktree_uri(URI, path=folder)).dbname


def test_the_main_worktree_has_the_database_of_the_uri(repository: pathlib.Path) -> None:
    assert PostgresUri(worktree_uri(URI, path=repository)) == PostgresUri(URI)
    git(repository, "checkout", "--quiet", "-b", "search")
    assert dbname(repository) == "shop", "the branch has no say"


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("shop-search", "shop__search"),
        ("search", "shop__search"),
        ("shopping", "shop__shopping"),
        ("Fix 42", "shop__fix_42"),
        ("n" * 100, "shop__" + "n" * 38),
    ],
)
def test_a_linked_worktree_has_its_own(repository: pathlib.Path, folder: str, expected: str) -> None:
    linked = repository.parent / folder
    git(repository, "worktree", "add", "--quiet", "--detach", str(linked))
    assert dbname(linked) == expected
    (linked / "services").mkdir()
    assert dbname(linked / "services") == expected
    given = PostgresUri(worktree_uri(URI, path=linked))
    assert given.with_dbname("shop") == PostgresUri(URI), "the rest stays, password included"


def test_by_the_working_directory(repository: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = repository.parent / "shop-search"
    git(repository, "worktree", "add", "--quiet", "--detach", str(linked))
    monkeypatch.chdir(linked)
    assert PostgresUri(worktree_uri(URI)).dbname == "shop__search"


def test_a_submodule_is_no_worktree(repository: pathlib.Path) -> None:
    other = repository.parent / "other"
    git(repository.parent, "init", "--quiet", "other")
    git(other, "commit", "--quiet", "--allow-empty", "--message", "first")
    git(repository, "submodule", "--quiet", "add", str(other), "inner")
    assert dbname(repository / "inner") == "shop"


def test_without_git(tmp_path: pathlib.Path) -> None:
    assert dbname(tmp_path) == "shop"
    with pytest.raises(UriValidationError):
        worktree_uri("sqlite:///x", path=tmp_path)


def test_a_long_name_is_cut(repository: pathlib.Path) -> None:
    linked = repository.parent / "search"
    git(repository, "worktree", "add", "--quiet", "--detach", str(linked))
    uri = worktree_uri(f"postgresql://localhost/{'d' * 63}", path=linked)
    assert PostgresUri(uri).dbname == "d" * 55 + "__search"
