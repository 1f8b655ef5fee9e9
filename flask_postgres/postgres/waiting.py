"""Wait until a server lets us in: in containers and in CI it often starts after whoever needs it."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..errors import AuthenticationFailed, Refused, ServerError, ServerUnreachable
from ..remedies import Option
from ..reporting import Reporter
from .admin import Connector
from .probe import address_text

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
"""Seconds between two attempts; the pause grows from the one to the other."""

_PASSING = ("53300", "57P01", "57P02", "57P03")
"""SQLSTATEs of a server that is full, going down or starting up."""


def wait(
    connector: Connector,
    *,
    timeout: float,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the server accepts a login, to the database to administer from or to the target.

    What time can heal is tried again: nothing listens yet, the host is not known yet, the connection is
    reset, the server starts up or is full. Anything else, such as a wrong password, is raised at once.

    :param timeout: seconds; 0 is one attempt.
    :raises ServerUnreachable: if nobody was let in until then; the message has the last reason.
    :raises FlaskPostgresError: if waiting would not help.
    """
    deadline = clock() + timeout
    pause, before = FIRST_PAUSE, None
    while True:
        error = _attempt(connector, seconds=deadline - clock())
        if error is None:
            return
        if _is_final(error, before, connector):
            raise error
        _tell(connector, error, before, timeout=timeout)
        left = deadline - clock()
        if not left > 0:
            raise _too_late(connector, error, timeout)
        sleep(min(pause, left))
        pause, before = min(pause * 1.5, LONGEST_PAUSE), error


def until_ready(
    reasons: t.Callable[[], t.Sequence[str]],
    *,
    dbname: str,
    timeout: float,
    reporter: Reporter,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> None:
    """Wait until nothing keeps the app from using a database.

    :param reasons: returns what does.
    :param timeout: seconds; 0 is one attempt.
    :raises Refused: if it was not ready until then; the message has the reasons.
    """
    deadline = clock() + timeout
    pause, before = FIRST_PAUSE, list[str]()
    while found := list(reasons()):
        left = deadline - clock()
        if not left > 0:
            message = f'database "{dbname}" is not ready: {"; ".join(found)}.'
            raise Refused(message, remedy=Option("Give it longer, with {}", "timeout"))
        if found != before:
            reporter.note(f"waiting up to {left:.0f} s: {'; '.join(found)}")
        sleep(min(pause, left))
        pause, before = min(pause * 1.5, LONGEST_PAUSE), found


def can_heal(error: ServerError) -> bool:
    """Tell whether time alone may end what this error says."""
    return isinstance(error, ServerUnreachable) or error.sqlstate in _PASSING


def _attempt(connector: Connector, *, seconds: float) -> ServerError | None:
    limit = min(connector.connect_timeout, max(seconds, 1))
    connector = dataclasses.replace(connector, connect_timeout=limit)
    try:
        connector.anywhere().close()
    except ServerError as error:
        return error
    return None


def _is_final(error: ServerError, before: ServerError | None, connector: Connector) -> bool:
    if can_heal(error):
        return False
    if isinstance(error, AuthenticationFailed):
        return True
    if len(connector.uri.hosts) > 1:
        return False  # another host may come, such as the one that can be written to
    # A server that comes up between the driver's attempt and the probe looks like one that refuses.
    return before is not None and not can_heal(before)


def _tell(connector: Connector, error: ServerError, before: ServerError | None, *, timeout: float) -> None:
    if before is None and can_heal(error):
        connector.reporter.note(f"waiting up to {timeout:g} s for the server: {error.message}")
    elif before is not None and error.message != before.message:
        connector.reporter.detail(f"still waiting: {error.message}")


def _too_late(connector: Connector, last: ServerError, timeout: float) -> ServerUnreachable:
    where = address_text(connector.uri)
    message = f"the server at {where} is not accepting connections after {timeout:g} s: {last.message}"
    remedies = (Option("Give it longer, with {}", "timeout"),) if last.sqlstate in _PASSING else last.remedies
    return ServerUnreachable(message, remedy=remedies, sqlstate=last.sqlstate)
