"""The texts of the server's configuration files. Nothing here touches a file or a server."""

from __future__ import annotations

import typing as t
from pathlib import Path

SUPERUSER = "flask_postgres_superuser"
"""The bootstrap superuser: ours alone, and no name that an app would use."""

INCLUDE = "\n# Flask-Postgres writes this file anew before each start.\ninclude 'flask_postgres.conf'\n"

_HEADER = "# Written by Flask-Postgres; changes are overwritten.\n"


def server_settings(
    *, addresses: t.Sequence[str], port: int, socket_dirs: t.Sequence[Path], cluster_name: str
) -> str:
    """Return the file of settings that the server's own configuration includes last."""
    settings = {
        "listen_addresses": ",".join(addresses),
        "port": str(port),
        "unix_socket_directories": ",".join(f'"{_doubled(str(path), chr(34))}"' for path in socket_dirs),
        "unix_socket_permissions": "0700",
        "cluster_name": cluster_name,
        "password_encryption": "scram-sha-256",
        "lc_messages": "C",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_line_prefix": "%m [%p] %q%u@%d ",
    }
    lines = [f"{name} = '{_doubled(_escaped(value), chr(39))}'\n" for name, value in settings.items()]
    return _HEADER + "".join(lines)


def access_rules(trusted: t.Iterable[str], *, superuser_over_tcp: bool) -> str:
    """Return ``pg_hba.conf``: who may come in, and how. Nothing beyond this machine appears in it.

    :param trusted: the roles without a password.
    :param superuser_over_tcp: where there are no private sockets (Windows).
    """
    superuser = "scram-sha-256" if superuser_over_tcp else "reject"
    rules = [("local", SUPERUSER, "scram-sha-256"), ("host", SUPERUSER, superuser)]
    for role in trusted:
        rules += [("local", role, "trust"), ("host", role, "trust")]
    lines = [line for kind, role, method in rules for line in _rule(kind, f'"{_doubled(role)}"', method)]
    lines += _rule("local", "all", "scram-sha-256") + _rule("host", "all", "scram-sha-256")
    return _HEADER + "".join(f"{line}\n" for line in lines)


def can_be_trusted(role: str) -> bool:
    """Tell whether ``pg_hba.conf`` can name a role: a leading slash would make it a pattern."""
    return not role.startswith("/") and role.isprintable()


def _rule(kind: str, role: str, method: str) -> list[str]:
    if kind == "local":
        return [f"local all {role} {method}"]
    return [f"host all {role} {network} {method}" for network in ("127.0.0.0/8", "::1/128")]


def _doubled(text: str, quote: str = '"') -> str:
    return text.replace(quote, quote * 2)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")
