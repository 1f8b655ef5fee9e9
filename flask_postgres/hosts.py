"""The hosts of a URI: one in the authority, or several in the query, as libpq or SQLAlchemy writes them."""

from __future__ import annotations

import re
import typing as t

from . import libpq
from .errors import UriValidationError
from .remedies import Remedies

if t.TYPE_CHECKING:
    from sqlalchemy.engine import URL

DEFAULT_PORT = 5432

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine's loopback interface in URIs."""


def default_port(query: t.Mapping[str, t.Any] | None = None) -> int:
    """Return the port that libpq uses if a URI names none.

    :param query: the URI's, which may name a service.
    """
    text = (libpq.default("port", query or {}) or "").split(",")[0]
    return int(text) if text.isdecimal() else DEFAULT_PORT


def canonical(host: str) -> str:
    """Return ``localhost`` for every name of the loopback interface, so that addresses can be compared."""
    return "localhost" if host in LOOPBACK else host


def hosts_of(url: URL) -> tuple[tuple[str, int | None], ...]:
    """Return every host with its port, in the order in which libpq tries them.

    :raises UriValidationError: if they do not fit together.
    """
    listed = url.query.get("host")
    if listed is None:
        return tuple((name, url.port) for name in url.host.split(",")) if url.host else ()
    ports = _ports(url)
    found = []
    for index, name in enumerate(_names(listed)):
        host, port = _split_port(name)
        if port is None and ports:
            text = ports[index if len(ports) > 1 else 0]
            port = port_number(text) if text else None
        found.append((host, port if port is not None else url.port))
    return tuple(found)


def check_hosts(url: URL) -> None:
    """Refuse hosts and ports that cannot be those of a server.

    :raises UriValidationError: if one is wrong.
    """
    found = hosts_of(url)
    for host, port in found:
        if not host and len(found) > 1:
            raise _fault("host", "one of several hosts is empty.")
        if "@" in host:
            raise _fault("host", "the host contains an @.", "In a user or password, write %40 for it.")
        if re.search(r"[\s\0]", host) and not host.startswith("/"):
            raise _fault("host", "the host contains white space or a NUL character.")
        if not host.startswith("/") and not _is_host_name(host):
            message = "the host is not a valid name: between its dots there are 1 to 63 characters."
            raise _fault("host", message)
        if port is not None and not 0 < port < 65536:
            raise _fault("port", f"the port {port} is not between 1 and 65535.")


def with_readable_hosts(url: URL) -> URL:
    """Return the URL with its hosts as SQLAlchemy reads them.

    It takes neither one port for several hosts nor an IPv6 address with a port, which libpq does.
    """
    listed = several(url.query.get("host", ()))
    odd = any("," in item or item.count(":") > 1 for item in listed)
    if not listed or not (odd or "port" in url.query):
        return url
    found = hosts_of(url)
    query = {
        "host": ",".join(host for host, _ in found),
        "port": ",".join("" if port is None else str(port) for _, port in found),
    }
    return url.update_query_dict({key: value for key, value in query.items() if value.strip(",")})


def port_number(text: str) -> int:
    """Return the number of a port, which may still be too high.

    :raises UriValidationError: if it is no number of at most five digits.
    """
    if not (text.isascii() and text.isdecimal()):
        raise _fault("port", "the port is not a number.")
    digits = text.lstrip("0") or "0"
    if len(digits) > 5:  # Python refuses to read thousands of them
        raise _fault("port", "the port is not between 1 and 65535.")
    return int(digits)


def _names(listed: str | t.Sequence[str]) -> list[str]:
    return [name for item in several(listed) for name in item.split(",")]


def _ports(url: URL) -> list[str]:
    """Return the ports of the query: none, one for all hosts, or one a host."""
    ports = [port for item in several(url.query.get("port", ())) for port in item.split(",")]
    count = len(_names(url.query["host"]))
    if len(ports) not in (0, 1, count):
        raise _fault(
            "port", f"there are {count} hosts and {len(ports)} ports.", "Give one port for each host."
        )
    return ports


def _split_port(name: str) -> tuple[str, int | None]:
    """Split ``host:port``; a socket folder and a bare IPv6 address have no port of their own."""
    if name.startswith("/") or (name.count(":") > 1 and not name.startswith("[")):
        return name, None
    host, colon, port = name.rpartition(":")
    if not colon or name.endswith("]"):
        return name.strip("[]"), None
    return host.strip("[]"), port_number(port) if port else None


def _is_host_name(host: str) -> bool:
    """Tell whether the resolver takes it: Python encodes every host, and raises where it cannot."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def several(value: str | t.Sequence[str]) -> tuple[str, ...]:
    """Return the values of a query parameter: SQLAlchemy gives one as text and several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)


def _fault(part: str, message: str, remedy: Remedies = None) -> UriValidationError:
    return UriValidationError(message, part=part, remedy=remedy)
