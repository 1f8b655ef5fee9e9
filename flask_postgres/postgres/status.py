"""What can be told of the target and its server, for people and for scripts; nothing is changed."""

from __future__ import annotations

import dataclasses
import typing as t

from ..errors import ServerError
from ..remedies import Command, Sql
from . import catalogue, contents, ddl, inside
from .admin import Connector
from .capabilities import from_answers
from .facts import Facts, OtherSession
from .marks import State
from .session import Session

Condition = t.Literal["missing", "empty", "complete", "unfinished", "blocked", "aside", "invalid", "closed"]
"""The state of the target. One that is ``unfinished`` or ``blocked`` may be a living command's work."""


@dataclasses.dataclass(frozen=True, slots=True)
class Leftover:
    """What an interrupted command has left, and what removes it or puts it back.

    :param kind: ``aside`` is a former database, ``kept`` one that no ``undo`` swaps back any more,
        ``inside`` a schema with what the database held before,
        ``unmade`` the beginning of a new one, ``foreign`` a database that only its name makes look like one
        of these; the others are the target's own condition.
    """

    name: str
    kind: t.Literal[
        "aside", "unmade", "unfinished", "blocked", "invalid", "foreign", "inside", "kept", "test"
    ]
    size: int | None
    remedy: Command | Sql


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of one database and its server.

    :param tables: how many tables it has, without partitions and those of extensions; None when the
        database could not be asked.
    :param error: why no session could be opened on the database, which is there.
    :param shares: whether a pooler in between gives each transaction another process of the server.
    """

    dbname: str
    facts: Facts
    tables: int | None = None
    error: str | None = None
    shares: bool = False

    @property
    def condition(self) -> Condition:
        target = self.facts.target
        if target is None:
            return "missing"
        if target.invalid:
            return "invalid"
        if target.state in (State.UNFINISHED, State.BLOCKED, State.ASIDE):
            return t.cast("Condition", target.state.value)
        content = self.facts.inside
        if content is not None and any(
            schema.mark and not schema.mark.superseded for schema in content.asides
        ):
            return "unfinished"
        if content is not None and content.empty:
            return "empty"
        return "complete" if target.allow_connections else "closed"

    @property
    def at_work(self) -> bool:
        """Whether a living command is making the database, or putting another in its place."""
        target = self.facts.target
        marked = [*self.facts.relatives, *([target] if target and target.mark else [])]
        content = self.facts.inside
        inside = {schema.mark.token for schema in content.asides if schema.mark} if content else set()
        return any(item.maker_alive for item in marked) or bool(inside & self.facts.alive)

    @property
    def connectable(self) -> bool:
        return self.tables is not None

    @property
    def version(self) -> str:
        """The version of PostgreSQL that the server is, or says that it is compatible with."""
        number = self.facts.can.version
        return f"{number // 10000}.{number % 10000}"

    @property
    def sessions(self) -> tuple[OtherSession, ...]:
        """The sessions of others; neither our own nor the daemon of Citus."""
        target = self.facts.target
        return tuple(one for one in target.sessions if one.counted) if target else ()

    @property
    def leftovers(self) -> tuple[Leftover, ...]:
        """What living commands are not busy with."""
        return tuple(_leftovers(self.facts, self.condition))

    @property
    def reason(self) -> str | None:
        """Why the database is not ready to be used; None if it is."""
        if self.condition not in ("complete", "empty"):
            verb = "" if self.condition == "missing" else "is "
            return f'database "{self.dbname}" {verb}{describe(self)}'
        return None if self.connectable else self.error


def look(connector: Connector) -> Status:
    """Ask the server, or the target itself when the database to administer from is out of reach.

    :raises ServerError: if nobody can be asked: that is never "it does not exist".
    """
    dbname = connector.uri.dbname
    with connector.anywhere() as session:
        facts = catalogue.read(session, dbname, program=connector.program)
        status = Status(dbname=dbname, facts=facts, shares=connector.shares(session))
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


def describe(status: Status) -> str:
    """Return the condition of the database in words."""
    busy = status.at_work
    words: dict[Condition, str] = {
        "missing": "does not exist" + ("; a command is making it" if busy else ""),
        "empty": "empty: nothing of the app is in it" + _stale(status),
        "complete": "complete" + ("; a command is at work on it" if busy else "") + _stale(status),
        "unfinished": "unfinished: a command " + ("is at work on it" if busy else "was interrupted"),
        "blocked": "closed to connections by a command that " + ("is at work" if busy else "was interrupted"),
        "aside": "set aside by an interrupted reset",
        "invalid": "unusable: a DROP of it was interrupted",
        "closed": "closed to connections (ALLOW_CONNECTIONS false)",
    }
    return words[status.condition]


def _stale(status: Status) -> str:
    target = status.facts.target
    if target is None or target.stale_mark is None:
        return ""
    return f'; its mark "{target.stale_mark.state.value}" was made for another database and does not count'


def _look_inside(status: Status, session: Session) -> Status:
    tables = contents.count_tables(session)
    facts = dataclasses.replace(status.facts, inside=inside.read(session, server=status.facts.server))
    if session.value("SELECT to_regclass('pg_catalog.pg_dist_node')") is not None:
        nodes = int(session.value("SELECT count(*) FROM pg_catalog.pg_dist_node WHERE groupid <> 0"))
        can = from_answers(facts.version_text, facts.can.version, citus_nodes=nodes)
        facts = dataclasses.replace(facts, can=can)
    if facts.target is not None and facts.target.abandoned:
        target = dataclasses.replace(facts.target, holds_rows=contents.holds_rows(session))
        facts = dataclasses.replace(facts, target=target)
    return dataclasses.replace(status, facts=facts, tables=tables, error=None)


def _leftovers(facts: Facts, condition: Condition) -> t.Iterator[Leftover]:
    target = facts.target
    asides = [item for item in facts.asides if not item.maker_alive]
    if target is not None and not target.maker_alive:
        if condition == "unfinished" and target.state is State.UNFINISHED:
            kept = Command("Restore the former one" if asides else "Keep it as it is", "recover")
            redone = Command("Redo it", "setup")
            remedy = kept if asides or target.holds_rows else redone
            yield Leftover(target.name, "unfinished", target.size, remedy)
        elif condition == "blocked":
            yield Leftover(target.name, "blocked", target.size, Command("Open it again", "recover"))
        elif condition == "invalid":
            yield Leftover(target.name, "invalid", target.size, Command("Remove it", "drop"))
    replaced = condition not in ("missing", "unfinished")
    drop, restore = Command("Drop it", "recover --discard"), Command("Restore it", "recover")
    for item in asides:
        superseded = replaced and item.mark is not None and item.mark.superseded
        yield Leftover(item.name, "aside", item.size, drop if superseded or item.invalid else restore)
    for item in facts.outdated:
        yield Leftover(item.name, "kept", item.size, drop)
    for schema in facts.inside.asides if facts.inside else ():
        if schema.mark and schema.mark.token not in facts.alive:
            yield Leftover(schema.name, "inside", None, drop if schema.mark.superseded else restore)
    for item in facts.unmade:
        kind: t.Literal["unmade", "test"] = "test" if item.state is State.TEST else "unmade"
        yield Leftover(item.name, kind, item.size, Command("Remove it", "recover"))
    for item in facts.foreign:
        statement = ddl.sql_text(ddl.DropDatabase(item.name))
        yield Leftover(item.name, "foreign", item.size, Sql("If it is not needed, run", statement))
