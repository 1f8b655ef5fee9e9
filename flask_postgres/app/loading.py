"""Load the app, and survive one that cannot be loaded or that connects while it is imported."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sys
import threading
import types
import typing as t
from pathlib import Path

from ..errors import AppNotLoaded, FlaskPostgresError, Interrupted
from . import faults

if t.TYPE_CHECKING:
    from flask import Flask
    from flask.cli import ScriptInfo

    from ..uri import PostgresUri

OnConnect = t.Callable[["PostgresUri"], None]
"""Called with the address before the app connects to it for the first time."""

_DRIVERS = {
    "psycopg2": "psycopg2-binary",
    "psycopg": "'psycopg[binary]'",
    "asyncpg": "asyncpg",
    "pg8000": "pg8000",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """Either the app, or why there is none.

    :param unready: the app whose loading failed, as far as it had come; its config may be read.
    """

    app: Flask | None = None
    error: AppNotLoaded | None = None
    unready: Flask | None = None


def load(script_info: ScriptInfo, *, on_connect: OnConnect | None = None) -> Loaded:
    """Load the app that the ``flask`` command is about.

    :param on_connect: is told what the app connects to while it is imported. Its own errors are raised, not
        kept.
    """
    with connection_hook(on_connect) if on_connect else contextlib.nullcontext():
        try:
            return Loaded(app=script_info.load_app())
        except FlaskPostgresError as error:
            if isinstance(error, AppNotLoaded):
                return Loaded(error=error)
            raise
        except (KeyboardInterrupt, Interrupted):
            raise
        except BaseException as error:
            return Loaded(error=_not_loaded(error, root=_folder(script_info)), unready=_unready(error))


@contextlib.contextmanager
def connection_hook(on_connect: OnConnect) -> t.Iterator[None]:
    """Call a hook before any engine of the process connects to a PostgreSQL database for the first time.

    Connections that the hook itself opens do not call it again.
    """
    from sqlalchemy import Engine, event

    hooked = _Hook(on_connect)
    event.listen(Engine, "do_connect", hooked)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", hooked)


class _Hook:
    """A ``do_connect`` listener that tells each address once."""

    __name__ = "flask_postgres_connection_hook"

    def __init__(self, on_connect: OnConnect) -> None:
        self._on_connect = on_connect
        self._told: set[PostgresUri] = set()
        self._thread = threading.local()

    def __call__(self, dialect: t.Any, record: t.Any, cargs: t.Any, cparams: dict[str, t.Any]) -> None:  # noqa: ARG002
        if dialect.name != "postgresql" or getattr(self._thread, "inside", False):
            return
        uri = _address(dialect.driver, cparams)
        if uri is None or uri in self._told:
            return
        self._told.add(uri)
        self._thread.inside = True
        try:
            self._on_connect(uri)
        finally:
            self._thread.inside = False


def _address(driver: str, cparams: t.Mapping[str, t.Any]) -> PostgresUri | None:
    """Return the URI of an attempt to connect; None if it names no database that could be made."""
    from ..errors import UriValidationError
    from ..uri import PostgresUri

    known = ("host", "port", "user", "password", "dbname", "database")
    query = {key: value for key, value in cparams.items() if key not in known and isinstance(value, str)}
    host, port = cparams.get("host"), cparams.get("port")
    hosts = list(host) if isinstance(host, (list, tuple)) else str(host or "").split(",")
    ports = list(port) if isinstance(port, (list, tuple)) else str(port or "").split(",")
    if len(hosts) > 1:
        query |= {"host": ",".join(hosts), "port": ",".join(map(str, ports))}
    try:
        return PostgresUri.build(
            dbname=cparams.get("dbname") or cparams.get("database") or cparams.get("user") or "",
            user=cparams.get("user"),
            password=cparams.get("password"),
            host=hosts[0] or None if len(hosts) == 1 else None,
            port=int(ports[0]) if len(hosts) == 1 and ports[0] else None,
            driver=driver,
            query=query,
        )
    except (UriValidationError, ValueError):
        return None


_URIS = ("SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_ENGINES")


def _unready(error: BaseException) -> Flask | None:
    """Return the app that the code was making when it failed: the last one in its frames that has a URI."""
    from flask import Flask

    found = None
    step = error.__traceback__
    while step is not None:
        for value in (*step.tb_frame.f_globals.values(), *step.tb_frame.f_locals.values()):
            # By type(), because isinstance() looks through the current_app proxy.
            if issubclass(type(value), Flask) and any(map(value.config.get, _URIS)):
                found = value
        step = step.tb_next
    return found


def _folder(script_info: ScriptInfo) -> str | None:
    """Return the folder of the app's package, which may be installed among the libraries."""
    create_app = script_info.create_app
    name = (
        create_app.__module__ if isinstance(create_app, types.FunctionType) else script_info.app_import_path
    )
    package = sys.modules.get((name or "").partition(":")[0].partition(".")[0])
    file = getattr(package, "__file__", None)
    return os.path.dirname(file) if file else None


def _not_loaded(error: BaseException, *, root: str | None) -> AppNotLoaded:
    from flask.cli import NoAppException

    if isinstance(error, NoAppException):
        # Flask puts the traceback of an ImportError into the message; the error itself is the context.
        if not isinstance(error.__context__, ImportError) or "Traceback" not in error.message:
            told = AppNotLoaded(" ".join(error.message.split()), remedy=_perhaps_here(error.message))
            return _chained(told, error)
        error = error.__context__
    place = faults.at(faults.where(error, root=root))
    if faults.is_connection_failure(error):
        message = f"the app connects to its database while it is imported, and that failed{place}:"
        hint = (
            "A missing database is made by: flask psql setup. With --uri no app is needed. "
            "Better put what needs one into a function, with @init_db_callback for making tables."
        )
        return _chained(AppNotLoaded(f"{message} {faults.describe(error)}", remedy=hint), error)
    message = f"the app could not be loaded: {faults.describe(error)}{place}"
    return _chained(AppNotLoaded(message, remedy=_hint(error)), error)


_MAKES_AN_APP = re.compile(r"\bFlask\(|\bdef (create|make)_app\b")
_FILES_LOOKED_AT = 100


def _perhaps_here(message: str) -> str | None:
    """Return how to name the app, where Flask was told none and a file of the working directory makes one."""
    if "Could not locate" not in message:
        return None
    found = []
    for path in sorted([*Path().glob("*.py"), *Path().glob("*/__init__.py")])[:_FILES_LOOKED_AT]:
        with contextlib.suppress(OSError):
            if _MAKES_AN_APP.search(path.read_text(encoding="utf-8", errors="replace")):
                found.append(path.parent.name or path.stem)
    return f"Perhaps: flask --app {found[0]} psql …" if len(found) == 1 else None


def _chained(error: AppNotLoaded, cause: BaseException) -> AppNotLoaded:
    error.__cause__ = cause
    return error


def _hint(error: BaseException) -> str | None:
    if "sqlalchemy.dialects:postgres" in str(error):  # as hosts give it, and SQLAlchemy 1.3 took it
        return 'In the app, write uri.replace("postgres://", "postgresql://", 1)'
    if "Could not parse SQLAlchemy URL" in str(error):
        return "Write the URI like postgresql://user:password@localhost:5432/mydb"
    package = _DRIVERS.get(error.name or "") if isinstance(error, ModuleNotFoundError) else None
    return f"Run: pip install {package}" if package else None
