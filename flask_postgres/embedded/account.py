"""Who runs the programs of PostgreSQL, and how: the one place where operating systems differ.

PostgreSQL refuses to run as root, so root hands it to a lesser account. On Windows its programs give up
administrator rights by themselves.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from . import location

IS_WINDOWS = os.name == "nt"

LESSER_ACCOUNTS = ("postgres", "nobody")
"""For root, in this order: the one that packages of PostgreSQL make, and the one that always exists."""

_HANDED_OVER = ("PATH", "LD_LIBRARY_PATH", "TZ")
_SETTLE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """An account of the operating system; ``ids`` is None for the one that runs us."""

    name: str
    ids: tuple[int, int] | None = None

    def run(self, *command: str | Path, cwd: Path | None = None, data: Path | None = None) -> Result:
        """Run a program to its end and return what it said.

        :param data: the data folder, for PGDATA: pg_ctl hands arguments to a shell, quoted too simply.

        The output goes through a file, because a server that inherited a pipe would keep it open after
        the program that started it is gone.
        """
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    [os.fspath(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=cwd or Path("/" if not IS_WINDOWS else tempfile.gettempdir()),
                    env=self._environment(data),
                    **self._options(),
                )
            except OSError as error:
                return Result(127, f"{command[0]}: {error.strerror or error}")
            returncode = _finish(process)
            output.seek(0)
            return Result(returncode, output.read().decode("utf-8", "replace"))

    def can_enter(self, folder: Path) -> bool:
        """Tell whether the account reaches a folder and may write there, by trying it."""
        if self.ids is None:
            return os.access(folder, os.W_OK | os.X_OK)
        return self.run("/bin/sh", "-c", 'cd -- "$1" && test -w .', "sh", folder).returncode == 0

    def give(self, path: Path) -> None:
        """Make the account the owner of a path."""
        if self.ids is not None:
            os.chown(path, *self.ids, follow_symlinks=False)

    def _environment(self, data: Path | None) -> dict[str, str]:
        """Return our environment without what would bend a server: locales and libpq's variables.

        Another account gets only what its programs need: it could read the secrets of ours.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if (name in _HANDED_OVER if self.ids else not _bends(name))
        }
        return {**kept, "LC_ALL": "C", **({"PGDATA": os.fspath(data)} if data else {})}

    def _options(self) -> dict[str, t.Any]:
        if IS_WINDOWS:
            return {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)}
        if self.ids is None:
            return {"umask": 0o077}
        uid, gid = self.ids
        return {"umask": 0o077, "user": uid, "group": gid, "extra_groups": []}


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """How a program ended, and what it said."""

    returncode: int
    output: str

    @property
    def last_line(self) -> str:
        """The last line that says something, without the name of the program."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.returncode}"


CURRENT = Account("this account")


def candidates(folder: Path) -> tuple[Account, ...]:
    """Return the accounts that may run a server on the folder, the preferred one first.

    A folder with data belongs to its owner: PostgreSQL starts for no one else.
    """
    if not location.is_root():
        return (CURRENT,)
    owner = _owner(folder)
    if owner is not None:
        return (owner,)
    import pwd

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return tuple(
        Account(name, (known[name].pw_uid, known[name].pw_gid)) for name in LESSER_ACCOUNTS if name in known
    )


def _owner(folder: Path) -> Account | None:
    """Return who owns a folder with data; None if there is none, or root made it and it is empty."""
    if not (folder / "PG_VERSION").exists():
        return None
    status = folder.stat()
    if status.st_uid == 0:
        raise EmbeddedServerError(
            f"The data folder {folder} belongs to root, for whom PostgreSQL refuses to run.",
            remedy="Give it to the account that made it, or set another server_data_dir.",
        )
    return Account(f"uid {status.st_uid}", (status.st_uid, status.st_gid))


def _bends(name: str) -> bool:
    return name.startswith(("PG", "LC_")) or name in ("LANG", "LANGUAGE")


def _finish(process: subprocess.Popen[bytes]) -> int:
    """Wait for a program; when we are interrupted, let it clean up before we leave."""
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(_SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
