"""``PostgresUri``: the address of one PostgreSQL database.

SQLAlchemy parses it, so that this tool and the app always read a URI in the same way: SQLAlchemy 2.1 decodes
a percent-encoded database name and 2.0 does not, and so does this class on each. This class adds checks that
SQLAlchemy lacks, and libpq's spellings that it does not know.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
from urllib.parse import quote_plus, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from . import libpq
from .errors import UriValidationError
from .hosts import check_hosts, hosts_of, port_number, several, with_readable_hosts
from .redaction import ASSIGNED, MASK, is_secret_key
from .remedies import Remedies

NAME_BYTES = 63
"""The longest name PostgreSQL keeps: NAMEDATALEN - 1. It truncates longer ones without an error."""

_PLACEHOLDER = re.compile(r"<[^<>@/:]+>")
_SCHEME = re.compile(r"^\s*([A-Za-z][\w+.-]*)://")
_EXAMPLE = "Write it like postgresql://user:password@localhost:5432/mydb"

Query = t.Mapping[str, "str | tuple[str, ...]"]


@dataclasses.dataclass(frozen=True, slots=True, init=False, repr=False)
class PostgresUri:
    """An immutable PostgreSQL URI that names a database.

    ``str()`` and ``repr()`` mask every password; :meth:`render` can show them.

    :param value: a URI, an SQLAlchemy URL or another ``PostgresUri``. ``postgres://`` is accepted
        and means ``postgresql://``. One without a database means what libpq would use, which is that of
        ``PGDATABASE`` or of a service.
    :raises UriValidationError: if it is not a PostgreSQL URI with a database name. The message says
        which part is wrong and never repeats a password.
    """

    url: URL

    def __init__(self, value: str | URL | PostgresUri) -> None:
        url = value.url if isinstance(value, PostgresUri) else _checked(_parsed(value))
        object.__setattr__(self, "url", url)

    @classmethod
    def build(
        cls,
        *,
        dbname: str,
        user: str | None = None,
        password: str | None = None,
        host: str | None = None,
        port: int | None = None,
        driver: str | None = None,
        query: Query | None = None,
    ) -> PostgresUri:
        """Put a URI together from its parts, none of them percent-encoded.

        :raises UriValidationError: if a part is wrong.
        """
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        query = dict(query or {})
        if host is not None and host.startswith("/"):
            query, host = {"host": host, **query}, None
        return cls(URL.create(scheme, user, password, host, port, dbname, query))

    @property
    def scheme(self) -> str:
        """Always ``postgresql``."""
        return "postgresql"

    @property
    def driver(self) -> str | None:
        """The driver that the URI names, such as ``psycopg``; None when it leaves that open."""
        _, _, driver = self.url.drivername.partition("+")
        return driver or None

    @property
    def user(self) -> str | None:
        return self.url.username

    @property
    def password(self) -> str | None:
        return None if self.url.password is None else str(self.url.password)

    @property
    def host(self) -> str | None:
        """The first host, or the folder of the Unix socket; None means libpq's own default."""
        return self.hosts[0][0] if self.hosts else None

    @property
    def port(self) -> int | None:
        """The port of the first host; None means libpq's own default, 5432."""
        return self.hosts[0][1] if self.hosts else self.url.port

    @property
    def dbname(self) -> str:
        assert self.url.database is not None, "checked when made"
        return self.url.database

    @property
    def query(self) -> Query:
        return self.url.query

    @property
    def hosts(self) -> tuple[tuple[str, int | None], ...]:
        """Every host with its port, in the order in which libpq tries them."""
        return hosts_of(self.url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret in the URI, not percent-encoded."""
        found = [self.password, *_secrets_in("", self.user or ""), *_secrets_in("", self.dbname)]
        for key, value in self.query.items():
            found += [secret for text in several(value) for secret in _secrets_in(key, text)]
        return tuple(dict.fromkeys(filter(None, found)))

    def with_dbname(self, dbname: str) -> PostgresUri:
        """Return the same server, user and options with another database.

        :raises UriValidationError: if the name is empty, too long or contains NUL.
        """
        return PostgresUri(self.url.set(database=dbname))

    def with_driver(self, driver: str | None) -> PostgresUri:
        """Return the same database by another driver; None leaves the choice to SQLAlchemy."""
        return PostgresUri(self.url.set(drivername=f"postgresql+{driver}" if driver else "postgresql"))

    def render(self, *, hide_password: bool = True) -> str:
        """Return the URI as text. With ``hide_password=False`` the passwords are in it."""
        url = _masked(self.url) if hide_password else self.url
        text = url.render_as_string(hide_password=hide_password)
        return text.replace(quote_plus(MASK), MASK) if hide_password else text

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        return f"PostgresUri({self.render()!r})"


def check_dbname(name: str) -> str:
    """Return the name of a database, if PostgreSQL can keep it as it is.

    :raises UriValidationError: if it is empty, longer than 63 bytes or contains NUL.
    """
    if not name:
        raise _fault("database", "the URI names no database.", "Add it at the end: …/mydb")
    if "\0" in name:
        raise _fault("database", "a database name cannot contain a NUL character.")
    if not _is_unicode(name):
        raise _fault("database", "the database name is not valid Unicode text.")
    if (size := len(name.encode())) > NAME_BYTES:
        message = f"the database name has {size} bytes; PostgreSQL keeps {NAME_BYTES}."
        raise _fault("database", message, "Shorten it; PostgreSQL would truncate it without an error.")
    return name


def _secrets_in(key: str, text: str) -> list[str]:
    """Return the secrets in a part of a URI, also where somebody wrote a second ``?`` in it.

    :param key: the query parameter whose value the text is.
    """
    return [text] if is_secret_key(key) else [match[2] for match in ASSIGNED.finditer(text)]


def _masked(url: URL) -> URL:
    """Return a URL that is only good to be shown: SQLAlchemy masks the password in the authority alone."""

    def masked(text: str, key: str = "") -> str:
        return MASK if is_secret_key(key) else ASSIGNED.sub(rf"\g<1>{MASK}", text)

    query = {
        masked(key): tuple(masked(text, key) for text in several(value)) for key, value in url.query.items()
    }
    user = None if url.username is None else masked(url.username)
    return url.set(username=user, database=masked(url.database or ""), query=query)


def _parsed(value: str | URL) -> URL:
    if isinstance(value, URL):
        return value
    if not isinstance(value, str):
        raise _fault("scheme", f"a URI is text, not {type(value).__name__}.")
    text = value.strip()
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise _fault("scheme", "this is not a URI: it does not start with a scheme.", _EXAMPLE)
    _check_scheme(scheme[1])
    _check_no_stray_at(text[scheme.end() :])
    try:
        url = _with_socket_host(make_url(text))
    except ArgumentError:
        raise _fault("scheme", "this cannot be read as a URI.", _EXAMPLE) from None
    except ValueError:
        raise _fault("port", "the port is not a number.", _port_hint(text[scheme.end() :])) from None
    _check_no_placeholder(url, text)
    return url


def _port_hint(rest: str) -> str:
    if "," in rest.partition("/")[0]:
        return "Write several hosts as postgresql:///mydb?host=a:5432&host=b:5432"
    return "A password with : or / or @ must be percent-encoded, as %3A, %2F and %40."


def _checked(url: URL) -> URL:
    _check_scheme(url.drivername)
    url = _without_aliases(url)
    for part, text in _texts(url):
        if "\0" in text:
            raise _fault(part, f"the {part} contains a NUL character.")
        if not _is_unicode(text):
            raise _fault(part, f"the {part} is not valid Unicode text.")
    check_hosts(url)
    if not url.database and "pg8000" not in url.drivername:  # that one is not on libpq
        url = url.set(database=libpq.default("dbname", url.query) or "")
    check_dbname(url.database or "")
    return with_readable_hosts(url)


def _texts(url: URL) -> t.Iterator[tuple[str, str]]:
    for part, text in (("user", url.username), ("password", url.password), ("host", url.host)):
        if text is not None:
            yield part, str(text)
    for key, value in url.query.items():
        yield from (("query", text) for text in ((key, value) if isinstance(value, str) else (key, *value)))


def _is_unicode(text: str) -> bool:
    """Tell whether the text can be sent; bytes that are not UTF-8 reach us as lone surrogates."""
    return not re.search("[\ud800-\udfff]", text)


def _check_scheme(drivername: str) -> None:
    dialect = drivername.partition("+")[0].lower()
    if dialect not in ("postgresql", "postgres"):
        raise _fault("scheme", f'the scheme "{drivername}" is not PostgreSQL.', _EXAMPLE)


def _check_no_stray_at(rest: str) -> None:
    """Refuse a second @: the text before it is part of a password, and would be printed."""
    path = rest.partition("?")[0]
    if path.count("@") > 1 or "@" in _host_as_sqlalchemy_reads_it(rest):
        raise _fault("host", "there is an @ in the user or password.", "In a URI, write %40 for it.")


def _check_no_placeholder(url: URL, text: str) -> None:
    """Refuse the ``<user>:<password>`` of an example. In a URI, angle brackets are percent-encoded."""
    parts = {"user": url.username, "password": url.password, "host": url.host, "database": url.database}
    for part, value in parts.items():
        if value is not None and _PLACEHOLDER.fullmatch(str(value)) and str(value) in text:
            message = f"the {part} is a placeholder in angle brackets."
            raise _fault(part, message, "Write the real one, or %3C and %3E if the brackets belong to it.")


def _host_as_sqlalchemy_reads_it(rest: str) -> str:
    try:
        return make_url(f"postgresql://{rest}").host or ""
    except (ArgumentError, ValueError):
        return ""


def _without_aliases(url: URL) -> URL:
    """Move libpq's query spellings of user, password, dbname and port to where they belong.

    The drivers let the query win. Left there, ``?dbname=x`` would send a connection that is meant for
    another database of the server to ``x`` all the same.
    """
    query = dict(url.query)
    user = _text(query.pop("user", None)) or url.username
    password = _text(query.pop("password", None)) or (None if url.password is None else str(url.password))
    database = _text(query.pop("dbname", None)) or url.database
    port = url.port
    if "host" not in query and "port" in query:
        port = port_number(_text(query.pop("port")) or "")
    _, _, driver = url.drivername.partition("+")
    drivername = f"postgresql+{driver}" if driver else "postgresql"
    return URL.create(drivername, user, password, url.host or None, port, database, query)


def _with_socket_host(url: URL) -> URL:
    """Read ``postgresql://%2Frun%2Fpostgresql/db``, libpq's spelling of a socket folder as a host."""
    if url.host is None or not url.host.lower().startswith("%2f"):
        return url
    query = {**url.query, "host": unquote(url.host)}
    return URL.create(url.drivername, url.username, url.password, None, url.port, url.database, query)


def _text(value: str | tuple[str, ...] | None) -> str | None:
    return value[-1] if isinstance(value, tuple) else value


def _fault(part: str, message: str, remedy: Remedies = None) -> UriValidationError:
    return UriValidationError(message, part=part, remedy=remedy)
