"""The embedded servers of this account: what there is, and how one is deleted."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from ..hosts import default_port
from ..postgres import marks
from ..postgres.marks import State
from ..remedies import Command
from . import account, cluster, connection, copies, creation, files, launch, location, process
from .cluster import Cluster, Listen

if t.TYPE_CHECKING:
    from ..reporting import Reporter

_DATABASES = """
SELECT datname, pg_database_size(oid), shobj_description(oid, 'pg_database')
FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY datname
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A data folder of ours.

    :ivar name: what ``flask psql server delete`` takes: the folder's name, or its path if it is elsewhere.
    :ivar addresses: where its server listens, or did last; none if it never started.
    :ivar version: such as ``18.6``, or the major version alone if it never started.
    :ivar pid: of its server; None if it is stopped.
    :ivar started_from: the folder in which the command that started it last was called.
    :ivar size: in bytes.
    """

    name: str
    folder: Path
    addresses: tuple[str, ...]
    port: int | None
    version: str | None
    pid: int | None
    started_from: str | None
    size: int

    def as_json(self) -> dict[str, object]:
        """Return what ``flask psql server list --json`` prints."""
        known = dataclasses.asdict(self)
        size = known.pop("size")
        return {**known, "folder": str(self.folder), "running": self.pid is not None, "size_bytes": size}


class Held(t.NamedTuple):
    """A database on an embedded server; the size is in bytes."""

    name: str
    size: int
    protected: bool


def kept(data_dir: Path | None) -> list[Kept]:
    """Return the data folders of this account, by their names.

    :param data_dir: one that is elsewhere, if the settings name one.
    """
    folders: list[Path] = []
    with contextlib.suppress(location.NoHome, OSError):
        folders = sorted(path for path in _folder_of_servers().iterdir() if not path.name.startswith("."))
    if data_dir is not None:
        folders.append(Path(os.path.abspath(data_dir.expanduser())))
    return [describe(folder) for folder in dict.fromkeys(folders) if location.is_ours(folder)]


def named(name: str) -> Path:
    """Return the data folder of a name that :func:`kept` gives."""
    if os.path.dirname(name):
        return Path(os.path.abspath(Path(name).expanduser()))
    return _folder_of_servers() / name


def describe(folder: Path) -> Kept:
    """Return what is known of a data folder, without asking its server."""
    run = files.read_json(folder / location.RUN)
    major = location.major_version(folder)
    running = process.find(folder)
    addresses = run.get("addresses")
    return Kept(
        name=_name(folder),
        folder=folder,
        addresses=tuple(map(str, addresses)) if isinstance(addresses, list) else (),
        port=run.get("port"),
        version=run.get("version") or (None if major is None else str(major)),
        pid=None if running is None else running.pid,
        started_from=run.get("started_from"),
        size=_size(folder),
    )


def delete(
    folder: Path,
    *,
    bin_dir: Path | None,
    reporter: Reporter,
    confirm: t.Callable[[Kept, t.Sequence[Held]], None],
) -> None:
    """Delete a stopped server with all that is in it.

    The server is started for a moment, where nobody else reaches it, to see what would be lost. Others that
    want to start it wait meanwhile.

    :param confirm: called before anything is deleted; it raises to stop that.
    :raises EmbeddedServerError: if it runs, if its databases cannot be listed, or one of them is protected.
    """
    if not folder.parent.is_dir() or not location.check(folder):
        raise EmbeddedServerError(
            f"There is no embedded server in {folder}.", remedy=Command("To see all", "server list")
        )
    with launch.locked(folder):
        creation.remove_leftovers(folder)
        found = describe(folder)
        if found.pid is not None:
            raise EmbeddedServerError(
                f"The embedded server in {folder} is running (pid {found.pid}).",
                remedy=Command("Stop it first, with its own URI", "server stop"),
            )
        held = _look(found, bin_dir=bin_dir, reporter=reporter)
        protected = [database.name for database in held if database.protected]
        if protected:
            names = ", ".join(f'"{name}"' for name in protected)
            raise EmbeddedServerError(
                f"The embedded server in {folder} has protected databases: {names}.",
                remedy=Command("Start it, and lift that first, with its own URI", "unprotect"),
            )
        confirm(found, held)
        with reporter.progress(f"deleting {folder}"):
            _remove(folder)


def _look(found: Kept, *, bin_dir: Path | None, reporter: Reporter) -> list[Held]:
    """Return the databases of a stopped server."""
    folder = found.folder
    if not (folder / "PG_VERSION").exists():
        return []  # what an interrupted deletion left of a folder that could not be moved
    try:
        programs, runs_as = copies.choose(
            bin_dir, major=location.major_version(folder), accounts=account.candidates(folder)
        )
        made = Cluster(folder, programs, runs_as)
        addresses = found.addresses if account.IS_WINDOWS else ()
        with reporter.progress("looking at the databases"):
            running = cluster.start(made, Listen(addresses, found.port or default_port()))
            try:
                with connection.as_superuser(folder, running) as session:
                    return [
                        Held(name, size, _is_protected(comment))
                        for name, size, comment in session.rows(_DATABASES)
                    ]
            finally:
                cluster.stop(folder, running)
    except EmbeddedServerError as error:
        raise EmbeddedServerError(
            f"The databases in {folder} cannot be listed, so nothing was deleted: {error.message}",
            remedy=f"If you need none of them, remove the folder by hand: {folder}",
        ) from None


def _is_protected(comment: str | None) -> bool:
    mark = marks.split(comment)[1]
    return mark is not None and mark.state is State.PROTECTED


def _remove(folder: Path) -> None:
    """Take a folder away in one step, then remove it. A mount point is emptied, the mark last."""
    sockets = cluster.private_socket_dir(folder)
    try:
        stage = creation.new_stage(folder)
        try:
            os.rename(folder, stage / folder.name)
        except OSError:
            for path in sorted(folder.iterdir(), key=lambda path: path.name == location.MARK):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        shutil.rmtree(stage)
    except OSError as error:
        raise EmbeddedServerError(
            f"The data folder {folder} could not be removed: {error.strerror or error} ({error.filename})."
        ) from None
    if sockets is not None and sockets.parent != folder:
        shutil.rmtree(sockets, ignore_errors=True)


def _folder_of_servers() -> Path:
    return location.home() / "servers"


def _name(folder: Path) -> str:
    try:
        return folder.name if folder.parent == _folder_of_servers() else str(folder)
    except EmbeddedServerError:
        return str(folder)


def _size(folder: Path) -> int:
    """Return what the files in a folder take, in bytes, without those that go meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
