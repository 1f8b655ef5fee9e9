"""Signals end a plan in an orderly way, or wait until it is done."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from flask_postgres.errors import Interrupted
from flask_postgres.plans.signals import AGAIN_AFTER, Guard


def _send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_they_raise_and_are_remembered(number: int) -> None:
    with Guard() as guard:
        with pytest.raises(KeyboardInterrupt) as caught:
            _send(number)
        assert isinstance(caught.value, Interrupted)
        assert caught.value.signum == number
        with pytest.raises(Interrupted):
            guard.check()
        guard.deferred = True
        guard.check()


def test_a_second_one_does_not_catch_the_first_on_its_way() -> None:
    with Guard() as guard:
        with pytest.raises(Interrupted):
            _send(signal.SIGINT)
        _send(signal.SIGINT)  # only remembered
        time.sleep(AGAIN_AFTER)
        with pytest.raises(Interrupted):
            _send(signal.SIGINT)
        guard.deferred = True
        _send(signal.SIGTERM)
        assert guard.received == signal.SIGTERM


def test_they_wait_for_what_must_not_be_cut_in_half() -> None:
    with Guard() as guard:
        with guard.holding():
            _send(signal.SIGTERM)
        with pytest.raises(Interrupted):
            guard.check()


def test_undoing_waits_until_no_session_is_ended_from_outside_any_more() -> None:
    """The session that is opened for undoing bears the same name as those that are ended."""
    order: list[str] = []
    begun, end = threading.Event(), threading.Event()

    def free() -> None:
        begun.set()
        assert end.wait(10)
        order.append("freed")

    with Guard() as guard, guard.freeing(free):
        descriptor = signal.set_wakeup_fd(-1)
        os.write(descriptor, bytes([signal.SIGTERM]))  # as a signal does while a driver waits in C
        signal.set_wakeup_fd(descriptor)
        assert begun.wait(10)
        guard.deferred = True
        threading.Timer(0.2, end.set).start()
        guard.settle()
        order.append("settled")
    assert order == ["freed", "settled"]


def test_former_handlers_come_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with Guard(), Guard():
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    assert {number: signal.getsignal(number) for number in before} == before


def test_what_is_ignored_stays_ignored() -> None:
    """nohup, and a shell's background jobs."""
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Guard():
            _send(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_another_thread_installs_nothing() -> None:
    seen = []

    def work() -> None:
        with Guard() as guard, guard.freeing(lambda: None):
            seen.append(guard.numbers)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [()]


def test_a_signal_that_python_has_seen_frees_nothing() -> None:
    freed: list[bool] = []
    with Guard() as guard, guard.freeing(lambda: freed.append(True)):
        with pytest.raises(Interrupted):
            _send(signal.SIGTERM)
        time.sleep(1.3)
    assert not freed


def test_a_signal_of_the_apps_own_is_not_ours() -> None:
    freed, handled = [], []
    former = signal.signal(signal.SIGUSR1, lambda *_: handled.append(True))
    try:
        with Guard() as guard, guard.freeing(lambda: freed.append(True)):
            _send(signal.SIGUSR1)
            time.sleep(1.3)
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert handled
    assert not freed


def test_a_child_has_the_former_handlers() -> None:
    """Its signals neither raise ours in it nor reach the parent's watcher."""
    freed: list[bool] = []
    with Guard() as guard, guard.freeing(lambda: freed.append(True)):
        pid = _sleeping_child()
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        time.sleep(1.3)
    assert not freed


def _sleeping_child() -> int:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads: the watcher is one
        pid = os.fork()
    if not pid:
        time.sleep(20)
        os._exit(0)
    return pid
