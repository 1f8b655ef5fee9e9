"""Read files that settings come from, and say whose they are."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

LARGEST = 1024 * 1024
"""Bytes of a file that is read. A larger one is refused before it is read."""


def located(base: Path, text: str) -> Path:
    """Return the path that a text names: ``~`` is the home folder, and a relative path starts at a folder.

    :raises ValueError: if there is no such home folder.
    """
    try:
        return base / Path(text).expanduser()
    except RuntimeError:
        raise ValueError("there is no home folder for the ~ in it") from None


def content(path: Path) -> bytes:
    """Return the content of a regular file: a pipe could block, and a device never end.

    :raises OSError: if it cannot be read.
    :raises ValueError: if it is something else, or larger than ``LARGEST``.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("it is larger than 1 MiB")
    return data


def distrust(path: Path, *, upwards: bool) -> str | None:
    """Say why another user may have put a file there: it could name programs to run. None if nobody may.

    The rule is that of ssh for its own files: this account or root must own the file, every link to it and
    every folder on the way, and not everybody may be able to exchange one of them.

    :param upwards: whether the folder was found above the one in which the search starts. That one is the
        user's choice, often a project that somebody else owns, such as the bind mount of a container, and
        is distrusted only if everybody can create files in it, as in /tmp.
    """
    if not hasattr(os, "getuid"):
        return None
    steps = list(_steps(path))
    foreign = [step for step in steps if not _is_ours(step.lstat())]
    if not upwards:
        open_to_all = path.parent.stat().st_mode & stat.S_IWOTH
        return "another user owns it" if foreign and open_to_all else None
    if foreign:
        return "another user owns it" if foreign == [path] else f"another user owns {foreign[-1]}"
    folders = {real: True for real in (step.parent.resolve() for step in steps)}
    for folder in list(folders):
        folders |= {above: folders.get(above, False) for above in folder.parents}
    return next((fault for folder in folders if (fault := _fault(folder, itself=folders[folder]))), None)


def _steps(path: Path) -> t.Iterator[Path]:
    """Yield the path, and where each link leads, up to the file itself."""
    yield path
    for _ in range(40):  # Linux follows no more
        if not path.is_symlink():
            return
        path = path.parent / os.readlink(path)
        yield path


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid in (os.getuid(), 0)


def _fault(folder: Path, *, itself: bool) -> str | None:
    """Say why what is in a folder may not be what its owner put there.

    :param itself: whether the file or a link to it is in it, and not only a folder on the way. In a sticky
        folder, others can add a file but exchange none.
    """
    found = folder.stat()
    if not _is_ours(found):
        return f"another user owns the folder {folder}"
    if found.st_mode & stat.S_IWOTH and (itself or not found.st_mode & stat.S_ISVTX):
        return f"everybody can write to the folder {folder}"
    return None
