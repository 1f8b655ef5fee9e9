"""What keeps tests off the app's own database: the drivers themselves refuse to connect to it."""

from __future__ import annotations

import contextlib
import functools
import importlib
import ipaddress
import os
import socket
import sys
import typing as t

from ..errors import Refused
from ..postgres import marks
from ..uri import PostgresUri

_CONNECT = (("psycopg", "Connection"), ("psycopg", "AsyncConnection"), ("psycopg", None), ("psycopg2", None))
_BY_KEYWORDS = (("pg8000", None), ("pg8000.dbapi", None), ("asyncpg", None))


class Guard:
    """Refuses connections to the app's own databases, by whatever means the app opens them."""

    def __init__(self) -> None:
        self._targets: set[PostgresUri] = set()
        self._before_the_app = False

    def add(self, *targets: PostgresUri) -> None:
        """Refuse to connect to these databases from now on."""
        self._targets.update(targets)

    @contextlib.contextmanager
    def of_the_app_fixture(self) -> t.Iterator[None]:
        """Refuse every connection: until the app is there, nobody knows which database is its own."""
        before, self._before_the_app = self._before_the_app, True
        try:
            yield
        finally:
            self._before_the_app = before

    @contextlib.contextmanager
    def active(self) -> t.Iterator[None]:
        """Watch the drivers that are installed."""
        with contextlib.ExitStack() as stack:
            for module_name, class_name in (*_CONNECT, *_BY_KEYWORDS):
                with contextlib.suppress(ImportError):
                    module = importlib.import_module(module_name)
                    holder = module if class_name is None else getattr(module, class_name)
                    if "connect" in vars(holder):
                        stack.enter_context(self._watched(holder))
            stack.enter_context(self._opened_by_libpq())
            yield

    @contextlib.contextmanager
    def _opened_by_libpq(self) -> t.Iterator[None]:
        """Look at what was opened, too: services and variables lead there, and functions imported before."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(ImportError, AttributeError):
                import psycopg2

                opened: t.Any = vars(psycopg2)["_connect"]

                @functools.wraps(opened)
                def connect(*args: t.Any, **kwargs: t.Any) -> t.Any:
                    connection = opened(*args, **kwargs)
                    if not kwargs.get("async") and not kwargs.get("async_"):
                        self._check_opened(connection, connection.close)
                    return connection

                stack.enter_context(_replaced(psycopg2, "_connect", connect))
            with contextlib.suppress(ImportError, AttributeError):
                from psycopg import Connection

                holder = next(each for each in Connection.__mro__ if "_connect_gen" in vars(each))
                generator = vars(holder)["_connect_gen"].__func__

                def connect_gen(cls: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
                    connection = yield from generator(cls, *args, **kwargs)
                    self._check_opened(connection, connection.pgconn.finish)
                    return connection

                stack.enter_context(_replaced(holder, "_connect_gen", classmethod(connect_gen)))
            yield

    def _check_opened(self, connection: t.Any, close: t.Callable[[], None]) -> None:
        info = connection.info
        given = info.dsn_parameters if hasattr(info, "dsn_parameters") else info.get_parameters()
        given = {**given, "dbname": info.dbname, "host": info.host, "port": info.port}
        try:
            self._check("", given, connected_to=_address(connection))
        except Refused:
            close()
            raise

    @contextlib.contextmanager
    def _watched(self, holder: t.Any) -> t.Iterator[None]:
        original = vars(holder)["connect"]
        function = original.__func__ if isinstance(original, classmethod) else original

        @functools.wraps(function)
        def connect(*args: t.Any, **kwargs: t.Any) -> t.Any:
            given = args[1:] if isinstance(original, classmethod) else args
            self._check(given[0] if given and isinstance(given[0], str) else "", kwargs)
            return function(*args, **kwargs)

        holder.connect = classmethod(connect) if isinstance(original, classmethod) else connect
        try:
            yield
        finally:
            holder.connect = original

    def _check(
        self, text: str, keywords: t.Mapping[str, t.Any], *, connected_to: t.Container[str] = ()
    ) -> None:
        given = {**_parsed(text or str(keywords.get("dsn") or "")), **keywords}
        dbname = str(given.get("dbname") or given.get("database") or "")
        if marks.is_ours(dbname) or str(given.get("application_name") or "").startswith("flask-postgres "):
            return
        if self._before_the_app:
            raise Refused(
                f'{_current_test()}: the fixture "app" opens database "{dbname}" while it is set up.',
                remedy="Leave create_all and the like out of it: postgres_db makes the tables.",
            )
        hosts = _hosts(str(given.get("host") or given.get("hostaddr") or ""))
        port = str(given.get("port") or 5432).split(",")[0]
        for target in self._targets:
            if target.dbname == dbname and any(
                (_host(host) in hosts or _host(host) in connected_to) and str(of_target or 5432) == port
                for host, of_target in target.hosts or (("", target.port),)
            ):
                message = f'{_current_test()} would have opened the app\'s own database "{dbname}".'
                raise Refused(message, remedy="Let it use the fixture postgres_db.")


def _current_test() -> str:
    """Return the test that runs now, as pytest calls it."""
    return os.environ.get("PYTEST_CURRENT_TEST", "a test").rsplit(" (", 1)[0]


@contextlib.contextmanager
def _replaced(holder: t.Any, name: str, new: t.Any) -> t.Iterator[None]:
    before = vars(holder)[name]
    setattr(holder, name, new)
    try:
        yield
    finally:
        setattr(holder, name, before)


def same(one: PostgresUri, other: PostgresUri) -> bool:
    """Tell whether two URIs lead to one database, as far as their text says."""
    return one.dbname == other.dbname and bool(_places(one) & _places(other))


def _places(uri: PostgresUri) -> set[tuple[str, int]]:
    return {(_host(host), port or 5432) for host, port in uri.hosts or (("", uri.port),)}


def _address(connection: t.Any) -> set[str]:
    """Return where a connection leads to: the address of its socket, and whether it is this machine's."""
    with socket.socket(fileno=os.dup(connection.fileno())) as opened:
        if opened.family == socket.AF_UNIX:
            return {"localhost"}
        address, own = opened.getpeername()[0], opened.getsockname()[0]
    return {_host(address), *({"localhost"} if address == own else ())}


def _parsed(text: str) -> dict[str, t.Any]:
    if "=" not in text and "://" not in text:  # what pg8000 takes first is a user
        return {}
    if "psycopg" in sys.modules:
        from psycopg.conninfo import conninfo_to_dict

        return dict(conninfo_to_dict(text))
    from psycopg2.extensions import parse_dsn

    return dict(parse_dsn(text))


def _hosts(text: str) -> set[str]:
    return {_host(host) for host in text.split(",")}


def _host(host: str) -> str:
    """Return one name for all that lead to this machine: when in doubt, it is the same server."""
    if host in ("", "localhost") or host.startswith("/"):
        return "localhost"
    try:
        return "localhost" if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host.lower()
