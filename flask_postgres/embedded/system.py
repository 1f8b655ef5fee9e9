"""PostgreSQL clusters of the system: one that is stopped is named, so that ours does not take its place."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import re
import socket
from pathlib import Path

from ..hosts import DEFAULT_PORT

PLACES = (
    "/etc/postgresql/*/*/postgresql.conf",  # Debian, Ubuntu
    "/var/lib/pgsql/data/postgresql.conf",  # Fedora
    "/var/lib/pgsql/*/data/postgresql.conf",  # the PostgreSQL project's RPMs
    "/var/lib/postgres/data/postgresql.conf",  # Arch
    "/var/lib/postgresql/data/postgresql.conf",
    "/var/lib/postgresql/*/data/postgresql.conf",  # Alpine
    "/opt/homebrew/var/postgres*/postgresql.conf",
    "/usr/local/var/postgres*/postgresql.conf",
    "~/Library/Application Support/Postgres/var-*/postgresql.conf",
    "C:/Program Files/PostgreSQL/*/data/postgresql.conf",
)

DEFAULT_SOCKETS = ("/var/run/postgresql", "/run/postgresql", "/tmp")

_PORT = re.compile(r"^\s*port\s*(?:=|\s)\s*'?(\d+)'?", re.MULTILINE | re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class SystemCluster:
    """A cluster that is configured on this machine."""

    config: Path
    port: int

    @property
    def how_to_start(self) -> str:
        """The command that starts it, where its place tells."""
        parts = self.config.parts
        if self.config.is_relative_to("/etc/postgresql"):
            return f"pg_ctlcluster {parts[-3]} {parts[-2]} start"
        if "homebrew" in parts or self.config.is_relative_to("/usr/local/var"):
            return f"brew services start {parts[-2]}"
        return f"pg_ctl start -D '{self.config.parent}'"


def configured_for(port: int, *, places: tuple[str, ...] | None = None) -> SystemCluster | None:
    """Return a system cluster that would listen on a port; None if there is none that we may read."""
    for place in PLACES if places is None else places:
        for name in sorted(glob.glob(os.path.expanduser(place))):
            cluster = SystemCluster(Path(name), _port(Path(name)))
            if cluster.port == port:
                return cluster
    return None


def _port(config: Path) -> int:
    """Return the port that a configuration sets: the last one counts, and ``conf.d`` comes after it."""
    found = DEFAULT_PORT
    later = config.with_name("postgresql.auto.conf")
    for path in (config, *sorted(config.parent.glob("conf.d/*.conf")), later):
        try:
            matches = _PORT.findall(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        found = int(matches[-1]) if matches else found
    return found if _readable(config) else 0


def _readable(config: Path) -> bool:
    return os.access(config, os.R_OK)


def answers(folder: Path, port: int) -> bool:
    """Tell whether a server accepts connections on a Unix socket in a folder."""
    with contextlib.suppress(AttributeError, OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        client.connect(os.fspath(folder / f".s.PGSQL.{port}"))
        return True
    return False


def answers_on_default_socket(port: int) -> bool:
    """Tell whether a server listens where libpq looks when a URI names no host."""
    return any(answers(Path(folder), port) for folder in DEFAULT_SOCKETS)
