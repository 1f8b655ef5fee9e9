"""Our own sessions with the embedded server, on whichever driver is installed."""

from __future__ import annotations

import contextlib
import importlib
import os
import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from ..postgres import drivers
from . import config, files, location
from .account import IS_WINDOWS
from .process import Postmaster

CONNECT_SECONDS = 10

_OWN_WAYS = {
    "sslmode": "disable",
    "gssencmode": "disable",
    "application_name": "flask-postgres",
    "connect_timeout": CONNECT_SECONDS,
}


class CannotLogIn(Exception):
    """The server did not let somebody in; the driver's words are the text."""


class Session:
    """A session in autocommit."""

    def __init__(self, connection: t.Any, driver: str) -> None:
        self._connection = connection
        self._sql = importlib.import_module(f"{driver}.sql")
        self.error: type[Exception] = importlib.import_module(driver).Error

    def rows(self, query: str, *values: object) -> list[tuple[t.Any, ...]]:
        """Return the rows of a query; values stand where it has ``%s``."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def run(self, template: str, *names: str, password: str | None = None) -> None:
        """Execute a statement; names stand, quoted, where the template has ``{}``.

        :param password: what stands where it has ``{password}``; None is NULL.
        """
        parts = [self._sql.Identifier(name) for name in names]
        text = self._sql.SQL(template).format(*parts, password=self._sql.Literal(password))
        with self._connection.cursor() as cursor:
            cursor.execute(text)

    def verifier(self, role: str, password: str) -> str:
        """Return what the server keeps of a password, so that the password never gets into a log."""
        return drivers.verifier(self._connection, role, password)


@contextlib.contextmanager
def as_superuser(folder: Path, running: Postmaster, *, dbname: str = "postgres") -> t.Iterator[Session]:
    """Open a session as the bootstrap superuser.

    :raises EmbeddedServerError: if the server does not let us in.
    """
    try:
        with log_in(**superuser_parameters(folder, running), dbname=dbname) as session:
            yield session
    except CannotLogIn as error:
        raise EmbeddedServerError(
            f"The embedded server in {folder} does not let its own superuser in: {error}",
            remedy=f"Its log is {folder / location.LOG}.",
        ) from None


def superuser_parameters(folder: Path, running: Postmaster) -> dict[str, t.Any]:
    """Return host, port, user and password of the bootstrap superuser."""
    try:
        password = files.read_own(folder / location.SUPERUSER_PASSWORD).strip()
    except OSError as error:
        raise location.unusable(folder / location.SUPERUSER_PASSWORD, error) from None
    if IS_WINDOWS:
        host = files.read_json(folder / location.RUN).get("addresses", ["127.0.0.1"])[0]
    else:
        host = str(running.socket_dir)
    return {"host": host, "port": running.port, "user": config.SUPERUSER, "password": password}


@contextlib.contextmanager
def log_in(**parameters: t.Any) -> t.Iterator[Session]:
    """Open a session with the given libpq parameters.

    :raises CannotLogIn: if that is refused.
    """
    driver = _driver()
    module = importlib.import_module(driver)
    given = {name: value for name, value in {**_OWN_WAYS, **parameters}.items() if value is not None}
    try:
        with _without_variables():
            connection = module.connect(**given)
    except module.OperationalError as error:
        raise CannotLogIn(" ".join(str(error).split())) from None
    try:
        connection.autocommit = True
        yield Session(connection, driver)
    finally:
        connection.close()


@contextlib.contextmanager
def _without_variables() -> t.Iterator[None]:
    """Hide libpq's variables, which speak of other servers; the file of passwords may be meant for ours."""
    names = [name for name in os.environ if name.startswith("PG") and name != "PGPASSFILE"]
    hidden = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _driver() -> str:
    """Return the name of an installed driver, preferably of one that is loaded already."""
    import sys

    names = sorted(("psycopg", "psycopg2"), key=lambda name: name not in sys.modules)
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            return name
    message = "The embedded server needs psycopg or psycopg2, and neither is installed."
    raise EmbeddedServerError(message, remedy="Run pip install 'psycopg[binary]'.")
