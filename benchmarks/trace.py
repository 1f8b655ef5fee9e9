"""Show what a command says to the server, flight by flight."""

from __future__ import annotations

import typing as t

from .bench import OURS, Bench, Command
from .proxy import Proxy
from .server import HOST

WIDTH = 150
_STARTUP = {80877103: "SSLRequest", 80877104: "GSSENCRequest", 196608: "StartupMessage"}
_WITH_TEXT = {b"Q": "", b"P": "prepare "}


def trace(bench: Bench, command: Command) -> str:
    """Run a command of ours once and return its flights, one a line."""
    with Proxy(HOST, bench.server.port) as proxy:
        contender = next(one for one in bench.psql(command, port=proxy.port) if one.name == OURS)
        contender.run()
        return "\n".join(f"{number:4} {_described(burst)}" for number, burst in enumerate(proxy.bursts, 1))


def _described(burst: bytes) -> str:
    if burst[:1] == b"\0":
        return _STARTUP.get(int.from_bytes(burst[4:8], "big"), "another kind of start")
    return "; ".join(_messages(burst))[:WIDTH]


def _messages(burst: bytes) -> t.Iterator[str]:
    while len(burst) >= 5:
        kind, length = burst[:1], int.from_bytes(burst[1:5], "big")
        body, burst = burst[5 : length + 1], burst[length + 1 :]
        if kind == b"p":
            yield "password"
        elif kind in _WITH_TEXT:
            sql = body if kind == b"Q" else body.partition(b"\0")[2]
            yield _WITH_TEXT[kind] + " ".join(sql.partition(b"\0")[0].decode().split())
