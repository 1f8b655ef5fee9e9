"""A database for each linked worktree of Git."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from .uri import NAME_BYTES, PostgresUri

if t.TYPE_CHECKING:
    from sqlalchemy.engine import URL

SUFFIX_BYTES = 40
"""The longest end of a database's name that a worktree gives it."""

_LINKED = re.compile(r"gitdir: .*[/\\]worktrees[/\\](?P<name>[^/\\\s]+)\s*")


def worktree_uri(uri: str | URL | PostgresUri, *, path: str | Path | None = None) -> str:
    """Return the URI with a database of its own in a linked Git worktree: ``shop`` becomes ``shop__search``.

    What tells is the worktree that a folder belongs to, and never the branch: a branch that is checked out in
    the main worktree has the database of the main worktree.

    :param uri: as the app has it in its main worktree.
    :param path: a folder or file of the worktree; the working directory when None.
    :returns: the URI as a text, password included, for ``SQLALCHEMY_DATABASE_URI``.
    :raises UriValidationError: if it is no PostgreSQL URI.
    """
    given = PostgresUri(uri)
    name = _linked(Path.cwd() if path is None else Path(path).absolute())
    if name is None:
        return given.render(hide_password=False)
    # git worktree add ../shop-search: the name repeats that of the database.
    short = re.sub(rf"^{re.escape(given.dbname)}[-_.]+", "", name, flags=re.IGNORECASE)
    suffix = _cut("__" + re.sub(r"\W+", "_", short).lower(), SUFFIX_BYTES)
    kept = _cut(given.dbname, NAME_BYTES - len(suffix.encode()))
    return given.with_dbname(f"{kept}{suffix}").render(hide_password=False)


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def _linked(folder: Path) -> str | None:
    """Return the name of the linked worktree that a folder belongs to; None in a main one, or in none."""
    for each in (folder, *folder.parents):
        git = each / ".git"
        if git.is_dir():
            return None
        if git.is_file():
            found = _LINKED.fullmatch(git.read_text(encoding="utf-8", errors="replace"))
            return found["name"] if found else None  # that of a submodule names no worktree
    return None
