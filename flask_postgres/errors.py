"""Every error that Flask-Postgres raises.

::

    FlaskPostgresError
    ├── UsageError                      exit code 2: what was asked for is wrong
    │   ├── UriValidationError          (also a ValueError)
    │   └── SettingsError               holds every fault that was found
    ├── Refused                         exit code 1: could be done, but must not be
    │   ├── EnvironmentNotAllowed
    │   ├── NotConfirmed
    │   ├── DatabaseProtected
    │   ├── DatabaseInUse
    │   ├── PreflightFailed             holds every reason that was found
    │   ├── AtWork                      another command has not come to its end
    │   └── LostRace
    ├── AppError                        the Flask app, or code of it
    │   ├── AppNotLoaded
    │   ├── ExtensionNotFound
    │   ├── CallbackFailed
    │   └── MigrationFailed
    ├── ServerError                     what a PostgreSQL server answered
    │   ├── CannotConnect
    │   │   ├── ServerUnreachable
    │   │   └── AuthenticationFailed
    │   ├── DatabaseMissing
    │   ├── DatabaseExists
    │   ├── PermissionDenied
    │   └── Unsupported
    ├── DriverMissing
    ├── EmbeddedServerError             the server that Flask-Postgres runs itself
    └── Interrupted                     (a KeyboardInterrupt) a signal asked the command to end

Only ``flask_postgres.cli`` turns these into messages and exit codes.
"""

from __future__ import annotations

import typing as t

from .remedies import Remedies, Remedy, apart, as_tuple, for_python


class FlaskPostgresError(Exception):
    """Base of all errors of Flask-Postgres: what is wrong, and what to do about it.

    :param message: one line that says what is wrong and what was looked at.
    :param remedy: what to do about it: one remedy or several, if there are any.
    """

    exit_code: t.ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: Remedies = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedies: tuple[Remedy, ...] = as_tuple(remedy)
        self.notes: list[str] = []
        """What else is true after the error, such as what could not be undone."""

    def __str__(self) -> str:
        return self.text(for_python)

    def text(self, render: t.Callable[[Remedy], str]) -> str:
        """Return the error in one line.

        :param render: renders a remedy for whoever reads it.
        """
        return " ".join(filter(None, self.parts(render)))

    def parts(self, render: t.Callable[[Remedy], str]) -> tuple[str, str]:
        """Return what is wrong, and what to do, which may be nothing."""
        return apart(self.message, notes=self.notes, remedies=[render(item) for item in self.remedies])


class UsageError(FlaskPostgresError):
    """What the user asked for does not make sense, whatever the server says."""

    exit_code = 2


class UriValidationError(UsageError, ValueError):
    """A URI is not one of a PostgreSQL database.

    :param part: the part that is at fault: ``scheme``, ``user``, ``password``, ``host``, ``port``,
        ``database`` or ``query``.
    """

    def __init__(self, message: str, *, part: str, remedy: Remedies = None) -> None:
        super().__init__(message, remedy=remedy)
        self.part = part


class SettingsError(UsageError):
    """One or more settings are wrong. All of them are in ``faults``, each with its place."""

    def __init__(self, faults: t.Sequence[str]) -> None:
        self.faults: tuple[str, ...] = tuple(faults)
        super().__init__("; ".join(self.faults))


class Refused(FlaskPostgresError):
    """The command could be carried out, but doing so would be unsafe. Nothing has changed."""


class EnvironmentNotAllowed(Refused):
    """``cli_disallowed_envs`` names the current environment."""


class NotConfirmed(Refused):
    """The user did not type the database's name, or could not be asked."""


class DatabaseProtected(Refused):
    """The database is marked as protected; only ``unprotect`` lifts that."""


class DatabaseInUse(Refused):
    """Other sessions are open, and ending them was not asked for."""


class PreflightFailed(Refused):
    """The checks before the first step found reasons not to start; all are in ``reasons``."""

    def __init__(self, reasons: t.Sequence[FlaskPostgresError]) -> None:
        self.reasons: tuple[FlaskPostgresError, ...] = tuple(reasons)
        super().__init__("; ".join(str(reason) for reason in self.reasons))


class AtWork(Refused):
    """Another command is at work on the database."""


class LostRace(Refused):
    """Another command changed the database in between; this one leaves it alone."""

    transient = False
    """Whether both changed it at the same moment, so that the transaction may be tried again."""


class AppError(FlaskPostgresError):
    """The Flask app, or code that belongs to it, stands in the way."""


class AppNotLoaded(AppError):
    """The Flask app cannot be found or imported."""


class ExtensionNotFound(AppError):
    """The app has no Flask-SQLAlchemy (or Flask-SQLAlchemy-Lite) instance."""


class CallbackFailed(AppError):
    """The app's own code raised while it initialized the database; the cause is chained."""


class MigrationFailed(AppError):
    """The app's migrations could not be run to their heads; the cause is chained."""


class ServerError(FlaskPostgresError):
    """A PostgreSQL server refused something.

    :param sqlstate: the five-character code of the answer; None when connecting failed, because the
        drivers carry no code then.
    """

    def __init__(self, message: str, *, remedy: Remedies = None, sqlstate: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.sqlstate = sqlstate

    @property
    def refuses_password(self) -> bool:
        """Whether the server knows no such role or password; another database would refuse them, too."""
        return False


class CannotConnect(ServerError):
    """A connection could not be made, for a reason that is in the message."""


class ServerUnreachable(CannotConnect):
    """No server answers at the address."""


class AuthenticationFailed(CannotConnect):
    """The server does not let this user in."""

    @property
    def refuses_password(self) -> bool:
        return self.sqlstate != "28000"  # which is a pg_hba.conf that does not list this database


class DatabaseMissing(ServerError):
    """The database does not exist, as ``pg_database`` says."""


class DatabaseExists(ServerError):
    """The database exists already."""


class PermissionDenied(ServerError):
    """The role lacks a right."""


class Unsupported(ServerError):
    """This server cannot do what was asked for."""


class DriverMissing(FlaskPostgresError):
    """No installed driver can do the administration."""


class EmbeddedServerError(FlaskPostgresError):
    """The embedded server could not be started, stopped or read."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end.

    A KeyboardInterrupt, because psycopg 3 cancels the running query and stays usable for that
    class alone, and because ``except Exception`` in an app's callback must not swallow it.

    :param signum: the number of the signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.notes: list[str] = []
        self.remedies: tuple[Remedy, ...] = ()
