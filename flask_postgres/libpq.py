"""What libpq takes from the environment and from a service file where a URI leaves it open.

Its own rules: https://www.postgresql.org/docs/current/libpq-envars.html and libpq-pgservice.html.
"""

from __future__ import annotations

import os
import pathlib
import typing as t

_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
}


def service(query: t.Mapping[str, t.Any]) -> str | None:
    """Return the name of the service that a URI with this query uses, if any."""
    named = query.get("service") or os.environ.get("PGSERVICE")
    return named[-1] if isinstance(named, tuple) else named or None


def default(keyword: str, query: t.Mapping[str, t.Any]) -> str | None:
    """Return what libpq uses for a keyword that a URI does not have; None where that is compiled in.

    A service comes before the variables of the environment.

    :param keyword: ``host``, ``hostaddr``, ``port``, ``user`` or ``dbname``.
    """
    name = service(query)
    return (name and _of_service(name).get(keyword)) or os.environ.get(_VARIABLES[keyword]) or None


def account() -> str | None:
    """Return the name of the account, from the system's own records as libpq does, not from ``$USER``.

    None for one without an entry in them, as it may be in a container.
    """
    try:
        import pwd
    except ImportError:  # Windows
        import getpass

        return getpass.getuser()
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None


def _of_service(name: str) -> t.Mapping[str, str]:
    """Return what the first file that has the service says of it; nothing when none has."""
    import configparser  # few need it, and every command would load it

    own = os.environ.get("PGSERVICEFILE") or pathlib.Path("~/.pg_service.conf").expanduser()
    shared = os.environ.get("PGSYSCONFDIR") or "/etc/postgresql-common"  # where Debian's libpq looks
    for path in (own, pathlib.Path(shared, "pg_service.conf")):
        parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
        try:
            parser.read(path)
        except (configparser.Error, UnicodeDecodeError, OSError):  # libpq will say what is wrong with it
            continue
        if name in parser:
            return parser[name]
    return {}
