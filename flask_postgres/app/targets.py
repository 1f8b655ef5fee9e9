"""What an app's engine has to be told to connect to another database, in the words of its driver."""

from __future__ import annotations

import typing as t

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from ..errors import UriValidationError
from ..hosts import DEFAULT_PORT, canonical
from ..postgres.drivers import LIBPQ_DRIVERS, administrative, sslmode
from ..uri import PostgresUri
from .engines import DATABASE_KEYS, url_args

_WHERE_AND_WHO = ("host", "hostaddr", "port", "user", "password", "passfile", "service", "dsn", "unix_sock")
"""Arguments that say to which server, and as whom: they hold for the app's own server alone."""

_ENCRYPTED = ("require", "verify-ca", "verify-full")


class Detour:
    """Rewrites the arguments of one engine's connections, so that they go to the target.

    On the app's own server only the database changes. On another one the target's URI says where and
    as whom; what the app sets beside its URI (``connect_args``) still holds.
    """

    def __init__(self, engine: Engine, uri: PostgresUri) -> None:
        self.uri = uri
        self._own_url = engine.url
        self._own_args = url_args(engine)
        self._own_address = _address(self._own_args)
        self._same_server = _is_same_server(engine.url, uri)
        self.url: URL = self._url_for(engine.url.drivername)

    def is_for(self, cparams: t.Mapping[str, t.Any]) -> bool:
        """Tell whether these arguments would lead to the app's own database."""
        return _address(cparams) == self._own_address

    def rewritten(
        self, dialect: t.Any, cargs: t.Sequence[t.Any], cparams: t.Mapping[str, t.Any]
    ) -> tuple[list[t.Any], dict[str, t.Any]]:
        """Return the driver's arguments for the target, made from those for the app's own database."""
        key = next((key for key in DATABASE_KEYS if key in cparams), None)
        if self._same_server and key is not None:
            return list(cargs), {**cparams, key: self.uri.dbname}
        to_args, to_params = self._fresh(dialect)
        if self._same_server:
            return to_args, {**cparams, **to_params}
        kept = {
            key: value
            for key, value in cparams.items()
            if key not in (*_WHERE_AND_WHO, *DATABASE_KEYS) and not self._is_from_own_url(key, value)
        }
        return to_args, kept | to_params

    def _fresh(self, dialect: t.Any) -> tuple[list[t.Any], dict[str, t.Any]]:
        url = self._url_for(f"{dialect.name}+{dialect.driver}")
        args, params = dialect.create_connect_args(url)
        params = dict(params)
        if dialect.driver == "pg8000" and sslmode(self.uri.query) in _ENCRYPTED:
            params["ssl_context"] = True
        return list(args), params

    def _is_from_own_url(self, key: str, value: t.Any) -> bool:
        return key in self._own_args and self._own_args[key] == value

    def _url_for(self, drivername: str) -> URL:
        if self._same_server:
            return self._own_url.set(drivername=drivername, database=self.uri.dbname)
        return for_driver(self.uri, drivername)


def for_driver(uri: PostgresUri, drivername: str) -> URL:
    """Return the URI for another driver, its query in the words of that driver.

    Encryption that the URI asks for is never left out; other keys that the driver does not know are.
    """
    url = uri.url.set(drivername=drivername)
    wanted = url.get_dialect().driver
    if wanted == _driver_of(uri.url):
        return url
    if wanted in LIBPQ_DRIVERS:
        return url.set(query=_for_libpq(uri))
    mode = sslmode(uri.query)
    kept: dict[str, str | tuple[str, ...]] = {key: uri.query[key] for key in ("host",) if key in uri.query}
    if wanted == "asyncpg" and mode:
        kept["ssl"] = mode
    return url.set(query=kept)


def _for_libpq(uri: PostgresUri) -> dict[str, t.Any]:
    if _driver_of(uri.url) in LIBPQ_DRIVERS:
        return dict(uri.query)
    return dict(administrative(uri).uri.query)


def _is_same_server(own: URL, uri: PostgresUri) -> bool:
    """Tell whether two URLs differ in nothing but the database and the driver."""
    try:
        own = PostgresUri(own).url
    except UriValidationError:
        return False
    as_own = uri.url.set(drivername="postgresql", database="same")
    return own.set(drivername="postgresql", database="same") == as_own


def _driver_of(url: URL) -> str:
    return url.get_dialect().driver


def _address(args: t.Mapping[str, t.Any]) -> tuple[str, str, str]:
    host = args.get("host") or "localhost"
    host = ",".join(map(str, host)) if isinstance(host, (list, tuple)) else str(host)
    port = args.get("port") or DEFAULT_PORT
    port = ",".join(map(str, port)) if isinstance(port, (list, tuple)) else str(port)
    database = args.get("dbname") or args.get("database") or args.get("user") or ""
    return (canonical(host), port, str(database))
