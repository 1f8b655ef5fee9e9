"""A proxy that counts flights: how often a client speaks after the server has spoken."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import typing as t


class FlightCounter:
    """Passes bytes between clients and a server, and counts the client's turns to speak."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.count = 0
        self.sent: list[bytes] = []

    def __enter__(self) -> FlightCounter:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._listener.close()

    @contextlib.contextmanager
    def counted(self) -> t.Iterator[list[int]]:
        """Count the flights of a block; the list that is given holds their number afterwards."""
        before, result = self.count, list[int]()
        yield result
        result.append(self.count - before)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, contextlib.suppress(OSError):
            servers_turn = False
            while not self._stopped.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.2)
                for source in ready:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client and not servers_turn:
                        self.count += 1
                        self.sent.append(b"")
                    if source is client:
                        self.sent[-1] += data
                    servers_turn = source is client
                    (server if source is client else client).sendall(data)
