"""What has to be known of, and done to, an engine that the app made."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import typing as t
import warnings

from sqlalchemy import Connection, Engine, Pool, event
from sqlalchemy.orm import Session

from ..errors import AppError, FlaskPostgresError
from ..postgres.admin import is_ours
from .faults import describe

DATABASE_KEYS = ("dbname", "database")
"""How the drivers call the database: psycopg and psycopg2 the former, asyncpg and pg8000 the latter."""


def is_postgresql(engine: Engine) -> bool:
    """Tell whether an engine speaks to PostgreSQL, or to what pretends to be it."""
    return engine.url.get_backend_name() == "postgresql"


def url_args(engine: Engine) -> dict[str, t.Any]:
    """Return the driver's arguments that come from the engine's URL alone."""
    return dict(engine.dialect.create_connect_args(engine.url)[1])


def connect_args(engine: Engine) -> dict[str, t.Any]:
    """Return the driver's arguments that the app adds to its URL.

    SQLAlchemy keeps ``connect_args`` in a closure, and an app may add to them in a ``do_connect``
    listener of its own (short-lived passwords of a cloud). So the engine is asked for a connection
    and stopped at the last moment; nothing is opened.

    :raises AppError: if the engine is not for PostgreSQL, or opens its connections with a function of
        the app (``creator``).
    """
    _check_reachable(engine)
    from_url = url_args(engine)
    missing = object()
    return {
        key: value
        for key, value in _overheard(engine).items()
        if from_url.get(key, missing) != value and key not in DATABASE_KEYS
    }


def dispose(engine: Engine) -> None:
    """Close the engine's pooled connections."""
    if not engine.dialect.is_async:
        engine.dispose()
        return
    # A connection of asyncio can be closed only by the loop that made it, and that one has ended.
    # Letting go of it closes its socket.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        engine.dispose(close=False)
        gc.collect()


def release_all() -> None:
    """Close every connection to PostgreSQL that SQLAlchemy has open in this process for the app.

    The app may have made engines, sessions and connections that no extension knows of, while it was imported.
    What is used again connects again. A thread of the app may use one at this moment, and an AsyncSession may
    outlive its loop: closing it fails then, and its connection goes with the pool.
    """
    if not event.contains(Pool, "connect", _note_connection):
        event.listen(Pool, "connect", _note_connection)
    if not _connected.is_set():
        return  # nothing was opened since all was closed
    _connected.clear()
    living = _living((Session, Connection, Engine))
    for engine in living[Engine]:
        with contextlib.suppress(Exception):
            if _is_the_apps(engine):
                engine.pool.logger = _silent  # a thread that uses a connection of it is about to lose that
    for session in living[Session]:
        with contextlib.suppress(Exception):
            session.close()
    for connection in living[Connection]:
        # One that could not be opened has no attributes. SQLAlchemy warns of one that a thread has closed.
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not connection.closed and _is_the_apps(connection.engine):
                transaction = connection.get_transaction()
                if transaction is not None:
                    transaction.rollback()
                connection.invalidate()
    for engine in living[Engine]:
        with contextlib.suppress(Exception):
            if _is_the_apps(engine):
                dispose(engine)


_silent = logging.Logger(__name__, level=logging.CRITICAL + 1)
"""For a pool that will be replaced: what it says of connections that we have ended is of no interest."""

_connected = threading.Event()
_connected.set()  # what was opened before the first call, nobody has noted


def _note_connection(*_: object) -> None:
    """Note that a pool has opened a connection; ours tell nobody."""
    _connected.set()


def _living(kinds: t.Sequence[type]) -> dict[type, list[t.Any]]:
    """Return the objects of some classes that the process has. It looks at each object once."""
    of = {each: kind for kind in kinds for each in _with_subclasses(kind)}
    found: dict[type, list[t.Any]] = {kind: [] for kind in kinds}
    for thing in gc.get_objects():
        # By type(), because isinstance() would look through, and so load, an app's lazy proxies.
        kind = of.get(type(thing))
        if kind is not None:
            found[kind].append(thing)
    return found


def _with_subclasses(kind: type[t.Any]) -> t.Iterator[type[t.Any]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _with_subclasses(each)


def _is_the_apps(engine: Engine) -> bool:
    return is_postgresql(engine) and not is_ours(engine.dialect)


def _check_reachable(engine: Engine) -> None:
    if not is_postgresql(engine):
        raise AppError(
            f"the app's engine is for {engine.url.get_backend_name()}, so init cannot reach a PostgreSQL"
            " database through it.",
            remedy="Let SQLALCHEMY_DATABASE_URI name a PostgreSQL database.",
        )
    if _has_creator(engine):
        raise _creator_error(engine)


class _Stop(Exception):
    """Ends the attempt to connect."""


def _overheard(engine: Engine) -> dict[str, t.Any]:
    heard: dict[str, t.Any] = {}

    def listen(dialect: t.Any, record: t.Any, cargs: t.Any, cparams: dict[str, t.Any]) -> None:  # noqa: ARG001
        heard.update(cparams)
        raise _Stop

    # A new pool of the same kind, because the engine's own may have an idle connection to give.
    pool = engine.pool.recreate()
    event.listen(engine, "do_connect", listen)
    try:
        pool.connect().close()
    except _Stop:
        return heard
    except FlaskPostgresError:
        raise
    except Exception as error:
        message = f"the app's own do_connect listener failed: {describe(error)}"
        raise AppError(message) from error
    finally:
        event.remove(engine, "do_connect", listen)
        pool.dispose()
    raise _creator_error(engine)


def _has_creator(engine: Engine) -> bool:
    creator = getattr(engine.pool, "_creator", None)
    return creator is not None and not getattr(creator, "__module__", "").startswith("sqlalchemy.")


def _creator_error(engine: Engine) -> AppError:
    database = engine.url.database
    return AppError(
        f'the app\'s engine for "{database}" opens its connections with a function of its own (creator),'
        " so they cannot be sent to another database.",
        remedy="Put the address into the URI and other arguments into connect_args.",
    )
