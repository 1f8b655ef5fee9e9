"""What is: the state of a server and of the databases that matter, as plain values.

Plans and checks are made from these values alone, so a test can supply them without a server.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ..errors import PermissionDenied, Unsupported
from . import catalogue, marks
from .admin import APPLICATION
from .capabilities import Capabilities, from_answers
from .marks import Mark, State
from .session import Session

INVALID = -2
"""``datconnlimit`` of a database whose DROP was interrupted; it can only be dropped. PostgreSQL 13.12,
14.9, 15.4 and later write it (commit "Handle DROP DATABASE getting interrupted", 2023)."""


@dataclasses.dataclass(frozen=True, slots=True)
class OtherSession:
    """A session that somebody else has open on a database.

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
    def raw_comment(self) -> str | None:
        """The comment as the catalogue has it, our mark included."""
        return self.mark.under(self.comment) if self.mark else self.comment


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The role that we are on this server."""

    name: str = ""
    superuser: bool = False
    createdb: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a plan is built from.

    :param target: the target; None when it does not exist.
    :param server: the system identifier of the cluster; None where the server does not tell.
    :param relatives: databases of ours that were made for the target or out of it.
    :param foreign: databases whose names look like it, and that bear no mark that counts.
    :param citus: whether the server has Citus, which each database may use or not.
    :param embedded: whether the server is one of ours.
    :param template: the template to copy; None when it does not exist.
    :param superuser_only: of the parameters that databases have, those that only a superuser may set.
    :param missing_roles: of the roles that settings name, those that the server does not know.
    :param unusable_roles: those that ours cannot make databases for: it must be able to act as them, and have
        their rights without doing so, which a role with NOINHERIT has not.
    :param missing_tablespaces: of the tablespaces that settings name, those that the server does not know.
    :param missing_extensions: likewise, those that the server cannot install.
    :param available_extensions: what it can install; asked for only when settings name extensions.
    :param assumed: why nothing was asked, when these are assumptions (``--dry-run`` without a server).
    """

    role: Role = dataclasses.field(default_factory=Role)
    can: Capabilities = dataclasses.field(default_factory=Capabilities)
    version_text: str = ""
    admin_dbname: str = "postgres"
    standby: bool = False
    citus: bool = False
    embedded: bool = False
    target: Database | None = None
    server: str | None = None
    relatives: tuple[Database, ...] = ()
    foreign: tuple[Database, ...] = ()
    template: Database | None = None
    template_name: str | None = None
    superuser_only: tuple[str, ...] = ()
    missing_roles: tuple[str, ...] = ()
    unusable_roles: tuple[str, ...] = ()
    missing_tablespaces: tuple[str, ...] = ()
    missing_extensions: tuple[str, ...] = ()
    available_extensions: tuple[str, ...] = ()
    assumed: str | None = None

    @property
    def asides(self) -> tuple[Database, ...]:
        """The former databases that resets have set aside and not dropped."""
        return tuple(item for item in self.relatives if item.state is State.ASIDE)

    @property
    def aside(self) -> Database | None:
        """The latest of them."""
        return max(self.asides, key=lambda item: item.oid, default=None)

    @property
    def unmade(self) -> tuple[Database, ...]:
        """Databases that a command has begun to make under a name of ours, and whose maker is gone."""
        return tuple(
            item for item in self.relatives if not item.maker_alive and item.state is State.UNFINISHED
        )


def read(
    session: Session,
    dbname: str,
    *,
    template: str | None = None,
    roles: t.Sequence[str] = (),
    tablespaces: t.Sequence[str] = (),
    extensions: t.Sequence[str] = (),
) -> Facts:
    """Ask a server, in one query, for all that plans about one database need.

    :param template: the template that will be copied.
    :param roles: names of roles that settings mention; the others likewise.
    """
    answer = _ask(
        session,
        target=dbname,
        template=template or "template1",
        ours="%~___~________",
        app=f"{APPLICATION} %",
        roles=json.dumps([*roles]),
        tablespaces=json.dumps([*tablespaces]),
        extensions=bool(extensions),
    )
    raw: dict[str, t.Any] = answer if isinstance(answer, dict) else json.loads(answer)
    role = Role(name=raw["role"], superuser=raw["superuser"], createdb=raw["createdb"])
    owners = {
        role.name,
        *roles,
        *(item["owner"] for item in raw["databases"] or () if item["name"] == dbname),
    }
    alive = _alive(raw["ours"] or (), owners)
    databases = [
        _trusted(_database(item, alive), role, owners, raw["server"]) for item in raw["databases"] or ()
    ]
    by_name = {item.name: item for item in databases}
    return Facts(
        role=role,
        server=raw["server"],
        can=from_answers(raw["version"], int(raw["version_num"])),
        version_text=raw["version"],
        admin_dbname=session.dbname,
        standby=raw["standby"],
        citus=raw["citus"],
        embedded=bool(raw["embedded"]),
        target=by_name.get(dbname),
        relatives=tuple(item for item in databases if item.mark and _relative(item, dbname)),
        foreign=tuple(item for item in databases if item.mark is None and _relative(item, dbname)),
        template=by_name.get(template or "template1"),
        template_name=template,
        superuser_only=tuple(raw["superuser_only"] or ()),
        missing_roles=tuple(raw["missing_roles"] or ()),
        unusable_roles=tuple(raw["unusable_roles"] or ()),
        missing_tablespaces=tuple(raw["missing_tablespaces"] or ()),
        missing_extensions=tuple(name for name in extensions if name not in (raw["available"] or ())),
        available_extensions=tuple(raw["available"] or ()),
    )


def _relative(database: Database, dbname: str) -> bool:
    if database.name == dbname or not marks.is_ours(database.name):
        return False
    if database.mark is not None and database.mark.of is not None:
        return database.mark.of == dbname
    return marks.may_be_of(database.name, dbname)


def _ask(session: Session, **values: t.Any) -> t.Any:
    try:
        return session.value(catalogue.QUERY, **values)
    except (PermissionDenied, Unsupported):  # a host, or an engine, that does not tell the identifier
        return session.value(catalogue.QUERY.replace(catalogue.IDENTIFIER, "CAST(NULL AS text)"), **values)


def _alive(sessions: t.Iterable[dict[str, t.Any]], owners: set[str]) -> set[str]:
    """Return the tokens of running commands: any role can give its session a name, so it counts who it is."""
    named = ((one["name"].split(" "), one) for one in sessions)
    return {
        words[1] for words, one in named if len(words) > 1 and (one["superuser"] or one["user"] in owners)
    }


def _trusted(database: Database, role: Role, owners: set[str], server: str | None) -> Database:
    """Return the database with its mark only if the mark counts.

    Any role with CREATEDB can write a mark, so it counts on a database whose owner is the target's owner, our
    role or a role that we have the rights of; a superuser has those of every role, which says nothing. A mark
    names its database, because a restored or copied one has the same comment. Protection always counts.
    """
    mark = database.mark
    if mark is None or mark.state is State.PROTECTED:
        return database
    ours = database.owner in owners or (database.owned and not role.superuser)
    if ours and mark.oid == database.oid and (server is None or mark.server == server):
        return database
    return dataclasses.replace(database, mark=None, stale_mark=mark, maker_alive=False)


def _database(raw: dict[str, t.Any], alive: set[str]) -> Database:
    comment, mark = marks.split(raw.pop("comment"))
    token = mark.token if mark else raw["name"][-8:] if marks.is_ours(raw["name"]) else None
    grants = raw.pop("grants")
    return Database(
        comment=comment,
        mark=mark,
        grants=None if grants is None else tuple(Grant(**item) for item in grants),
        parameters=tuple(
            Parameter(name, value, item["role"])
            for item in raw.pop("parameters") or ()
            for name, _, value in (text.partition("=") for text in item["config"])
        ),
        sessions=tuple(OtherSession(**item) for item in raw.pop("sessions") or ()),
        slots=tuple(raw.pop("slots") or ()),
        maker_alive=token in alive,
        **raw,
    )
