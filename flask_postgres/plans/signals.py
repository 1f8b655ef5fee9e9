"""Signals while a plan runs: they end it in an orderly way, or wait until it is done."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import types
import typing as t
import weakref

from ..errors import Interrupted

FREE_AFTER = 1.0
"""Seconds after which a signal that Python has not seen means that a driver waits in C."""

AGAIN_AFTER = 0.5
"""Seconds in which a second signal is only remembered: the first may not have been caught yet."""

UNDOING_MAY_STOP_AFTER = 5.0
"""Seconds of undoing after which it is reported, and a signal ends it: a connection may have stalled."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Guard:
    """While it is entered, SIGINT, SIGTERM and SIGHUP raise :class:`Interrupted`.

    The signal is remembered as well, because an app's callback may swallow what is raised: ``check``
    raises it again. Outside the main thread Python delivers no signals, and nothing is installed.

    :param program: whether the process is ours. In a program that only calls us, signals mean what they did.
    """

    def __init__(self, *, program: bool = True) -> None:
        self._program = program
        self.received: int | None = None
        self.deferred = False
        """Whether signals are only remembered, from now on."""
        self._held = False
        self._freeing = threading.Lock()
        self._pid = os.getpid()
        self._handled_at = -AGAIN_AFTER
        self._former: dict[int, t.Any] = {}
        self._undoing_since: float | None = None

    def check(self) -> None:
        """Raise what has been received.

        :raises Interrupted: if a signal came and signals are not deferred.
        """
        self.leave_if_forked(None)
        if self.received is not None and not self.deferred:
            raise Interrupted(self.received)

    @contextlib.contextmanager
    def holding(self) -> t.Iterator[None]:
        """Make signals wait until the end of the block, after which ``check`` raises them."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    @contextlib.contextmanager
    def undoing(self, report: t.Callable[[], None]) -> t.Iterator[None]:
        """Defer signals while a plan is undone, but not for ever.

        :param report: says that undoing takes long, and that a signal ends it from now on.
        """
        timer = threading.Timer(UNDOING_MAY_STOP_AFTER, report)
        timer.daemon = True
        self._undoing_since = time.monotonic()
        if self._program:
            timer.start()
        try:
            yield
        finally:
            self._undoing_since = None
            timer.cancel()

    @property
    def _may_raise(self) -> bool:
        since = self._undoing_since
        late = since is not None and time.monotonic() - since > UNDOING_MAY_STOP_AFTER
        return not self._held and (late or not self.deferred)

    def leave_if_forked(self, error: BaseException | None) -> None:
        """End this process if it is a child that the app's callback forked, and that came back here.

        The sessions are its parent's, and so are the plan and its undoing.
        """
        if os.getpid() == self._pid or not self._program:
            return
        cause = error.__cause__ if error is not None else None
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        left_well = error is None or (isinstance(cause, SystemExit) and not cause.code)
        os._exit(0 if left_well else 1)

    def __enter__(self) -> Guard:
        if self._program:
            self._install()
        _entered.add(self)
        if (
            "gevent" in sys.modules
        ):  # its loop, in which an app that it has patched waits, prints what it raises
            hub = sys.modules["gevent"].get_hub()
            hub.NOT_ERROR = (*hub.NOT_ERROR, Interrupted)
        return self

    def _install(self) -> None:
        with contextlib.suppress(ValueError):  # not in the main thread
            for name in _NAMES:
                number = getattr(signal, name, None)
                # SIGHUP that is ignored already stays so: the user ran us under nohup.
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._former[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        _entered.discard(self)
        self.restore()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the signals that are handled now."""
        return tuple(self._former)

    def settle(self) -> None:
        """Wait until no session is being ended from outside any more: what follows opens its own.

        Signals must be deferred before.
        """
        with self._freeing:
            pass

    def restore(self) -> None:
        """Give the signals the handlers that they had."""
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
        while arrived := reader.recv(64):
            if not self._former.keys() & set(arrived):
                continue  # one that the app handles by itself
            since = time.monotonic()
            time.sleep(FREE_AFTER)
            with self._freeing:
                if self._may_raise and self._handled_at < since - FREE_AFTER:
                    free()

    def _handle(self, signum: int, _frame: types.FrameType | None) -> None:
        self.received = signum
        before, self._handled_at = self._handled_at, time.monotonic()
        if self._may_raise and self._handled_at - before >= AGAIN_AFTER:
            raise Interrupted(signum)


_entered: weakref.WeakSet[Guard] = weakref.WeakSet()
_masks: list[t.Any] = []


def _before_fork() -> None:
    """Let signals wait: the child must not write to its parent's wake-up descriptor."""
    numbers = [number for guard in _entered for number in guard.numbers]
    _masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, numbers))


def _in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop())


def _in_child() -> None:
    """In a forked child signals mean what they meant before."""
    for guard in _entered:
        if guard.numbers:
            guard.restore()
            signal.set_wakeup_fd(-1)
    _in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
