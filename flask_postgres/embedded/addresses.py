"""Which network addresses a host means, and whether something listens there."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from ..errors import EmbeddedServerError

CONNECT_SECONDS = 1.0 if os.name != "nt" else 4.0
"""How long a full backlog is waited for. Windows tries a closed port again for some two seconds."""


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return every address of this machine that the host stands for; none if it does not resolve.

    An address that the machine does not have (``::1`` where IPv6 is switched off, though ``localhost``
    names it) is left out: no client reaches it, and no server can listen on it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(map(is_loopback, addresses)):
        return addresses
    return tuple(address for address in addresses if _exists(address))


def is_loopback(address: str) -> bool:
    """Tell whether an address never leaves this machine."""
    return address.startswith("127.") or address == "::1"


def listening(address: str, port: int) -> bool:
    """Tell whether something accepts connections at an address."""
    with _socket(address) as client:
        client.settimeout(CONNECT_SECONDS)
        try:
            client.connect((address, port))
        except TimeoutError:
            return True  # full backlog: on loopback nobody else keeps us waiting
        except OSError:
            return False
    return True


def check_free(addresses: tuple[str, ...], port: int) -> None:
    """Make sure that a server can listen on every address.

    :raises EmbeddedServerError: if one is taken, or may not be had; the message names who has it.
    """
    for address in addresses:
        fault = errno.EADDRINUSE if listening(address, port) else _bind_fault(address, port)
        if fault == errno.EADDRINUSE:
            raise taken(address, port)
        if fault:
            reason = os.strerror(fault)
            raise EmbeddedServerError(
                f"The embedded server cannot listen on {address}, port {port}: {reason}.",
                remedy="Name another port in the URI.",
            )


def free(addresses: tuple[str, ...], port: int) -> tuple[str, ...]:
    """Return those addresses on which a server could listen now."""
    return tuple(a for a in addresses if not listening(a, port) and _bind_fault(a, port) is None)


def taken(address: str, port: int) -> EmbeddedServerError:
    """Return the error that says who has an address."""
    return EmbeddedServerError(
        f"Port {port} on {address} is taken by {_holder(port)}, so the embedded server cannot listen there.",
        remedy='Stop that program, name another port in the URI, or set server = "external" to use it.',
    )


def _socket(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)


def _exists(address: str) -> bool:
    return _bind_fault(address, 0) is None


def _bind_fault(address: str, port: int) -> int | None:
    """Return the errno of binding an address the way PostgreSQL would; None if it works."""
    try:
        with _socket(address) as server:
            if os.name != "nt":  # on Windows the option means taking a port away from its owner
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ":" in address:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind((address, port))
    except OSError as error:
        return error.errno or errno.EINVAL
    return None


def _holder(port: int) -> str:
    """Name the program that listens on a port, as far as this account may know."""
    with contextlib.suppress(Exception):  # a nicety of the message: whatever fails here must not hide it
        import psutil

        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and connection.pid and address and address[1] == port:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"
