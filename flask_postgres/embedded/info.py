"""What can be said about the embedded server of an address."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class ServerInfo:
    """The embedded server of one address, running or not.

    :param version: such as ``18.6``; of a stopped server its major version, None if there is no data yet.
    :param trusts: whether every account of this machine gets in as the URI's role, which has no password.
    :param uptime_s: seconds since the start.
    :param addresses: the IP addresses (or the one socket folder) on which it listens.
    :param socket_dir: the private folder of its Unix socket; None on Windows.
    """

    running: bool
    host: str
    port: int
    version: str | None
    data_dir: Path
    trusts: bool
    pid: int | None = None
    uptime_s: float | None = None
    addresses: tuple[str, ...] = ()
    bin_dir: Path | None = None
    socket_dir: Path | None = None

    @property
    def access(self) -> str:
        """Who gets in as the URI's role."""
        if self.trusts:
            return "every account of this machine (the URI has no password)"
        return "whoever has the URI's password"

    def as_json(self) -> dict[str, object]:
        """Return what ``flask psql server status --json`` prints."""
        return {
            "running": self.running,
            "host": self.host,
            "port": self.port,
            "version": self.version,
            "data_dir": str(self.data_dir),
            "access": "trust" if self.trusts else "password",
            "pid": self.pid,
            "uptime_s": None if self.uptime_s is None else round(self.uptime_s, 1),
        }
