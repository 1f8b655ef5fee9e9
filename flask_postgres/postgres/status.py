"""What can be told of the target and its server, for people and for scripts; nothing is changed."""

from __future__ import annotations

import dataclasses
import typing as t

from ..errors import CannotConnect, ServerError, ServerUnreachable
from . import facts as reading
from .admin import Connector, Session
from .capabilities import from_answers
from .facts import Database, Facts
from .marks import State

Condition = t.Literal["missing", "complete", "unfinished", "blocked", "aside", "invalid", "closed"]
"""What state the target is in. An ``unfinished`` and a ``blocked`` one may be at work on, or left so."""


@dataclasses.dataclass(frozen=True, slots=True)
class Leftover:
    """What an interrupted command has left, and the command that mends it.

    :param kind: ``aside`` is a former database, ``unmade`` the beginning of a new one; the others are
        the target's own condition.
    """

    name: str
    kind: t.Literal["aside", "unmade", "unfinished", "blocked", "invalid"]
    size: int | None
    mend: str

    def as_json(self) -> dict[str, t.Any]:
        return {"name": self.name, "kind": self.kind, "size_bytes": self.size, "command": self.mend}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of one database and its server.

    :param tables: how many tables it has, without partitions and those of extensions; None when the
        database could not be asked.
    :param error: why no session could be opened on the database, which is there.
    """

    dbname: str
    address: str
    facts: Facts
    tables: int | None = None
    error: str | None = None

    @property
    def condition(self) -> Condition:
        target = self.facts.target
        if target is None:
            return "missing"
        if target.invalid:
            return "invalid"
        if target.state in (State.UNFINISHED, State.BLOCKED, State.ASIDE):
            return t.cast("Condition", target.state.value)
        return "complete" if target.allow_connections else "closed"

    @property
    def at_work(self) -> bool:
        """Whether a living command is making the database, or putting another in its place."""
        target = self.facts.target
        marked = [*self.facts.relatives, *([target] if target and target.mark else [])]
        return any(item.maker_alive for item in marked)

    @property
    def connectable(self) -> bool:
        return self.tables is not None

    @property
    def version(self) -> str:
        """The version of PostgreSQL that the server is, or says that it is compatible with."""
        number = self.facts.can.version
        return f"{number // 10000}.{number % 10000}"

    @property
    def sessions(self) -> tuple[reading.OtherSession, ...]:
        """The sessions of others; neither ours nor the daemon of Citus."""
        target = self.facts.target
        return tuple(one for one in target.sessions if not one.citus) if target else ()

    @property
    def leftovers(self) -> tuple[Leftover, ...]:
        """What living commands are not busy with."""
        return tuple(_leftovers(self.facts, self.condition))

    @property
    def reason(self) -> str | None:
        """Why the database is not ready to be used; None if it is."""
        if self.condition != "complete":
            return describe(self)
        return None if self.connectable else self.error

    def as_json(self) -> dict[str, t.Any]:
        """Return the parts ``server``, ``database`` and ``leftovers`` of ``flask psql status --json``."""
        return {
            "server": {**_server_json(self.address, None), **_known_of_server(self)},
            "database": {**_database_json(self.dbname), **_known_of_database(self)},
            "leftovers": [item.as_json() for item in self.leftovers],
        }


def look(connector: Connector, *, address: str) -> Status:
    """Ask the server, or the target itself when the database to administer from is out of reach.

    :raises ServerError: if nobody can be asked: that is never "it does not exist".
    """
    dbname = connector.uri.dbname
    with _any_session(connector) as session:
        facts = reading.read(session, dbname)
        status = Status(dbname=dbname, address=address, facts=facts)
        if session.dbname == dbname:
            return _look_inside(status, session)
    if status.condition in ("missing", "invalid", "closed", "blocked"):
        return dataclasses.replace(status, error=describe(status))
    if status.at_work:  # a session could get in the way of its renaming
        return dataclasses.replace(status, error="a command is at work on it")
    try:
        with connector.target() as session:
            return _look_inside(status, session)
    except ServerError as error:
        return dataclasses.replace(status, error=str(error))


def out_of_reach(dbname: str, *, address: str, error: str) -> dict[str, t.Any]:
    """Return the same as :meth:`Status.as_json` of a server that could not be asked."""
    return {
        "server": _server_json(address, error),
        "database": _database_json(dbname),
        "leftovers": [],
    }


def describe(status: Status) -> str:
    """Return the condition of the database in words."""
    busy = status.at_work
    words: dict[Condition, str] = {
        "missing": "does not exist" + ("; a command is making it" if busy else ""),
        "complete": "complete" + ("; a command is at work on it" if busy else ""),
        "unfinished": "unfinished: a command " + ("is at work on it" if busy else "was interrupted"),
        "blocked": "closed to connections by a command that " + ("is at work" if busy else "was interrupted"),
        "aside": "set aside by an interrupted reset",
        "invalid": "unusable: a DROP of it was interrupted",
        "closed": "closed to connections (ALLOW_CONNECTIONS false)",
    }
    return words[status.condition]


def _any_session(connector: Connector) -> Session:
    try:
        return connector.admin()
    except ServerUnreachable:
        raise
    except CannotConnect as first:
        try:
            session = connector.target()
        except CannotConnect:
            raise first from None
        connector.reporter.detail(f"asking the database itself, for the other is out of reach: {first}")
        return session


def _look_inside(status: Status, session: Session) -> Status:
    tables = int(session.value(_TABLES))
    facts = status.facts
    if session.value("SELECT to_regclass('pg_catalog.pg_dist_node')") is not None:
        nodes = int(session.value("SELECT count(*) FROM pg_catalog.pg_dist_node WHERE groupid <> 0"))
        can = from_answers(facts.version_text, facts.can.version, citus_nodes=nodes)
        facts = dataclasses.replace(facts, can=can)
    return dataclasses.replace(status, facts=facts, tables=tables, error=None)


def _leftovers(facts: Facts, condition: Condition) -> t.Iterator[Leftover]:
    target = facts.target
    asides = [item for item in facts.asides if not item.maker_alive]
    if target is not None and not target.maker_alive:
        if condition == "unfinished":
            mend = "flask psql recover" if asides else "flask psql setup"
            yield Leftover(target.name, "unfinished", target.size, mend)
        elif condition == "blocked":
            yield Leftover(target.name, "blocked", target.size, "flask psql recover")
        elif condition == "invalid":
            yield Leftover(target.name, "invalid", target.size, "flask psql drop")
    superseded = condition not in ("missing", "unfinished")
    for item in asides:
        discard = " --discard" if superseded or item.invalid else ""
        yield Leftover(item.name, "aside", item.size, f"flask psql recover{discard}")
    for item in facts.unmade:
        yield Leftover(item.name, "unmade", item.size, "flask psql recover")


def _server_json(address: str, error: str | None) -> dict[str, t.Any]:
    unknown = dict.fromkeys(("product", "version", "role", "standby"))
    return {"reachable": error is None, "address": address, **unknown, "error": error}


def _known_of_server(status: Status) -> dict[str, t.Any]:
    facts = status.facts
    return {
        "product": facts.can.product,
        "version": status.version,
        "role": facts.role.name,
        "standby": facts.standby,
    }


def _database_json(dbname: str) -> dict[str, t.Any]:
    keys = ("exists", "condition", "at_work", "connectable", "error", "owner", "encoding", "size_bytes")
    return {"name": dbname, **dict.fromkeys((*keys, "tables", "connections", "sessions", "protected"))}


def _known_of_database(status: Status) -> dict[str, t.Any]:
    target = status.facts.target
    known = {"exists": target is not None, "condition": status.condition, "at_work": status.at_work}
    return known if target is None else {**known, **_known_of_target(status, target)}


def _known_of_target(status: Status, target: Database) -> dict[str, t.Any]:
    return {
        "connectable": status.connectable,
        "error": status.error,
        "owner": target.owner,
        "encoding": target.encoding,
        "size_bytes": target.size,
        "tables": status.tables,
        "connections": len(status.sessions),
        "sessions": [
            {"pid": one.pid, "user": one.user, "application": one.application, "address": one.address}
            for one in status.sessions
        ],
        "protected": target.state is State.PROTECTED,
    }


# Partitions belong to a table that is counted, and an extension's tables come and go with it.
_TABLES = """
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = CAST('pg_catalog.pg_class' AS pg_catalog.regclass) AND d.objid = c.oid AND d.deptype = 'e')
"""
