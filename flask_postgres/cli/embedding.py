"""The embedded server, as commands use it: only where it is the one to serve a URI."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

    from ..embedded.info import ServerInfo
    from ..settings.schema import Settings
    from ..uri import PostgresUri
    from .context import Invocation


def ensure_server(
    invocation: Invocation, settings: Settings, uri: PostgresUri, *, start: bool
) -> ServerInfo | None:
    """Start the embedded server, if it is the one to serve this URI; return it if it does."""
    from ..embedded import wheels

    if not wheels.wanted(settings.server, settings.server_bin_dir):
        return None

    from ..embedded import service

    return service.ensure(
        uri,
        mode=settings.server,
        data_dir=settings.server_data_dir,
        bin_dir=settings.server_bin_dir,
        reporter=invocation.reporter,
        start=start,
    )


def own_data_dir(settings: Settings, uri: PostgresUri) -> Path | None:
    """Return the data folder of the embedded server that belongs to the address, if this account has one."""
    from ..embedded import wheels

    if not wheels.wanted(settings.server, settings.server_bin_dir):
        return None

    from ..embedded import service

    return service.own_data_dir(uri, data_dir=settings.server_data_dir)


def make_extensions(server: ServerInfo, dbname: str, names: t.Sequence[str]) -> None:
    from ..embedded import service

    service.create_extension(server, dbname, names)
