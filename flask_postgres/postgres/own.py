"""The connections of this process, as the server sees them: an app may have opened some by its driver."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

Address = tuple[str, int]


def addresses() -> frozenset[Address]:
    """Return the addresses from which this process is connected; none where the system does not tell."""
    found = set()
    with contextlib.suppress(OSError):  # Windows has no such folder
        for name in os.listdir("/dev/fd"):
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    found.add(_address(int(name)))
    return frozenset(filter(None, found))


def _address(descriptor: int) -> Address | None:
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        if copy.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        host, port, *_ = copy.getsockname()
        return str(host).removeprefix("::ffff:"), int(port)
