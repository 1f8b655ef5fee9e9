"""A proxy that makes a server look far away, and counts how often the client has to wait for it."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
import typing as t

_CHUNK = 1 << 16


class Proxy:
    """Passes bytes between clients and a server, late by ``delay`` seconds in each direction.

    It counts *flights*: a flight is one burst of bytes from the client that the server answers. What the
    client sends before the answer comes belongs to the same flight, so a flight is what costs a round
    trip. The goodbye at the end of a connection is never answered, and is none.

    Opening a connection costs a round trip more, as TCP's own handshake does; that is no flight.

    :param delay: seconds in one direction; a round trip takes twice as long.
    """

    def __init__(self, host: str, port: int, *, delay: float = 0.0) -> None:
        self.delay = delay
        self.connections = 0
        self.bursts: list[bytes] = []
        """What the client sent in each flight."""
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def flights(self) -> int:
        return len(self.bursts)

    def forget(self) -> None:
        """Count from zero again."""
        self.bursts.clear()
        self.connections = 0

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone does not wake a thread that waits in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                _Link(self, client, socket.create_connection(self._server)).start()


class _Link:
    """One connection, with two threads for each direction: one reads, the other writes later."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._handshake = 2 * proxy.delay
        self._unanswered = bytearray()

    def start(self) -> None:
        for end in (self._client, self._server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pump(self._client, self._server, self._from_client)
        self._pump(self._server, self._client, self._from_server)

    def _pump(
        self, source: socket.socket, target: socket.socket, passing: t.Callable[[bytes], float]
    ) -> None:
        waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(source, waiting, passing), daemon=True).start()
        threading.Thread(target=_write, args=(target, waiting), daemon=True).start()

    def _from_client(self, data: bytes) -> float:
        self._unanswered += data
        handshake, self._handshake = self._handshake, 0.0
        return self._proxy.delay + handshake

    def _from_server(self, _: bytes) -> float:
        if self._unanswered:
            self._proxy.bursts.append(bytes(self._unanswered))
            self._unanswered.clear()
        return self._proxy.delay


def _read(
    source: socket.socket,
    waiting: queue.SimpleQueue[tuple[float, bytes]],
    passing: t.Callable[[bytes], float],
) -> None:
    data = b"-"
    while data:
        try:
            data = source.recv(_CHUNK)
        except OSError:
            data = b""
        late = passing(data) if data else 0.0
        waiting.put((time.monotonic() + late, data))


def _write(target: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    with contextlib.suppress(OSError):
        while True:
            due, data = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
