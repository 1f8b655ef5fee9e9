"""Look at a database and at the app that it is for."""

from __future__ import annotations

import typing as t

from ..app.engines import release_all
from ..errors import (
    EmbeddedServerError,
    ExtensionNotFound,
    FlaskPostgresError,
    MigrationFailed,
    ServerError,
)
from ..postgres import status
from .embedding import ensure_server
from .lifecycle import connector
from .report import Report

if t.TYPE_CHECKING:
    from ..app.discovery import BindKey
    from ..app.migrations import MigrationState
    from ..postgres.admin import Connector
    from .context import Invocation
    from .targets import Target


def look(invocation: Invocation, target: Target) -> Report:
    """Ask for everything that is known of a database; nothing is started and nothing is changed."""
    uri = target.uri
    reach = connector(invocation, uri, bind_key=target.keys[0])
    release_all()
    embedded = None
    try:
        embedded = ensure_server(invocation, invocation.settings, uri, start=False)
        with invocation.reporter.progress("asking the server"):
            found = status.look(reach)
    except (ServerError, EmbeddedServerError) as error:
        return Report(uri=uri, error=error, embedded=embedded)
    asks = found.connectable and None in target.keys  # migrations are the default database's
    migrations = _migrations(invocation, reach) if asks else None
    filled_by = _filled_by(invocation, target.keys) if found.condition == "empty" else None
    return Report(uri=uri, status=found, migrations=migrations, filled_by=filled_by, embedded=embedded)


def _filled_by(invocation: Invocation, binds: tuple[BindKey, ...]) -> str | None:
    """Return what init would run, where the app has anything for it."""
    from ..app.initialize import choose

    if invocation.loaded.app is None:
        return None
    settings = invocation.settings
    how, metadata = settings.init_with, settings.metadata
    try:
        choice = choose(invocation.app, invocation.extension, how=how, metadata=metadata, binds=binds)
    except FlaskPostgresError:
        return None
    return str(choice) if choice.kind != "create_all" or choice.table_count else None


def _migrations(invocation: Invocation, reach: Connector) -> MigrationState | FlaskPostgresError | None:
    """Ask where the app's migrations stand; what the app's own scripts do wrong is told, not raised."""
    from ..app import faults
    from ..app.migrations import find_migrations
    from ..app.redirect import redirect
    from ..app.tagging import tagged

    if invocation.loaded.app is None:
        return None
    try:
        app, extension = invocation.app, invocation.extension
        with redirect(extension, app, {None: reach.uri}), tagged(extension, reach.application_name):
            migrations = find_migrations(app, extension)
            return None if migrations is None else migrations.state()
    except ExtensionNotFound:
        return None
    except FlaskPostgresError as error:
        return error
    except Exception as error:  # whatever a foreign env.py makes of the database, status goes on
        return MigrationFailed(f"the migrations could not be read: {faults.describe(error)}")
