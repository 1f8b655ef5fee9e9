"""Signals while a plan runs: they end it in an orderly way, or wait until it is done."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
import types
import typing as t

from ..errors import Interrupted

FREE_AFTER = 1.0
"""Seconds after which a signal that Python has not seen means that a driver waits in C."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Guard:
    """While it is entered, SIGINT, SIGTERM and SIGHUP raise :class:`Interrupted`.

    The signal is remembered as well, because an app's callback may swallow what is raised: ``check``
    raises it again. After ``defer`` signals are only remembered. Outside the main thread Python
    delivers no signals, and nothing is installed.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferred = False
        self._handled_at = 0.0
        self._former: dict[int, t.Any] = {}

    def check(self) -> None:
        """Raise what has been received.

        :raises Interrupted: if a signal came and signals are not deferred.
        """
        if self.received is not None and not self._deferred:
            raise Interrupted(self.received)

    def defer(self) -> None:
        """From now on only remember signals."""
        self._deferred = True

    def __enter__(self) -> Guard:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)
                # SIGHUP that is ignored already stays so: the user ran us under nohup.
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()

    @contextlib.contextmanager
    def freeing(self, free: t.Callable[[], None]) -> t.Iterator[None]:
        """Call ``free`` from another thread when a signal comes and Python code does not see it.

        The handler runs only between two instructions of Python: while psycopg2 waits for the server
        in C it does not. The wake-up descriptor is written at once all the same.
        """
        if not self._former:
            yield
            return
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        former = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        watcher = threading.Thread(target=self._watch, args=(reader, free), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(former)
            writer.close()
            watcher.join(timeout=5)
            reader.close()

    def _watch(self, reader: socket.socket, free: t.Callable[[], None]) -> None:
        while reader.recv(64):
            arrived = time.monotonic()
            time.sleep(FREE_AFTER)
            if not self._deferred and self._handled_at < arrived - FREE_AFTER:
                free()

    def _handle(self, signum: int, _frame: types.FrameType | None) -> None:
        self.received = signum
        self._handled_at = time.monotonic()
        if not self._deferred:
            raise Interrupted(signum)
