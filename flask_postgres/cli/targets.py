"""Which databases a command is about: the default one alone, or the app's other binds too."""

from __future__ import annotations

import dataclasses
import typing as t

from ..errors import UriValidationError, UsageError
from ..hosts import DEFAULT_PORT, canonical
from ..uri import PostgresUri

if t.TYPE_CHECKING:
    from ..app.discovery import BindKey
    from .context import Invocation


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """One database, and the binds of the app behind which it stands; None is the default one."""

    uri: PostgresUri
    keys: tuple[BindKey, ...] = (None,)


def chosen(invocation: Invocation) -> list[Target]:
    """Return the databases that the user has chosen, each once.

    Binds that are not PostgreSQL are left alone, which is said.

    :raises UsageError: if none is left, or ``--uri`` names a database too.
    :raises ExtensionNotFound: if the app has no such bind.
    """
    if not invocation.several:
        return [Target(invocation.target)]
    _refuse_uri(invocation)
    found: dict[t.Any, Target] = {}
    for key in _keys(invocation):
        try:
            uri = _uri(invocation, key)
        except UriValidationError as error:
            invocation.reporter.note(f"{_name(key)} is left alone: {error.message}")
            continue
        same = place(uri)
        before = found.get(same)
        found[same] = Target(uri, (key,)) if before is None else Target(before.uri, (*before.keys, key))
    if not found:
        raise UsageError("none of these binds is a PostgreSQL database.")
    return list(found.values())


def only(invocation: Invocation) -> Target:
    """Return the one database that the user has chosen.

    :raises UsageError: if there are several.
    """
    found = chosen(invocation)
    if len(found) > 1:
        raise UsageError(f"flask psql {invocation.command} is for one database: give one --bind-key.")
    return found[0]


def _refuse_uri(invocation: Invocation) -> None:
    """Refuse a flag that would be meant for one of several databases, nobody knows for which."""
    if invocation.options.get("target_database_uri") is None:
        return
    flag = "--all-binds" if invocation.options.get("all_binds") else "--bind-key"
    raise UsageError(
        f"--uri names one database, and {flag} means those of the app's binds.", remedy="Give one of the two."
    )


def _keys(invocation: Invocation) -> list[BindKey]:
    named = list(dict.fromkeys(invocation.options.get("bind_key") or ()))
    if not invocation.options.get("all_binds"):
        return named
    return sorted({*invocation.extension.engines(), *named}, key=lambda key: (key is not None, key or ""))


def _uri(invocation: Invocation, key: BindKey) -> PostgresUri:
    of_default = invocation.settings.target_database_uri
    if key is None and of_default is not None:
        return of_default
    uri = PostgresUri(invocation.extension.engine_url(key))
    invocation.hide.add(uri.secrets, shown=(uri.user, uri.dbname, *(host for host, _ in uri.hosts)))
    return uri


def place(uri: PostgresUri) -> tuple[t.Any, ...]:
    """Return what two URIs of one database have in common, however they are written."""
    return (tuple((canonical(host), port or DEFAULT_PORT) for host, port in uri.hosts), uri.dbname)


def _name(key: BindKey) -> str:
    return "the default database" if key is None else f'the bind "{key}"'
