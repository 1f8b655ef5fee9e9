"""Whether the server of a data folder runs.

``postmaster.pid`` alone proves nothing: its pid may be dead, a zombie, or belong to another program by now.
What proves it is an answer on the socket in our private folder; where that cannot be had, the process itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import time
import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from . import files
from .account import IS_WINDOWS
from .location import INSTALL

PID_FILE = "postmaster.pid"

_ANSWER_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Postmaster:
    """What a running server has written about itself into ``postmaster.pid``."""

    pid: int
    started: int
    port: int
    socket_dir: Path | None
    ready: bool

    @property
    def uptime(self) -> float:
        return max(0.0, time.time() - self.started)


def find(folder: Path) -> Postmaster | None:
    """Return the server that runs on a data folder; None if none does.

    :raises EmbeddedServerError: if it runs out of our reach, in another container that has the folder too.
    """
    found = read_pid_file(folder)
    if found is None:
        return None
    if found.socket_dir is not None and _answers(found.socket_dir / f".s.PGSQL.{found.port}"):
        if not _exists(found.pid):
            raise out_of_reach(found.pid, folder)
        return found
    return found if is_postmaster(found.pid, folder) else None


def read_pid_file(folder: Path) -> Postmaster | None:
    """Read ``postmaster.pid``, whoever its pid belongs to; None if there is none, or it is half written."""
    try:
        text = files.read_own(folder / PID_FILE)
    except OSError:
        return None
    lines = [*text.splitlines(), *[""] * 8]
    try:
        pid = int(lines[0])
    except ValueError:
        return None
    return Postmaster(
        pid=pid,
        started=_number(lines[2]),
        port=_number(lines[3]),
        socket_dir=Path(lines[4]) if lines[4] else None,
        ready=lines[7].strip() == "ready",
    )


def is_postmaster(pid: int, folder: Path) -> bool:
    """Tell whether a process is the server of the folder: alive, no zombie, and at home there.

    :raises EmbeddedServerError: if that cannot be told without the extra's packages.
    """
    if pid <= 0 or not _exists(pid):
        return False
    psutil = _psutil()
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return False
        return os.path.samefile(process.cwd(), folder)  # a server goes to its data folder when it starts
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:
        return _is_of_owner(pid, folder)


def out_of_reach(pid: int, folder: Path) -> EmbeddedServerError:
    """Return the error for a server that answers, and whose pid is none of its own here."""
    return EmbeddedServerError(
        f"The data folder {folder} is served from another container: its server answers, "
        f"and pid {pid} is not that server here.",
        remedy="Stop it where it was started, or set another server_data_dir.",
    )


def disarm(folder: Path, socket_dirs: t.Iterable[Path]) -> None:
    """Make PostgreSQL see that what a dead server has left is stale, and no more than that.

    ``postmaster.pid`` is not removed: it also holds the key of the shared memory by which PostgreSQL
    notices backends that have outlived a killed server. A pid that is an ancestor of its own counts as
    stale. The lock of a socket holds nothing but the pid; it is removed where it names our folder.
    """
    path = folder / PID_FILE
    if read_pid_file(folder) is not None:
        _, newline, rest = files.read_own(path).partition("\n")
        files.write(path, f"{os.getpid()}{newline}{rest}", owner=files.owner_of(folder))
    elif path.exists() and not _anybody_at_home(folder):
        path.unlink()  # cut short, as by a full disk: PostgreSQL would not start beside it
    for lock in (lock for place in socket_dirs for lock in place.glob(".s.PGSQL.*.lock")):
        with contextlib.suppress(OSError):
            if files.read_plain(lock).splitlines()[1:2] == [os.fspath(folder)]:
                lock.unlink()


def _anybody_at_home(folder: Path) -> bool:
    """Tell whether any process of PostgreSQL works in the folder."""
    psutil = _psutil()
    for found in psutil.process_iter(["pid", "name"]):
        if (found.info["name"] or "").startswith("postgres") and is_postmaster(found.info["pid"], folder):
            return True
    return False


def _answers(path: Path) -> bool:
    """Tell whether a server accepts connections on a Unix socket."""
    if IS_WINDOWS:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_ANSWER_SECONDS)
        try:
            client.connect(os.fspath(path))
        except (TimeoutError, BlockingIOError):
            return True  # too busy to accept us, but there
        except OSError:
            return False
    return True


def _exists(pid: int) -> bool:
    if IS_WINDOWS:
        return bool(_psutil().pid_exists(pid))  # os.kill would end the process there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_of_owner(pid: int, folder: Path) -> bool:
    """Tell what can be told about a process of another account: it is ours only if it owns the folder."""
    if IS_WINDOWS:
        return True  # cannot be asked: rather refuse to start than start twice
    try:
        return os.stat(f"/proc/{pid}").st_uid == folder.stat().st_uid
    except OSError:
        return False


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdecimal() else 0


def _psutil() -> t.Any:
    try:
        import psutil
    except ImportError:
        message = "Whether the embedded server runs cannot be told without psutil."
        raise EmbeddedServerError(message, remedy=f"Run {INSTALL}.") from None
    return psutil
