"""The server of a run of tests: an embedded one that is thrown away afterwards, with its data."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

from ..embedded import service
from ..embedded.info import ServerInfo
from ..errors import EmbeddedServerError
from ..postgres.admin import Connector
from ..reporting import Silence
from ..uri import PostgresUri
from .shared import Shared

FASTER = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")
"""What a server may do without whose data nobody needs after a crash."""

ATTEMPTS = 5
"""A free port can be taken by somebody else before the server listens on it."""


class Throwaway(t.NamedTuple):
    """The server: how it is reached, and what is known of it."""

    uri: PostgresUri
    info: ServerInfo


def of_the_run(shared: Shared, *, bin_dir: Path | None) -> Throwaway:
    """Start the server, or return that which another process of the run has started; only while those wait.

    :raises EmbeddedServerError: if there are no programs of PostgreSQL, or the server does not start.
    """
    data, file = shared.folder / "data", shared.folder / "server"
    if file.exists():
        uri = PostgresUri(file.read_text())
        found = service.ensure(
            uri, mode="embedded", data_dir=data, bin_dir=bin_dir, reporter=Silence(), start=False
        )
        if found is not None:
            return Throwaway(uri, found)
    for attempt in range(ATTEMPTS):
        uri = PostgresUri.build(
            dbname="postgres",
            user="tests",
            password=secrets.token_hex(8),
            host="127.0.0.1",
            port=_free_port(),
        )
        try:
            info = service.start(uri, mode="embedded", data_dir=data, bin_dir=bin_dir, reporter=Silence())
            break
        except EmbeddedServerError:
            if attempt == ATTEMPTS - 1:
                raise
    with Connector(uri=service.superuser_uri(info)).open("postgres") as session:
        for setting in FASTER:
            session.script(f"ALTER SYSTEM SET {setting}")
        session.value("SELECT pg_catalog.pg_reload_conf()")
    file.touch(mode=0o600)
    file.write_text(uri.render(hide_password=False))
    return Throwaway(uri, info)


def end(shared: Shared) -> None:
    """Stop the server and remove its data; only while nobody uses it."""
    file, data = shared.folder / "server", shared.folder / "data"
    if file.exists():
        service.stop(PostgresUri(file.read_text()), data_dir=data, reporter=Silence())
    shutil.rmtree(shared.folder, ignore_errors=True)
    shared.forget()


def watch(shared: Shared) -> None:
    """Have another process end the run after the last one of its own, even if that is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_postgres.testing.watcher", shared.folder.name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    process.returncode = 0  # it outlives us, so nobody waits for it, and nothing is to be said of that


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
