"""Sessions for administration: opened by SQLAlchemy, in autocommit mode, without a pool.

Every error that leaves this module is one of ours.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
import socket
import threading
import typing as t

from sqlalchemy import Connection, Dialect, NullPool, create_engine
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from .. import errors
from ..remedies import Option
from ..reporting import Reporter, Silence
from ..uri import PostgresUri
from . import failures, probe
from .capabilities import why_refused
from .drivers import administrative, knows_require_auth
from .session import Session, greet

APPLICATION = "flask-postgres"
APP_APPLICATION = "flask-postgres-app"

KEEP_ALIVE = {
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""After 60 seconds of silence the connection is probed, and after 30 without a reply it is given up.
The last is in milliseconds. Without it a network that drops packets holds a command for 15 minutes.
"""


REQUIRE_AUTH = "!password,!md5"
"""No way to log in that gives the password away, or a hash that is as good (libpq 16 and later)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """How to reach one server.

    :param uri: the target, as the user gave it.
    :param admin_uri: who administers, and by which address; None where the target's own URI does.
    :param admin_dbname: the database to administer from; None when the user has not chosen one.
    :param connect_timeout: seconds, for each connection.
    :param connect_args: the app's own arguments for its driver.
    :param data_dir: of the embedded server that belongs to the address, if there is one. Whatever else
        listens there is not sent a password that it could read.
    :param program: whether this process runs a command and nothing else: connections that it has open beside
        ours are the app's, and nobody waits for them.
    :param token: names the command in ``pg_stat_activity``.
    """

    uri: PostgresUri
    admin_uri: PostgresUri | None = None
    admin_dbname: str | None = None
    connect_timeout: float = 10
    connect_args: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    data_dir: pathlib.Path | None = None
    program: bool = False
    token: str = ""
    reporter: Reporter = dataclasses.field(default_factory=Silence)

    @property
    def application_name(self) -> str:
        """The name of our sessions: it tells which command they belong to, and its target."""
        return self._named(APPLICATION)

    @property
    def app_application_name(self) -> str:
        """The name of the app's own sessions while we let it work; they do not show that we are alive."""
        return self._named(APP_APPLICATION)

    def _named(self, application: str) -> str:
        return f"{application} {self.token} {self.uri.dbname}".encode()[:63].decode(errors="ignore")

    def admin(self) -> Session:
        """Open a session to the database to administer from.

        When the user has not chosen one and ``postgres`` is out of reach, ``template1`` is tried, which
        every cluster has, and then the target: some hosts let a role into its own database alone.

        :raises CannotConnect: if there is none.
        """
        chosen = self.admin_dbname or (self.admin_uri.dbname if self.admin_uri is not None else None)
        if chosen is not None:
            return self._chosen(chosen)
        try:
            return self.open("postgres")
        except errors.ServerUnreachable:
            raise
        except errors.CannotConnect as first:
            if first.sqlstate == "53300" or first.refuses_password:  # then one attempt is enough
                raise
            for dbname in ("template1", self.uri.dbname):
                with contextlib.suppress(errors.CannotConnect):
                    session = self.open(dbname)
                    self.reporter.detail(
                        f'administering from "{dbname}", for "postgres" is out of reach: {first}'
                    )
                    return session
            if _about_database(first, "postgres"):
                hint = "Name a database that this role may connect to: {}"
                first.remedies = (Option(hint, "admin_dbname"),)
            raise

    def anywhere(self) -> Session:
        """Open a session from where the server can be asked: that of :meth:`admin`, else the target itself.

        :raises CannotConnect: if there is none.
        """
        try:
            return self.admin()
        except errors.ServerUnreachable:
            raise
        except errors.CannotConnect as first:
            try:
                session = self.target()
            except errors.CannotConnect:
                raise first from None
            self.reporter.detail(f"asking the database itself, for the other is out of reach: {first}")
            return session

    def target(self) -> Session:
        """Open a session to the target itself.

        :raises CannotConnect: if that fails; this does not tell that the database is missing.
        """
        return self.open(self.uri.dbname, as_app=True)

    def shares(self, session: Session) -> bool:
        """Tell whether a pooler gives each transaction of a session another process of the server."""
        if not session.pooled:
            return False
        first = session.pid
        with self.open(session.dbname) as other:
            between = other.pid
        return between == first or session.pid != first

    def open(self, dbname: str, *, own_search_path: bool = True, as_app: bool = False) -> Session:
        """Open a session to any database of the server, as the role that administers.

        :param as_app: whether it is the target URI's role instead.
        :param own_search_path: whether the search path is empty from the start, so that no function and no
            operator that somebody else has made is ever called (CVE-2018-1058).
        :raises CannotConnect: with the reason, as far as it can be found out.
        :raises Refused: if a pooler leads to a database of another name.
        """
        wanted = (self.uri if as_app or self.admin_uri is None else self.admin_uri).with_dbname(dbname)
        try:
            return self._open(wanted, emptied=own_search_path, guarded=False)
        except errors.CannotConnect as error:
            if not own_search_path or "startup parameter" not in error.message:
                raise
        return self._open(wanted, emptied=False, guarded=True)  # a pooler that takes no options

    def _open(self, wanted: PostgresUri, *, emptied: bool, guarded: bool) -> Session:
        dbname = wanted.dbname
        uri, dropped = administrative(wanted)
        if dropped:
            self.reporter.detail(
                f"left out of the URI, for {uri.driver} does not know it: {', '.join(dropped)}"
            )
        engine = create_engine(
            uri.url,
            poolclass=_OwnPool,
            isolation_level="AUTOCOMMIT",
            connect_args=self._connect_args(uri, emptied=emptied),
            hide_parameters=True,
            use_native_hstore=False,
        )
        vars(engine.dialect).update(initialize=_initialize)
        if self.data_dir is not None and not knows_require_auth(str(uri.driver)):
            probe.check_asks(wanted, timeout=self.connect_timeout, data_dir=self.data_dir)
        try:
            connection = engine.connect()
            announced = _announced_pid(connection)
            with self._limited(connection):
                pid, reached, search_path = greet(connection, announced, guarded=guarded)
        except (OperationalError, InterfaceError) as error:
            raise self._explained(wanted, error) from error
        except DBAPIError as error:
            if failures.sqlstate(error) is None:  # libpq itself: an option that it does not know
                message = f'cannot connect to database "{dbname}": {failures.server_line(error)}.'
                hint = "Check the query of the URI, and the app's connect_args."
                raise errors.CannotConnect(message, remedy=hint) from error
            raise failures.translate(error, doing=f'connect to database "{dbname}"') from error
        except ImportError as error:
            hint = "Run: pip install 'psycopg[binary]'"
            raise errors.DriverMissing(f"{uri.driver} cannot be imported: {error}.", remedy=hint) from error
        except (ArgumentError, TypeError, ValueError) as error:
            message = f"the URI and connect_args cannot be used with {uri.driver}: {error}."
            raise errors.CannotConnect(message) from error
        pooled = announced != pid
        ignored = emptied and bool(search_path)  # as a pooler's ignore_startup_parameters has it
        address = probe.address_of(connection.connection.driver_connection) or probe.address_text(wanted)
        session = Session(connection, dbname, address=address, pooled=pooled, guarded=guarded or ignored)
        if reached != dbname:
            session.close()
            raise _alias(dbname, reached)
        return session

    @contextlib.contextmanager
    def _limited(self, connection: Connection) -> t.Iterator[None]:
        """End the connection when the first query takes longer than connecting may.

        A pooler lets us in by itself, and makes us wait then, for a server that is down, or while paused.
        The driver waits in C, so the socket is shut down from another thread.

        :raises ServerUnreachable: if it was ended.
        """
        descriptor = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
        late = threading.Event()

        def end() -> None:
            late.set()
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as other:
                other.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.connect_timeout, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except DBAPIError as error:
            if not late.is_set():
                raise
            where = probe.address_text(self.uri)
            message = f"{where} let us in and did not reply to the first query in {self.connect_timeout:g} s."
            hint = "Look at the server behind the pooler, or set connect_timeout."
            raise errors.ServerUnreachable(message, remedy=hint) from error
        finally:
            timer.cancel()

    def _chosen(self, dbname: str) -> Session:
        try:
            return self.open(dbname)
        except errors.CannotConnect as error:
            if _about_database(error, dbname):
                error.remedies = (
                    Option(
                        f'"{dbname}" is to be administered from: choose another with {{}}', "admin_dbname"
                    ),
                )
            raise

    def _connect_args(self, uri: PostgresUri, *, emptied: bool) -> dict[str, t.Any]:
        # A gateway forgets a connection that is silent, as ours is while the app fills the database.
        defaults: dict[str, t.Any] = dict(KEEP_ALIVE)
        if self.data_dir is not None and knows_require_auth(str(uri.driver)):
            defaults["require_auth"] = os.environ.get("PGREQUIREAUTH") or REQUIRE_AUTH
        defaults = {key: value for key, value in defaults.items() if key not in uri.query}
        ours = {
            "connect_timeout": max(1, math.ceil(self.connect_timeout)),
            "application_name": self.application_name,
            # A server whose databases say SQL_ASCII would make bytes of text, and refuse names beyond ASCII.
            "client_encoding": "utf8",
        }
        if uri.driver == "psycopg":
            # Prepared statements do not survive a pooler that changes the backend in between.
            ours["prepare_threshold"] = None
        own = self.connect_args if uri.user == self.uri.user else {}
        if emptied:
            options = own.get("options") or uri.query.get("options")
            options = options or os.environ.get("PGOPTIONS") or ""
            ours["options"] = f"{options if isinstance(options, str) else ' '.join(options)} -csearch_path="
        return {**defaults, **own, **ours}

    def _explained(self, uri: PostgresUri, error: DBAPIError) -> errors.FlaskPostgresError:
        if failures.sqlstate(error) is not None:
            return failures.translate(error, doing=f'connect to database "{uri.dbname}"')
        said = failures.server_line(error)
        if self.data_dir is not None and REQUIRE_AUTH in said:
            return probe.stranger(uri, self.data_dir)
        return probe.explain(uri, said, timeout=min(5.0, self.connect_timeout))


def _about_database(error: errors.CannotConnect, dbname: str) -> bool:
    """Tell whether the server let the role in, but not into this database."""
    return not error.remedies and f'database "{dbname}"' in error.message


def _alias(dbname: str, reached: str) -> errors.Refused:
    message = (
        f'what is reached under the name "{dbname}" is database "{reached}": a pooler gives it that name.'
    )
    return errors.Refused(message, remedy="Name the database and its server as they are, with --uri.")


class _OwnPool(NullPool):
    """A pool without the listeners that an app has for all connections, as to set a role or a type.

    They are meant for the app's own databases, and may fail on any other.
    """

    _sa_propagate_class_events = False


def is_ours(dialect: Dialect) -> bool:
    """Tell whether a dialect is of an engine of this module."""
    return vars(dialect).get("initialize") is _initialize


def _initialize(connection: Connection) -> None:
    """Stand in for the dialect's own questions, four round trips, of which we need one answer.

    That one, which a server tells by itself, is whether a backslash in a literal is a plain character.
    """
    info = connection.connection.driver_connection.info  # type: ignore[union-attr]
    if info.parameter_status("standard_conforming_strings") == "off":
        connection.exec_driver_sql("SET standard_conforming_strings TO on")


def _announced_pid(connection: Connection) -> int:
    """Return the process id that was announced at start-up.

    :raises Unsupported: if the server said then that it is one that nothing can be done on.
    """
    info = connection.connection.driver_connection.info  # type: ignore[union-attr]
    refused = why_refused(info.parameter_status("crdb_version") or "")
    if refused is not None:
        connection.close()
        raise errors.Unsupported(refused)
    return int(info.backend_pid)
