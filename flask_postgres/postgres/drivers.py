"""Which driver does the administration, and what of a URI it understands."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import typing as t

from ..errors import DriverMissing, UriValidationError
from ..hosts import several
from ..uri import PostgresUri

SYNCHRONOUS = ("psycopg2", "psycopg")
"""The drivers that can do the administration, the preferred one first."""

_DISTRIBUTIONS = {
    "psycopg2": ("psycopg2", "psycopg2-binary"),
    "psycopg": ("psycopg", "psycopg-c", "psycopg-binary"),
}

LIBPQ_DRIVERS = ("psycopg2", "psycopg", "psycopg_async", "psycopg2cffi", "pygresql")
"""SQLAlchemy's names of the drivers that take libpq's parameters."""

_FOREIGN_KEYS = {
    # Query keys that are not libpq's, by the driver that alone knows them. asyncpg's ssl is not among
    # them: it becomes sslmode, for dropping it would send the password in the clear.
    "asyncpg": (
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
        "max_cached_statement_lifetime",
        "max_cacheable_statement_size",
        "command_timeout",
        "timeout",
        "server_settings",
        "direct_tls",
        "async_fallback",
        "async_creator_fn",
    ),
    "pg8000": ("unix_sock", "ssl_context", "tcp_keepalive", "startup_params"),
}


class Administrative(t.NamedTuple):
    """A URI that a synchronous driver can use, and the query keys that were left out of it."""

    uri: PostgresUri
    dropped: tuple[str, ...]


def administrative(uri: PostgresUri) -> Administrative:
    """Return the same database for an installed synchronous driver.

    :raises DriverMissing: if neither psycopg2 nor psycopg is installed.
    """
    driver = _choose(uri.driver)
    if uri.driver is None or uri.driver == driver:
        return Administrative(uri.with_driver(driver), ())
    query = dict(uri.query)
    if "ssl" in query:
        query["sslmode"] = str(sslmode(query))
        del query["ssl"]
    foreign = tuple(
        key for keys in _FOREIGN_KEYS.values() for key in keys if query.pop(key, None) is not None
    )
    url = uri.url.set(query=query, drivername=f"postgresql+{driver}")
    return Administrative(PostgresUri(url), foreign)


def libpq_arguments(connect_args: t.Mapping[str, t.Any], driver: str, *, wanted: str) -> dict[str, t.Any]:
    """Return an app's arguments for its driver as the wanted driver, which is on libpq, takes them.

    Of those for another kind of driver, the session's settings count, the search path above all, and
    encryption.
    """
    if driver.removesuffix("_async") == wanted:
        return dict(connect_args)
    if driver not in _FOREIGN_KEYS:
        return {}
    arguments: dict[str, t.Any] = {}
    settings: t.Mapping[str, t.Any] = connect_args.get("server_settings") or {}
    if settings:
        options = (f"-c {name}={_escaped(str(value))}" for name, value in settings.items())
        arguments["options"] = " ".join(options)
    ssl = connect_args.get("ssl") or connect_args.get("ssl_context")
    if ssl:
        arguments["sslmode"] = sslmode({"ssl": ssl}) if isinstance(ssl, str) else "require"
    return arguments


def sslmode(query: t.Mapping[str, t.Any]) -> str | None:
    """Return libpq's ``sslmode`` of a URI's query; asyncpg has an ``ssl`` instead.

    :raises UriValidationError: if ``ssl`` is none of its values.
    """
    if "sslmode" in query or "ssl" not in query:
        return several(query["sslmode"])[-1] if "sslmode" in query else None
    text = several(query["ssl"])[-1].lower()
    known = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
    modes = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
    mode = known.get(text, text)
    if mode not in modes:
        message = f'the query key "ssl" has a value that is none of {", ".join(modes)}.'
        raise UriValidationError(message, part="query", remedy="Write one of them, or use sslmode=.")
    return mode


def installed(driver: str) -> bool:
    """Tell whether a driver can be imported, without importing it."""
    return importlib.util.find_spec(driver) is not None


def send(cursor: t.Any, statement: str, data: t.IO[t.Any] | None) -> None:
    """Run a statement without parameters by a cursor of either driver; with data, a ``COPY``."""
    if data is None:
        cursor.execute(statement)
    elif hasattr(cursor, "copy_expert"):
        cursor.copy_expert(statement, data)
    else:
        with cursor.copy(statement) as copy:
            if not data.readable():
                for block in copy:
                    data.write(block)
                return
            while block := data.read(1 << 16):
                copy.write(block)


def verifier(connection: t.Any, role: str, password: str) -> str:
    """Return what a server keeps of a password, so that the password never gets into a log.

    :param connection: of a driver; libpq asks it nothing for this algorithm.
    """
    if hasattr(connection, "pgconn"):
        made: bytes = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        return made.decode()
    from psycopg2.extensions import encrypt_password

    return str(encrypt_password(password, role, connection, "scram-sha-256"))


def knows_require_auth(driver: str) -> bool:
    """Tell whether a driver's libpq can be told which ways to log in it must refuse."""
    if driver == "psycopg2":
        from psycopg2.extensions import libpq_version

        return bool(libpq_version() >= 160000)
    from psycopg import pq

    return pq.version() >= 160000


def described(driver: str) -> str:
    """Return a driver and the distributions that it is from: ``psycopg2 (psycopg2-binary 2.9.13)``.

    psycopg2 and psycopg2-binary are installed to one folder: where both are there, the later one is used.
    """
    found = (f"{name} {version}" for name in _DISTRIBUTIONS[driver] if (version := _version(name)))
    return f"{driver} ({', '.join(found) or 'unknown version'})"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace(" ", r"\ ")


def _choose(wanted: str | None) -> str:
    wanted = wanted and wanted.removesuffix("_async")
    if wanted in SYNCHRONOUS and installed(wanted):
        return wanted
    for driver in _preferred():
        if installed(driver):
            return driver
    raise DriverMissing(
        "neither psycopg2 nor psycopg is installed.", remedy="Run: pip install 'psycopg[binary]'"
    )


def _preferred() -> tuple[str, ...]:
    """Return the drivers in the order in which the installed SQLAlchemy would choose: 2.1 prefers psycopg."""
    from sqlalchemy import make_url

    default = make_url("postgresql://").get_dialect().driver
    return (default, *(driver for driver in SYNCHRONOUS if driver != default))
