"""How a server is started and stopped, by PostgreSQL's own programs."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import shutil
import signal
import stat
import time
from pathlib import Path

from ..errors import EmbeddedServerError
from . import config, files, location, process
from .account import CURRENT, IS_WINDOWS, Account, Result
from .binaries import Binaries
from .process import Postmaster

START_SECONDS = 600
STOP_SECONDS = 600.0
_POLL_SECONDS = 0.01
_ORPHANS_SECONDS = 20.0
_LOG_BYTES = 10_000_000
_FULL_BYTES = 16_000_000
NOT_STARTED = "The embedded server could not be started"
_REASON = re.compile(r"(?:FATAL|PANIC|error):\s+")


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder with those who serve it."""

    folder: Path
    binaries: Binaries
    account: Account


@dataclasses.dataclass(frozen=True, slots=True)
class Listen:
    """Where a server shall listen: IP addresses, and at most one socket folder of the user's."""

    addresses: tuple[str, ...]
    port: int
    socket_dir: Path | None = None


def start(cluster: Cluster, listen: Listen) -> Postmaster:
    """Start the server and wait until it accepts connections.

    :raises EmbeddedServerError: with PostgreSQL's own reason, if it does not start.
    """
    was_killed = (cluster.folder / process.PID_FILE).exists()
    try:
        _prepare(cluster.folder, listen)
    except OSError as error:
        raise failed(NOT_STARTED, cluster, error.strerror or str(error)) from None
    log = cluster.folder / location.LOG
    offset = _rotated(log)
    deadline = time.monotonic() + (_ORPHANS_SECONDS if was_killed else 0)
    while True:
        answer = _pg_ctl_start(cluster, log)
        found = process.find(cluster.folder) if answer.returncode == 0 else None
        if found is not None:
            return found
        said = log_since(log, offset)
        # The backends of a killed server end by themselves, but not at once.
        if "shared memory" not in said or time.monotonic() > deadline:
            raise _not_started(cluster, answer, said)
        time.sleep(0.2)


def stop(folder: Path, running: Postmaster) -> None:
    """Stop a server in fast mode: sessions end, what was committed stays.

    :raises EmbeddedServerError: if it does not end, or its pid is not the server's.
    """
    if not process.is_postmaster(running.pid, folder):
        if process.find(folder) is None:
            return  # it has ended by itself
        raise process.out_of_reach(running.pid, folder)
    _ask_to_stop(folder, running)
    deadline = time.monotonic() + STOP_SECONDS
    while (folder / process.PID_FILE).exists():
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"The embedded server (pid {running.pid}) has not stopped within {STOP_SECONDS:.0f} seconds.",
                remedy=f"Its log is {folder / location.LOG}.",
            )
        if not process.is_postmaster(running.pid, folder):
            break
        time.sleep(_POLL_SECONDS)


def _ask_to_stop(folder: Path, running: Postmaster) -> None:
    """Send what pg_ctl would send. Where there are signals, a wheel that is gone does not matter."""
    if IS_WINDOWS:
        bin_dir = Path(str(files.read_json(folder / location.RUN).get("bin_dir")))
        CURRENT.run(bin_dir / "pg_ctl.exe", "stop", "-D", folder, "-m", "fast", "-W")
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGINT)


def failed(what: str, cluster: Cluster, said: str) -> EmbeddedServerError:
    """Return the error that gives PostgreSQL's own reason: the last line that is one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    reasons = [_REASON.split(line, maxsplit=1)[-1] for line in lines if _REASON.search(line)]
    reason = (reasons or lines or ["no reason was given"])[-1]
    hint = f"PostgreSQL's log is {cluster.folder / location.LOG}." if cluster.folder.exists() else None
    if _disk_is_full(cluster.folder) or "No space left" in said:
        hint = f"The disk that holds {cluster.folder} is full: make room there, then run the command again."
    return EmbeddedServerError(f"{what} in {cluster.folder}: {reason.rstrip('.')}.", remedy=hint)


def private_socket_dir(folder: Path) -> Path | None:
    """Return the folder for the socket that only we reach: inside the data, or a short one elsewhere."""
    if IS_WINDOWS:
        return None
    inside = folder / location.SOCKETS
    if len(os.fsencode(inside)) <= location.LONGEST_SOCKET_DIR and "," not in os.fspath(inside):
        return inside  # at a comma, libpq sees two hosts
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path("/tmp") / f"flask-postgres-{folder.stat().st_uid}-{digest}"


def log_since(log: Path, offset: int) -> str:
    """Return what the server has written into its log from an offset on."""
    try:
        with open(log, "rb", opener=files.not_followed) as file:
            file.seek(offset)
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _prepare(folder: Path, listen: Listen) -> None:
    """Write our settings, and clear away what a killed server has left."""
    own = private_socket_dir(folder)
    if own is not None:
        _make_private(own, folder)
    socket_dirs = [path for path in (own, listen.socket_dir) if path is not None]
    settings = config.server_settings(
        addresses=listen.addresses,
        port=listen.port,
        socket_dirs=socket_dirs,
        cluster_name=location.cluster_name(folder),
    )
    owner = files.owner_of(folder)
    files.write(folder / location.CONFIG, settings, owner=owner)
    if not (folder / "pg_hba.conf").exists():
        rules = config.access_rules((), superuser_over_tcp=IS_WINDOWS)
        files.write(folder / "pg_hba.conf", rules, owner=owner)
    process.disarm(folder, socket_dirs)


def _make_private(sockets: Path, folder: Path) -> None:
    """Make the socket folder, and make sure that nobody else has made it before us."""
    with contextlib.suppress(FileExistsError):
        sockets.mkdir(mode=0o700)
        owner = files.owner_of(folder)
        if owner is not None:
            os.chown(sockets, *owner, follow_symlinks=False)
    found = os.lstat(sockets)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != folder.stat().st_uid or found.st_mode & 0o077:
        raise EmbeddedServerError(
            f"{sockets}, the folder for the private socket, is not a folder of this account's alone.",
            remedy="Remove it, or set server_data_dir to a shorter path.",
        )


def _rotated(log: Path) -> int:
    """Put a log that has grown large aside; return where the next lines will start."""
    try:
        size = log.stat().st_size
        if size > _LOG_BYTES:
            os.replace(log, log.with_name(f"{log.name}.1"))
            return 0
    except OSError:
        return 0
    return size


def _pg_ctl_start(cluster: Cluster, log: Path) -> Result:
    return cluster.account.run(
        cluster.binaries.program("pg_ctl"),
        "start",
        "--wait",
        f"--timeout={START_SECONDS}",
        "--silent",
        f"--log={log.name}",
        cwd=cluster.folder,
        data=cluster.folder,
    )


def _not_started(cluster: Cluster, answer: Result, said: str) -> EmbeddedServerError:
    fatal = [line for line in said.splitlines() if "FATAL:" in line or "PANIC:" in line]
    return failed(NOT_STARTED, cluster, "\n".join(fatal) or answer.output or said)


def _disk_is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder if folder.exists() else folder.parent).free < _FULL_BYTES
    except OSError:
        return False
