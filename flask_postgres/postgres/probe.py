"""Why a connection could not be made.

The drivers carry no SQLSTATE for that, and the text may be in any language. So the address is tried
by hand: is there such a host, does anything listen, and what does it answer to a start-up message?
The protocol: https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import socket
import struct
import time
import typing as t

from .. import libpq
from ..errors import (
    AuthenticationFailed,
    CannotConnect,
    ServerUnreachable,
)
from ..hosts import LOOPBACK, default_port, several
from ..remedies import Command, Sql
from ..uri import PostgresUri

_PROTOCOL_3 = 196608
_READABLE = (3, 5)
"""Kinds of authentication that give a password away: in clear, and as an MD5 hash."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a start-up message; with nothing in it, what came is not PostgreSQL's.

    :param sqlstate: the server's code when it refused at once.
    :param message: the server's own line then.
    :param authentication: the kind of authentication it asks for; 0 means none.
    """

    sqlstate: str | None = None
    message: str | None = None
    authentication: int | None = None


def explain(uri: PostgresUri, said: str, *, timeout: float = 5.0) -> CannotConnect:
    """Return the error for a connection that failed.

    :param said: the driver's own line, shown when nothing better is found.
    :param timeout: seconds for the probe of each host.
    """
    service = libpq.service(uri.query)
    if service and f'"{service}"' in said:  # libpq has not found it, or not got that far
        hint = "Look at PGSERVICE, at the URI's service, and at the file ~/.pg_service.conf."
        return CannotConnect(f'cannot connect by the service "{service}": {said}', remedy=hint)
    if uri.user is None and libpq.default("user", uri.query) is None and libpq.account() is None:
        message = f"the URI names no user, and the account with uid {os.geteuid()} has no name."
        return CannotConnect(message, remedy="Write the user into the URI: postgresql://user@localhost/mydb")
    where = address_text(uri)
    problems = []
    for host, address, port in _places(uri):
        try:
            answer = start_up(address, port, uri, timeout=timeout)
        except OSError as error:
            problems.append(_unreachable(host, address, port, error))
            continue
        return _from_answer(answer, uri, where, said)
    return problems[0] if len(problems) == 1 else _all_unreachable(problems, where)


def check_asks(uri: PostgresUri, *, timeout: float, data_dir: pathlib.Path) -> None:
    """Make sure that nothing at the address asks for the password in a way that gives it away.

    :param data_dir: of the embedded server that should be there.
    :raises CannotConnect: if something does.
    """
    for _, address, port in _places(uri):
        with contextlib.suppress(OSError):
            answer = start_up(address, port, uri, timeout=timeout)
            if answer is not None and answer.authentication in _READABLE:
                raise stranger(uri, data_dir)


def stranger(uri: PostgresUri, data_dir: pathlib.Path) -> CannotConnect:
    """Return the error for what asks for the password, and is not the embedded server of the address."""
    return CannotConnect(
        f"what listens at {address_text(uri)} is not the embedded server that belongs there (its data are in "
        f"{data_dir}), and asks for the password in a way that gives it away; it was not sent.",
        remedy='Find out who listens there, or set server = "external" if that server is meant.',
    )


def start_up(host: str, port: int, uri: PostgresUri, *, timeout: float) -> Answer | None:
    """Send a start-up message and return the answer; None when nothing comes back.

    :raises OSError: if nothing listens there, or the host is unknown.
    """
    deadline = time.monotonic() + timeout
    with _connect(host, port, timeout) as connection:
        user = uri.user or libpq.default("user", uri.query) or libpq.account() or "postgres"
        body = struct.pack("!i", _PROTOCOL_3)
        for text in ("user", user, "database", uri.dbname, "application_name", "flask-postgres probe"):
            body += text.encode() + b"\0"
        body += b"\0"
        try:
            connection.sendall(struct.pack("!i", len(body) + 4) + body)
            return _read_answer(connection, deadline)
        except OSError:
            return None


def address_text(uri: PostgresUri) -> str:
    """Return the server's address as a person writes it, as far as it is known without connecting."""
    return ", ".join(_place_text(*place) for place in _places(uri))


def address_of(connection: t.Any) -> str | None:
    """Return the address that a driver's connection leads to, from the connection itself.

    A name that another machine stands for is followed by its address. None where nothing can be asked.
    """
    info = connection.info
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as copy:
            peer = copy.getpeername()
    except OSError:
        return None
    address = peer[0] if isinstance(peer, tuple) else info.host
    known = info.host in LOOPBACK and address in LOOPBACK
    return _place_text(info.host, info.host if known else address, int(info.port))


def _places(uri: PostgresUri) -> list[tuple[str, str, int]]:
    """Return each host, the address that libpq takes for it, and the port."""
    addresses = several(uri.query.get("hostaddr") or libpq.default("hostaddr", uri.query) or ())
    addresses = tuple(part for text in addresses for part in text.split(",") if part)
    hosts = uri.hosts
    if not hosts:
        named = libpq.default("host", uri.query)
        names = named.split(",") if named else addresses or [_compiled_host()]
        hosts = tuple((name, uri.port) for name in names)
    if len(addresses) != len(hosts):
        addresses = tuple(host for host, _ in hosts)
    default = default_port(uri.query)
    return [(host, address, port or default) for (host, port), address in zip(hosts, addresses, strict=True)]


def _place_text(host: str, address: str, port: int) -> str:
    if address.startswith("/"):
        return f"the socket in {address}, port {port}"
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return text if host == address else f"{text} ({address})"


def _compiled_host() -> str:
    """Return where libpq looks when nothing names a host."""
    if not hasattr(socket, "AF_UNIX"):
        return "localhost"
    # Debian builds libpq with its own folder; the default of the sources is /tmp.
    return next((path for path in ("/var/run/postgresql", "/tmp") if os.path.isdir(path)), "/tmp")


def _connect(host: str, port: int, timeout: float) -> socket.socket:
    if host.startswith(("/", "@")):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            connection.connect(f"{host}/.s.PGSQL.{port}")
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection((host, port), timeout)


def _read_answer(connection: socket.socket, deadline: float) -> Answer | None:
    header = _exactly(connection, 5, deadline)
    if header is None:
        return None
    kind, length = header[:1], struct.unpack("!i", header[1:])[0]
    if kind not in b"ER" or not 8 <= length <= 65536:
        return Answer()
    body = _exactly(connection, length - 4, deadline)
    if body is None:
        return None
    if kind == b"R":
        return Answer(authentication=struct.unpack("!i", body[:4])[0])
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return Answer(sqlstate=fields.get(b"C"), message=fields.get(b"M"))


def _exactly(connection: socket.socket, size: int, deadline: float) -> bytes | None:
    received = b""
    while len(received) < size:
        # One deadline for all: a server that sends a byte at a time would hold us for ever.
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        chunk = connection.recv(size - len(received))
        if not chunk:
            return None
        received += chunk
    return received


def _unreachable(host: str, address: str, port: int, error: OSError) -> ServerUnreachable:
    where = _place_text(host, address, port)
    if isinstance(error, socket.gaierror):
        message = f'the host "{host}" cannot be resolved: {error.strerror}.'
        return ServerUnreachable(message, remedy="Check the host of the URI, and the network.")
    if isinstance(error, FileNotFoundError):
        message = f"no PostgreSQL server listens at {where}: there is no such socket."
    elif isinstance(error, ConnectionRefusedError):
        message = f"no PostgreSQL server listens at {where}: connection refused."
    elif isinstance(error, TimeoutError):
        message = f"no reply from {where}: timed out."
    else:
        message = f"cannot connect to {where}: {error.strerror or error}."
    local = address.startswith("/") or address in LOOPBACK
    return ServerUnreachable(message, remedy=_START_HERE if local else _START_HINT)


_START_HINT = "Start the server, or check the host and port of the URI, and the network."
_START_HERE = (
    "Start the server, or check the host and port of the URI. "
    "No PostgreSQL here? Run: flask psql server start"
)


def _all_unreachable(problems: list[ServerUnreachable], where: str) -> ServerUnreachable:
    said = " ".join(problem.message for problem in problems)
    return ServerUnreachable(f"no server can be reached at {where}. {said}", remedy=problems[0].remedies)


def _from_answer(answer: Answer | None, uri: PostgresUri, where: str, said: str) -> CannotConnect:
    if answer is None and not _mentions_ssl(said):
        # A server that hangs or is going down; or the proxy of a container whose server is not up yet.
        message = f"{where} accepted the connection but did not reply."
        return ServerUnreachable(message, remedy=_START_HINT)
    if answer == Answer():
        message = f"{where} accepted the connection, but is not a PostgreSQL server."
        return CannotConnect(message, remedy=f"Check the port of the URI. The driver said: {said}")
    if _mentions_ssl(said) and uri.query.get("sslmode") in ("require", "verify-ca", "verify-full"):
        # Our own start-up message is not encrypted: what the server answers to it says nothing.
        hint = "Look at sslmode and the other ssl keys of the URI."
        if "not support SSL" in said:
            hint = f"{hint} A server without SSL, as the embedded one, needs sslmode=prefer."
        return CannotConnect(f"cannot connect to {where} as {_who(uri)}: {said}", remedy=hint)
    if answer is not None and answer.sqlstate is not None:
        return _refused(answer, uri, where)
    if "connection slots" in said or "too many c" in said:  # told only after the password was right
        return _refused(Answer(sqlstate="53300", message=said), uri, where)
    if "password" in said.lower() and "no password" in said.lower():
        hint = "Write it into the URI, or set PGPASSWORD or a ~/.pgpass file."
        return AuthenticationFailed(f"the server at {where} asks {_who(uri)} for a password.", remedy=hint)
    if "password authentication failed" in said or "SCRAM" in said:
        message = f"the server at {where} refuses {_who(uri)}: wrong password, or no such role."
        return AuthenticationFailed(message, remedy="Check the user and the password of the URI.")
    unknown = re.search(r'role "(.+)" does not exist', said)
    if unknown:
        name = unknown[1].replace('"', '""')
        create = Sql("As a superuser, run", f'CREATE ROLE "{name}" LOGIN CREATEDB')
        message = f'the server at {where} has no role "{unknown[1]}".'
        return AuthenticationFailed(message, remedy=(create, "Write another user into the URI."))
    return CannotConnect(f"cannot connect to {where} as {_who(uri)}: {said}")


def _refused(answer: Answer, uri: PostgresUri, where: str) -> CannotConnect:
    code = answer.sqlstate or ""
    if code == "57P03":
        message = f"the server at {where} is not ready: {answer.message}."
        return ServerUnreachable(message, remedy=Command("Try again, or wait for it", "wait"), sqlstate=code)
    if code == "53300":
        return _full(answer.message or "", uri, where)
    if code.startswith("28"):
        message = f"the server at {where} refuses {_who(uri)}: {answer.message}."
        hint = "Check the user of the URI and the server's pg_hba.conf."
        return AuthenticationFailed(message, remedy=hint, sqlstate=code)
    log = "Look at the server's log." if code[:2] in _TROUBLE_OF_ITS_OWN else None
    return CannotConnect(f"the server at {where} answers: {answer.message}.", remedy=log, sqlstate=code)


def _full(said: str, uri: PostgresUri, where: str) -> CannotConnect:
    for kind, name in (("DATABASE", uri.dbname), ("ROLE", uri.user or "")):
        if f'"{name}"' in said:  # in any language, the server names what has reached its limit
            quoted = name.replace('"', '""')
            lift = Sql("As its owner or a superuser, run", f'ALTER {kind} "{quoted}" CONNECTION LIMIT -1')
            message = f'{kind.lower()} "{name}" takes no more connections: its CONNECTION LIMIT is reached.'
            return CannotConnect(message, remedy=("Close some", lift), sqlstate="53300")
    hint = "Close other connections, or raise max_connections on the server."
    return CannotConnect(f"the server at {where} has no free connection.", remedy=hint, sqlstate="53300")


_TROUBLE_OF_ITS_OWN = ("53", "58", "F0", "XX")
"""Classes of SQLSTATE: resources, the operating system, the configuration, an internal error."""


def _who(uri: PostgresUri) -> str:
    return f'the user "{uri.user or libpq.default("user", uri.query) or libpq.account()}"'


def _mentions_ssl(said: str) -> bool:
    return "SSL" in said or "certificate" in said


__all__ = ["Answer", "address_of", "address_text", "explain", "start_up"]
