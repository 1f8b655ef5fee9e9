"""What a URI asks of the embedded server: an address, a role and its password."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .. import libpq
from ..errors import EmbeddedServerError
from ..hosts import default_port

if t.TYPE_CHECKING:
    from ..uri import PostgresUri

NO_HOST_HINT = (
    "Write localhost as the host, as in postgresql://user@localhost/mydb, "
    "or name a folder of your own for the Unix socket, as in postgresql:///mydb?host=/home/me/run."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The address and the role of one URI, with what libpq would fill in where it is silent."""

    host: str
    port: int
    user: str
    password: str | None = dataclasses.field(repr=False)
    dbname: str

    @property
    def is_socket(self) -> bool:
        """Whether the host is the folder of a Unix socket."""
        return self.host.startswith(("/", "@"))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class NoHost(EmbeddedServerError):
    """The URI names no host: libpq then takes the Unix socket of a server that is installed."""


class SeveralHosts(EmbeddedServerError):
    """The URI names a fail-over group, which one server cannot be."""


class OfService(EmbeddedServerError):
    """The URI, or the environment, names a service: libpq knows the server, and we do not."""


def read(uri: PostgresUri) -> Target:
    """Read the target of a URI.

    :raises NoHost: if neither the URI nor ``PGHOST`` names a host.
    :raises SeveralHosts: if there is more than one host.
    :raises OfService: if a service of libpq says where the server is.
    """
    if libpq.service(uri.query):
        raise OfService(
            "The URI leaves the address to a libpq service, which the embedded server cannot read.",
            remedy='Name localhost, or set server = "external".',
        )
    hosts = uri.hosts or _hosts_of_environment()
    if not hosts:
        raise NoHost(
            "The URI names no host, which means a Unix socket in a folder of the system's PostgreSQL; "
            "the embedded server does not serve that one.",
            remedy=NO_HOST_HINT,
        )
    if len(hosts) > 1:
        raise SeveralHosts(
            f"The URI names {len(hosts)} hosts, and the embedded server is only one.",
            remedy='Name localhost alone, or set server = "external".',
        )
    host, port = hosts[0]
    return Target(
        host=_hostaddr(uri) or os.environ.get("PGHOSTADDR") or host,
        port=port or uri.port or default_port(),
        user=uri.user or os.environ.get("PGUSER") or _account_name(),
        password=uri.password or os.environ.get("PGPASSWORD") or None,
        dbname=uri.dbname,
    )


def _hostaddr(uri: PostgresUri) -> str | None:
    value = uri.query.get("hostaddr")
    return value[-1] if isinstance(value, tuple) else value


def _hosts_of_environment() -> tuple[tuple[str, int | None], ...]:
    names = os.environ.get("PGHOSTADDR") or os.environ.get("PGHOST") or ""
    return tuple((name, None) for name in names.split(",") if name)


def _account_name() -> str:
    name = libpq.account()
    if name is None:
        raise EmbeddedServerError(
            f"The URI names no user, and the account with uid {os.geteuid()} has no name.",
            remedy="Write the user into the URI: postgresql://user@localhost/mydb.",
        )
    return name
