"""One session for administration, in autocommit mode.

Every error that leaves this module is one of ours.
"""

from __future__ import annotations

import contextlib
import typing as t

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.schema import ExecutableDDLElement

from .. import errors
from . import drivers, failures

_EMPTY_SEARCH_PATH = "SELECT pg_catalog.set_config('search_path', '', true)"

_NO_TIMEOUTS = (
    "SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_database(), "
    "pg_catalog.current_setting('search_path'), (SELECT pg_catalog.count(pg_catalog.set_config(s.name, "
    "CASE WHEN s.name OPERATOR(pg_catalog.=) 'lock_timeout' THEN '2s' ELSE '0' END, false)) "
    "FROM pg_catalog.pg_settings s WHERE pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) :pid AND s.name "
    "OPERATOR(pg_catalog.=) ANY (ARRAY['lock_timeout', 'statement_timeout', "
    "'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout']))"
)
"""The first query of a session. It trusts no search path, because a pooler may have dropped our options.

The settings are changed only in a server process of our own: behind a pooler they would be left to other
clients. A wait for a lock ends after two seconds, so that it can be reported, and begun again.
"""


class Session:
    """One connection to one database, in autocommit mode.

    :param pooled: whether a pooler stands in between: it announces other process ids than the server's.
    :param address: of the server, as the connection itself has it.
    :param guarded: whether the search path has to be emptied for each query, because a pooler has refused to
        do so from the start, and a setting of the session would be left to other clients.
    """

    def __init__(
        self,
        connection: Connection,
        dbname: str,
        *,
        address: str,
        pooled: bool = False,
        guarded: bool = False,
    ) -> None:
        self.dbname = dbname
        self.address = address
        self.pooled = pooled
        self._connection = connection
        self._guarded = guarded

    def lift_timeouts(self) -> None:
        """Lift every timeout, behind a pooler that leaves this session its process."""
        pid = self.value(_NO_TIMEOUTS, doing="lift the timeouts", pid=0)
        self.rows(_NO_TIMEOUTS, doing="lift the timeouts", pid=pid)

    def run(self, *statements: ExecutableDDLElement, doing: str) -> None:
        """Run statements, each on its own.

        :param doing: what they do, for the error.
        """
        for statement in statements:
            with _translated(doing):
                self._connection.execute(statement)

    def rows(self, query: str, /, *, doing: str = "read the catalogue", **values: t.Any) -> t.Sequence[t.Any]:
        """Run one query and return its rows."""
        if not self._guarded:
            with _translated(doing):
                return self._connection.execute(text(query), values).all()
        with self.transaction(doing=doing), _translated(doing):
            return self._connection.execute(text(query), values).all()

    def value(self, query: str, /, *, doing: str = "read the catalogue", **values: t.Any) -> t.Any:
        """Run one query and return the first column of its first row; None without a row."""
        rows = self.rows(query, doing=doing, **values)
        return rows[0][0] if rows else None

    def script(self, statement: str, data: t.IO[t.Any] | None = None) -> None:
        """Run a statement as it is, without parameters.

        :param data: what follows a ``COPY … FROM STDIN``; or, for bytes, what takes a ``COPY … TO STDOUT``.
        :raises ScriptFailed: with the place in the statement, or in the data, as far as the server tells it.
        """
        try:
            with contextlib.closing(self._connection.connection.cursor()) as cursor:
                drivers.send(cursor, statement, data)
        except Exception as error:
            if not isinstance(error, self._connection.dialect.loaded_dbapi.Error):
                raise
            raise failures.of_script(error, statement) from error

    @contextlib.contextmanager
    def transaction(self, *, doing: str) -> t.Iterator[None]:
        """Run what is inside as one transaction: all of it or, after any error, nothing.

        Each query sees what others have committed until then, whatever is the default of the role.
        """
        guarded, self._guarded = self._guarded, False
        try:
            with _translated(doing):
                self._connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
                if guarded:
                    self._connection.exec_driver_sql(_EMPTY_SEARCH_PATH)
            yield
        except BaseException:
            # The session may be gone, and with it the transaction.
            with contextlib.suppress(DBAPIError, InvalidRequestError):
                self._connection.exec_driver_sql("ROLLBACK")
            raise
        finally:
            self._guarded = guarded
        with _translated(doing):
            self._connection.exec_driver_sql("COMMIT")

    def verifier(self, role: str, password: str) -> str:
        """Return what the server keeps of a password, so that the password never gets into a log."""
        return drivers.verifier(self._connection.connection.driver_connection, role, password)

    @property
    def pid(self) -> int:
        """The id of the server process."""
        return int(self.value("SELECT pg_catalog.pg_backend_pid()"))

    def usable(self) -> bool:
        """Tell whether the session still answers, and is not in a transaction that has failed."""
        try:
            return bool(self.value("SELECT true"))
        except errors.FlaskPostgresError:
            return False

    def close(self) -> None:
        """End the session; one that is lost already is no fault."""
        with contextlib.suppress(Exception):
            self._connection.close()  # the pool keeps none, so that there is nothing to dispose

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def greet(connection: Connection, announced: int, *, guarded: bool) -> tuple[int, str, str]:
    """Lift the timeouts; return the id of the server process, the database that was reached, and the search
    path there.
    """
    if guarded:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(_EMPTY_SEARCH_PATH)
    pid, reached, search_path, _ = connection.execute(text(_NO_TIMEOUTS), {"pid": announced}).one()
    if guarded:
        connection.exec_driver_sql("COMMIT")
    return int(pid), str(reached), str(search_path)


@contextlib.contextmanager
def _translated(doing: str) -> t.Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise failures.translate(error, doing=doing) from error
    except InvalidRequestError as error:  # the session was lost before, and SQLAlchemy opens no other
        raise errors.ServerUnreachable(f"could not {doing}: the session was lost before.") from error
