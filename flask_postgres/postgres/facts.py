"""What is: the state of a server and of the databases that matter, as plain values.

Plans and checks are made from these values alone, so a test can supply them without a server.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..errors import FlaskPostgresError
from .capabilities import Capabilities
from .inside import Inside
from .marks import Mark, State

INVALID = -2
"""``datconnlimit`` of a database whose DROP was interrupted; it can only be dropped. PostgreSQL 13.12,
14.9, 15.4 and later write it (commit "Handle DROP DATABASE getting interrupted", 2023)."""


@dataclasses.dataclass(frozen=True, slots=True)
class OtherSession:
    """A session that somebody else has open on a database.

    :param port: of the client; None where our role is not told.
    :param own: whether this process has opened it, or the app in it.
    :param endable: whether our role may end it.
    :param superuser: whether it is a superuser's, so that only a superuser may end it.
    :param citus: whether it is the maintenance daemon that Citus keeps in each of its databases.
    :param pooled: whether a pooler keeps it and has nobody on it: the last that came was its
        ``DISCARD ALL``, which PgBouncer sends in session mode when a client is gone.
    """

    pid: int
    user: str | None
    application: str
    address: str | None
    endable: bool = True
    superuser: bool = False
    citus: bool = False
    pooled: bool = False
    port: int | None = None
    own: bool = False

    @property
    def counted(self) -> bool:
        """Whether it is somebody else's: not our own process's, and not the daemon of Citus."""
        return not (self.own or self.citus)

    @property
    def local(self) -> bool:
        """Whether it came over the loopback interface of the server's machine."""
        return bool(self.address) and (self.address == "::1" or str(self.address).startswith("127."))

    def __str__(self) -> str:
        what = f' "{self.application}"' if self.application else ""
        where = f" from {self.address}" if self.address else ""
        return f"pid {self.pid}{what} as {self.user or 'an unknown user'}{where}"


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """A privilege on a database; a grantee of None is PUBLIC."""

    privilege: str
    grantee: str | None
    grantable: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """A setting that belongs to a database; with a role, to that role in it."""

    name: str
    value: str
    role: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database as ``pg_database`` has it.

    :param owned: whether our role has the rights of the owner.
    :param owner_superuser: whether the owner is a superuser, whose rights nobody should be told to grant.
    :param comment: what others wrote; our mark is in ``mark``.
    :param provider: who knows its locale: ``libc``, ``icu`` or ``builtin``.
    :param locale: the locale of a provider other than libc.
    :param grants: None when nobody has changed the default privileges.
    :param may_connect: whether our role has the right to connect to it.
    :param size: bytes; None when our role may not ask, or there is nothing.
    :param labels: how many security labels it bears.
    :param maker_alive: whether the command that made its mark still runs.
    :param stale_mark: a mark that does not count, because it was made for another database: this one is a
        copy, or was restored, or belongs to a role whose marks mean nothing for the target.
    :param holds_rows: whether somebody may have put rows into it; asked for unfinished databases only.
    """

    name: str
    oid: int = 0
    owner: str = ""
    owned: bool = True
    owner_superuser: bool = False
    allow_connections: bool = True
    connection_limit: int = -1
    is_template: bool = False
    encoding: str = "UTF8"
    collate: str = ""
    ctype: str = ""
    provider: str = "libc"
    locale: str | None = None
    tablespace: str = "pg_default"
    comment: str | None = None
    mark: Mark | None = None
    grants: tuple[Grant, ...] | None = None
    parameters: tuple[Parameter, ...] = ()
    sessions: tuple[OtherSession, ...] = ()
    prepared: int = 0
    slots: tuple[str, ...] = ()
    subscriptions: int = 0
    may_connect: bool = True
    size: int | None = None
    labels: int = 0
    maker_alive: bool = False
    stale_mark: Mark | None = None
    holds_rows: bool = False

    @property
    def state(self) -> State | None:
        return self.mark.state if self.mark else None

    @property
    def invalid(self) -> bool:
        """Whether an interrupted DROP has left it unusable."""
        return self.connection_limit == INVALID

    @property
    def abandoned(self) -> bool:
        """Whether a command that is gone has left it unfinished: it counts as absent."""
        return self.state is State.UNFINISHED and not self.maker_alive

    @property
    def found_mark(self) -> Mark | None:
        """The mark that its comment has, whether it counts or not."""
        return self.mark or self.stale_mark

    @property
    def allowed_before(self) -> bool:
        """Whether connections were allowed before a command closed the database."""
        return (
            self.mark.allowed if self.mark and self.state is not State.UNFINISHED else self.allow_connections
        )

    @property
    def closed_empty(self) -> bool:
        """Whether a command that was about to drop it has closed it, having found no row in it."""
        return (
            self.abandoned and not self.allow_connections and self.mark is not None and not self.mark.allowed
        )

    @property
    def kept_at(self) -> int:
        """When it was kept or copied, in milliseconds since 1970; 0 when it was not."""
        return (self.mark.at if self.mark else None) or 0

    @property
    def called(self) -> str:
        """What the user calls it: of a snapshot, the name that it was given."""
        return (self.mark.label if self.mark else None) or self.name

    @property
    def described(self) -> str:
        """What it is, with the name that the user knows."""
        kind = "snapshot" if self.state is State.SNAPSHOT else "database"
        return f'{kind} "{self.called}"'

    @property
    def raw_comment(self) -> str | None:
        """The comment as the catalogue has it, our mark included."""
        return self.mark.under(self.comment) if self.mark else self.comment


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The role that we are on this server."""

    name: str = ""
    superuser: bool = False
    createdb: bool = True
    createrole: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a plan is built from.

    :param address: of the server, as the connection that was asked has it; empty when none was.
    :param target: the target; None when it does not exist.
    :param server: the system identifier of the cluster; None where the server does not tell.
    :param inside: what the target holds; None when it was not asked.
    :param holds_rows: whether a table in it may hold a row; asked together with that.
    :param alive: the tokens of commands that are at work.
    :param relatives: databases of ours that were made for the target or out of it.
    :param foreign: databases whose names look like it, and that bear no mark that counts.
    :param citus: whether the server has Citus, which each database may use or not.
    :param cluster_name: what the server calls itself, which tells the embedded one.
    :param template: the template to copy; None when it does not exist.
    :param superuser_only: of the parameters that databases have, those that only a superuser may set.
    :param missing_roles: of the roles that settings name, those that the server does not know.
    :param unusable_roles: those that ours cannot make databases for: it must be able to act as them, and have
        their rights without doing so, which a role with NOINHERIT has not.
    :param grantable_roles: roles that ours may give itself the rights of.
    :param makes_role: the role of the app, when it does not exist and is to be made.
    :param borrows_role: the role of the app, when ours is to have its rights while the command works.
    :param refused: why the app's role is not let in, or by another server, although it exists.
    :param missing_tablespaces: of the tablespaces that settings name, those that the server does not know.
    :param missing_extensions: likewise, those that the server cannot install.
    :param available_extensions: what it can install; asked for only when settings name extensions.
    :param snapshots: the snapshots of the target, or of the database that is named instead, the latest first.
    :param revision: at which revision of Alembic the target is; asked for when a snapshot is made.
    :param now: the time on the server, in milliseconds since 1970; None when it was not asked.
    :param assumed: why nothing was asked, when these are assumptions (``--dry-run`` without a server).
    """

    role: Role = dataclasses.field(default_factory=Role)
    can: Capabilities = dataclasses.field(default_factory=Capabilities)
    version_text: str = ""
    admin_dbname: str = "postgres"
    address: str = ""
    standby: bool = False
    citus: bool = False
    cluster_name: str | None = None
    target: Database | None = None
    server: str | None = None
    inside: Inside | None = None
    holds_rows: bool = False
    alive: frozenset[str] = frozenset()
    relatives: tuple[Database, ...] = ()
    foreign: tuple[Database, ...] = ()
    template: Database | None = None
    template_name: str | None = None
    superuser_only: tuple[str, ...] = ()
    missing_roles: tuple[str, ...] = ()
    unusable_roles: tuple[str, ...] = ()
    grantable_roles: tuple[str, ...] = ()
    makes_role: str | None = None
    borrows_role: str | None = None
    refused: FlaskPostgresError | None = None
    missing_tablespaces: tuple[str, ...] = ()
    missing_extensions: tuple[str, ...] = ()
    available_extensions: tuple[str, ...] = ()
    snapshots: tuple[Database, ...] = ()
    revision: str | None = None
    now: int | None = None
    assumed: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether the server is an embedded one."""
        return (self.cluster_name or "").startswith("flask-postgres-")

    @property
    def others_account(self) -> int | None:
        """The uid of the account that has started the embedded server, if that is not the one we run as."""
        _, _, uid = (self.cluster_name or "").rpartition("-")[0].rpartition("-")
        known = self.embedded and uid.isdecimal() and os.name != "nt"
        return int(uid) if known and int(uid) != os.geteuid() else None

    @property
    def asides(self) -> tuple[Database, ...]:
        """The former databases that resets have set aside and not dropped."""
        return tuple(item for item in self.relatives if item.state is State.ASIDE)

    @property
    def aside(self) -> Database | None:
        """The latest of them."""
        return max(self.asides, key=lambda item: item.oid, default=None)

    @property
    def kept(self) -> tuple[Database, ...]:
        """The former databases that commands have kept, the latest first."""
        found = [item for item in self.relatives if item.state is State.KEPT]
        return latest_first(found)

    @property
    def former(self) -> Database | None:
        """What ``undo`` swaps back."""
        return next((item for item in self.kept[:1] if not item.invalid), None)

    @property
    def outdated(self) -> tuple[Database, ...]:
        """What was kept, and that a command should have dropped: it was interrupted in that."""
        return tuple(item for item in self.kept if item is not self.former)

    @property
    def tests(self) -> tuple[Database, ...]:
        """Databases that runs of tests have made, and drop at their end."""
        return tuple(item for item in self.relatives if item.state is State.TEST)

    @property
    def unmade(self) -> tuple[Database, ...]:
        """Databases that a command, or a run of tests, has begun to make, and whose maker is gone."""
        ours = (State.UNFINISHED, State.TEST)
        return tuple(item for item in self.relatives if not item.maker_alive and item.state in ours)


def latest_first(databases: t.Iterable[Database]) -> tuple[Database, ...]:
    """Return former databases, or snapshots, in the order of their time."""
    return tuple(sorted(databases, key=lambda item: (item.kept_at, item.oid), reverse=True))
