"""The PostgreSQL lifecycle for Flask apps.

The public names load when they are asked for: Flask imports this package on every ``flask`` command,
and an app imports it for :func:`init_db_callback` alone.
"""

from __future__ import annotations

import importlib
import typing as t

if t.TYPE_CHECKING:
    from .api import create_all, create_db, database_exists, drop_db
    from .app.callbacks import init_db_callback
    from .errors import (
        AppError,
        AppNotLoaded,
        AtWork,
        AuthenticationFailed,
        CallbackFailed,
        CannotConnect,
        DatabaseExists,
        DatabaseInUse,
        DatabaseMissing,
        DatabaseProtected,
        DriverMissing,
        EmbeddedServerError,
        EnvironmentNotAllowed,
        ExtensionNotFound,
        FlaskPostgresError,
        Interrupted,
        LostRace,
        MigrationFailed,
        NotConfirmed,
        PermissionDenied,
        PreflightFailed,
        Refused,
        ServerError,
        ServerUnreachable,
        SettingsError,
        Unsupported,
        UriValidationError,
        UsageError,
    )
    from .reporting import Reporter
    from .uri import PostgresUri
    from .worktrees import worktree_uri

__version__ = "1.0.0"

__all__ = [
    "AppError",
    "AppNotLoaded",
    "AtWork",
    "AuthenticationFailed",
    "CallbackFailed",
    "CannotConnect",
    "DatabaseExists",
    "DatabaseInUse",
    "DatabaseMissing",
    "DatabaseProtected",
    "DriverMissing",
    "EmbeddedServerError",
    "EnvironmentNotAllowed",
    "ExtensionNotFound",
    "FlaskPostgresError",
    "Interrupted",
    "LostRace",
    "MigrationFailed",
    "NotConfirmed",
    "PermissionDenied",
    "PostgresUri",
    "PreflightFailed",
    "Refused",
    "Reporter",
    "ServerError",
    "ServerUnreachable",
    "SettingsError",
    "Unsupported",
    "UriValidationError",
    "UsageError",
    "create_all",
    "create_db",
    "database_exists",
    "drop_db",
    "init_db_callback",
    "worktree_uri",
]

_HOME = {
    "PostgresUri": ".uri",
    "Reporter": ".reporting",
    "create_all": ".api",
    "create_db": ".api",
    "database_exists": ".api",
    "drop_db": ".api",
    "init_db_callback": ".app.callbacks",
    "worktree_uri": ".worktrees",
}


def __getattr__(name: str) -> t.Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME.get(name, ".errors"), __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
