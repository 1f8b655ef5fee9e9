"""One command at a time: a lock that the operating system lifts when its holder dies."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from .account import IS_WINDOWS

POLL_SECONDS = 0.02
TIMEOUT_SECONDS = 300.0


@contextlib.contextmanager
def hold(folder: Path, *, timeout: float = TIMEOUT_SECONDS) -> t.Iterator[None]:
    """Hold the lock of a data folder, which need not exist yet; its parent must.

    :raises EmbeddedServerError: if another command holds it for longer than ``timeout`` seconds.
    """
    descriptor = _open(folder)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"Another command has been busy with the data folder {folder} for {timeout:.0f} seconds.",
                    remedy="Wait for it, or end it.",
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    """Open the lock file beside the folder; where that cannot be, the folder itself will do."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(folder.with_name(f".{folder.name}.lock"), flags, 0o600)
    except OSError:
        if IS_WINDOWS or not folder.is_dir():
            raise
    return os.open(folder, os.O_RDONLY)


def _try_lock(descriptor: int) -> bool:
    try:
        if IS_WINDOWS:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
