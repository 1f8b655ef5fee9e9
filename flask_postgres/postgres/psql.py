"""How psql is told where to connect, and as whom, without its command line showing a secret.

Who and where go into the child's environment: psql's own flags still win over it, and only the same
user (and root) can read it, as with a file of mode 0600. Unlike a file it takes a password of any length
and any characters, and nothing is left when the command is killed. What else the URI says goes into a
service file: few of libpq's parameters have a variable, and an unknown one is an error there, where a
variable that an older libpq does not know would be ignored.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..errors import UsageError
from ..uri import PostgresUri
from .drivers import administrative

SERVICE = "flask-postgres"

_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
}
_SECRETS = ("password", "sslpassword")

_NOT_LIBPQ = (
    # Arguments of psycopg's and psycopg2's connect() that are not for libpq.
    "autocommit",
    "prepare_threshold",
    "context",
    "row_factory",
    "cursor_factory",
    "connection_factory",
    "async",
    "async_",
    "dsn",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """What starts psql on a database.

    :param arguments: come first on its command line; never a secret.
    :param variables: for its environment.
    :param service: the text of the file that ``PGSERVICEFILE`` is to name; None when none is needed.
    """

    arguments: tuple[str, ...]
    variables: t.Mapping[str, str] = dataclasses.field(repr=False)
    service: str | None = dataclasses.field(default=None, repr=False)


def session(
    uri: PostgresUri, connect_args: t.Mapping[str, t.Any], environ: t.Mapping[str, str] = os.environ
) -> Session:
    """Return what leads psql where the app's driver would go.

    :param connect_args: the app's own arguments for the driver.
    :raises UsageError: if a value cannot be handed over.
    """
    parameters = _parameters(uri, connect_args)
    if "service" in parameters or environ.get("PGSERVICE"):
        return _beside_a_service(parameters)
    variables = {_VARIABLES[key]: parameters.pop(key) for key in _VARIABLES if key in parameters}
    if not parameters:
        return Session((), variables)
    return Session((), {**variables, "PGSERVICE": SERVICE}, _service_file(parameters))


def _parameters(uri: PostgresUri, connect_args: t.Mapping[str, t.Any]) -> dict[str, str]:
    url = administrative(uri).uri.url
    from_url = url.get_dialect()().create_connect_args(url)[1]
    given = {**from_url, **connect_args}
    return {key: str(value) for key, value in given.items() if value is not None and key not in _NOT_LIBPQ}


def _beside_a_service(parameters: dict[str, str]) -> Session:
    """Return a session for somebody who has a service file: it beats variables, so they would not do."""
    said = {key: value for key, value in parameters.items() if key not in _SECRETS}
    text = " ".join(f"{key}={_quoted(value)}" for key, value in said.items())
    password = parameters.get("password")
    return Session((f"--dbname={text}",), {} if password is None else {"PGPASSWORD": password})


def _service_file(parameters: t.Mapping[str, str]) -> str:
    for key, value in parameters.items():
        if "\n" in value or value != value.rstrip():
            why = "it has a line break or ends in a space"
            raise UsageError(f'the parameter "{key}" cannot be given to psql: {why}.')
    return "\n".join([f"[{SERVICE}]", *(f"{key}={value}" for key, value in parameters.items()), ""])


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
