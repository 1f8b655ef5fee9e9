"""What the processes of one run share: a folder, a lock, and the end of the last of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import tempfile
import typing as t


class Shared:
    """A folder of one run, for all its processes.

    Each process holds a shared lock on a file in it for as long as it lives. Whoever gets an exclusive one
    knows that all of them have ended, by whatever means.
    """

    def __init__(self, name: str) -> None:
        parent = pathlib.Path(tempfile.gettempdir()) / f"flask-postgres-tests-{os.getuid()}"
        parent.mkdir(mode=0o711, exist_ok=True)
        if parent.stat().st_uid != os.getuid() or parent.is_symlink():
            raise PermissionError(f"{parent} belongs to another account")
        self.folder = parent / name
        self._lock = parent / f"{name}.lock"
        self._held: t.IO[bytes] | None = None

    @contextlib.contextmanager
    def alone(self) -> t.Iterator[None]:
        """Keep the other processes of the run waiting meanwhile."""
        with self._lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def join(self) -> None:
        """Become one of the processes of the run; only while they wait."""
        self.folder.mkdir(mode=0o711, exist_ok=True)
        self._held = (self.folder / "in-use").open("ab")
        fcntl.flock(self._held, fcntl.LOCK_SH)

    def leave(self) -> bool:
        """Leave the run; only while the others wait. Tell whether nobody is left."""
        assert self._held is not None
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            self._held.close()
        return True

    def forget(self) -> None:
        """Remove the lock, once the folder is gone."""
        self._lock.unlink(missing_ok=True)
