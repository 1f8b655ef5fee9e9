"""Small private files in the data folder: ours, readable by the server's account and by nobody else.

As root we write into a folder that belongs to a less trusted account, so no name in it is ever followed:
a file is made under a fresh name, handed over, and renamed into place.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
import typing as t
from pathlib import Path

PRIVATE = 0o600


def write(path: Path, text: str, *, owner: tuple[int, int] | None = None) -> None:
    """Write a file whole or not at all, with mode 0600.

    :param owner: uid and gid to hand it to.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            if owner is not None:
                os.fchown(descriptor, *owner)
            file.write(text)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object, *, owner: tuple[int, int] | None = None) -> None:
    """Write a value as JSON, whole or not at all, with mode 0600."""
    write(path, json.dumps(value, indent=1) + "\n", owner=owner)


def read_own(path: Path) -> str:
    """Return the text of a file, if it is the folder's owner's and no link to somebody else's.

    What is not UTF-8 is replaced.

    :raises OSError: if it is not, or cannot be read.
    """
    return _read(path, owner=path.parent.stat().st_uid)


def read_plain(path: Path) -> str:
    """Return the text of a file in a folder that everybody writes to, such as ``/tmp``, if it is no link.

    :raises OSError: if it is one, or cannot be read.
    """
    return _read(path, owner=None)


def not_followed(path: str, flags: int) -> int:
    """Open a file for ``open(…, opener=…)``: no link, and no pipe, which would hold us for ever."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _read(path: Path, *, owner: int | None) -> str:
    with open(path, encoding="utf-8", errors="replace", opener=not_followed) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or owner not in (None, status.st_uid):
            raise PermissionError(errno.EPERM, "not the account's own", os.fspath(path))
        return file.read()


def read_json(path: Path) -> dict[str, t.Any]:
    """Return the JSON object in a file of the folder's owner; an empty one if it is missing or not JSON.

    :raises OSError: if it is somebody else's, a link, or cannot be read.
    """
    try:
        value = json.loads(read_own(path))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def owner_of(folder: Path) -> tuple[int, int] | None:
    """Return uid and gid to hand a new file in the folder to; None where there is nothing to hand over."""
    if os.name == "nt" or os.geteuid() != 0:
        return None
    status = folder.stat()
    return status.st_uid, status.st_gid
