"""Bring the embedded server of a place up: one command does it, others that want it wait."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from . import account, addresses, cluster, copies, creation, files, location, locking, place, process, roles
from .cluster import Cluster, Listen
from .info import ServerInfo
from .place import Place
from .process import Postmaster

if t.TYPE_CHECKING:
    from ..reporting import Reporter

_READY_SECONDS = 600.0
_POLL_SECONDS = 0.02


def launch(where: Place, *, bin_dir: Path | None, reporter: Reporter, follow: bool = False) -> ServerInfo:
    """Initialise and start the server of a place, whichever of it is still to be done.

    :param follow: passed on to :func:`roles.prepare`.
    :raises EmbeddedServerError: if it cannot be brought up; what was there before is intact.
    """
    location.check(where.folder)
    with locked(where.folder):
        running = place.running(where)
        if running is None:
            running = _start(where, bin_dir=bin_dir, reporter=reporter)
            try:
                _prepare(where, running, reporter=reporter, follow=follow)
            except BaseException:
                cluster.stop(where.folder, running)
                raise
            info = serving(where, running)
            reporter.note(
                f"Started PostgreSQL {info.version} on {where.target} (data in {where.folder}); "
                f"access: {info.access}; stop it with: flask psql server stop"
            )
            return info
        running = _until_ready(where, running)
        if follow or not roles.is_prepared(where.folder, where.target):
            _prepare(where, running, reporter=reporter, follow=follow)
    return serving(where, running)


def with_role(
    where: Place, running: Postmaster, *, reporter: Reporter, always: bool = False, follow: bool = False
) -> ServerInfo:
    """Make sure that a running server knows the URI's role.

    :param always: ask the server, even if this role and password were prepared before.
    """
    if always or not roles.is_prepared(where.folder, where.target):
        with locked(where.folder):
            _prepare(where, running, reporter=reporter, follow=follow)
    return serving(where, running)


def serving(where: Place, running: Postmaster) -> ServerInfo:
    """Describe a running server."""
    known = files.read_json(where.folder / location.RUN)
    bin_dir = known.get("bin_dir")
    return ServerInfo(
        running=True,
        host=where.target.host,
        port=running.port,
        version=str(known.get("version") or location.major_version(where.folder)),
        data_dir=where.folder,
        trusts=where.target.password is None,
        pid=running.pid,
        uptime_s=running.uptime,
        addresses=place.served_at(where.folder),
        bin_dir=Path(bin_dir) if bin_dir else None,
        socket_dir=running.socket_dir,
    )


@contextlib.contextmanager
def locked(folder: Path) -> t.Iterator[None]:
    """Hold the lock of a data folder, whose parents are made."""
    try:
        copies.open_parents(folder)
        lock = locking.hold(folder)
        lock.__enter__()
    except OSError as error:
        raise location.unusable(folder, error) from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _start(where: Place, *, bin_dir: Path | None, reporter: Reporter) -> Postmaster:
    """Start the server of a place, with a new data folder if there is none; the lock is held."""
    folder = where.folder
    place.check_free(where)
    exists = location.check(folder)
    major = location.major_version(folder) if exists else None
    found, runs_as = copies.choose(bin_dir, major=major, accounts=account.candidates(folder))
    if where.target.is_socket and not runs_as.can_enter(Path(where.target.host)):
        raise place.not_own(Path(where.target.host))
    made = Cluster(folder, found, runs_as)
    if not exists:
        with reporter.progress(f"initializing PostgreSQL {found.version}"):
            creation.initialize(made)
    listen = _listen(where)
    _note_run(made, listen)
    with reporter.progress("starting PostgreSQL"):
        return cluster.start(made, listen)


def _note_run(made: Cluster, listen: Listen) -> None:
    """Write down where the server is about to listen: it may come up after we were interrupted."""
    hosts = [*listen.addresses, *([str(listen.socket_dir)] if listen.socket_dir else [])]
    known = {
        "addresses": hosts,
        "port": listen.port,
        "version": made.binaries.version,
        "bin_dir": str(made.binaries.path),
        "started_from": _working_folder(),
    }
    try:
        files.write_json(made.folder / location.RUN, known, owner=files.owner_of(made.folder))
    except OSError as error:
        raise cluster.failed(cluster.NOT_STARTED, made, error.strerror or str(error)) from None


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _listen(where: Place) -> Listen:
    """Return where to listen: what the URI names, and what other URIs of the folder named before."""
    port = where.target.port
    if where.target.is_socket:
        return Listen((), port, Path(where.target.host))
    before = [address for address in place.served_at(where.folder) if not address.startswith("/")]
    others = tuple(address for address in before if address not in where.addresses)
    return Listen(where.addresses + addresses.free(others, port), port)


def _prepare(where: Place, running: Postmaster, *, reporter: Reporter, follow: bool) -> None:
    changed = roles.prepare(where.folder, running, where.target, follow=follow)
    if changed:
        what = "no password" if where.target.password is None else "the URI's password"
        reporter.note(f'The role "{where.target.user}" has {what} now; it had another.')
    hosts = (where.target.host,) if where.target.is_socket else where.addresses
    served = place.served_at(where.folder)
    name = location.cluster_name(where.folder)
    roles.check_answers(where.target, tuple(host for host in hosts if host in served), name)


def _until_ready(where: Place, running: Postmaster) -> Postmaster:
    """Wait for a server that somebody started without waiting for it, as after a power cut."""
    deadline = time.monotonic() + _READY_SECONDS
    while not running.ready:
        time.sleep(_POLL_SECONDS)
        found = process.find(where.folder)
        if found is None or time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"The embedded server in {where.folder} was starting, but did not get ready.",
                remedy=f"Its log is {where.folder / location.LOG}.",
            )
        running = found
    return running
