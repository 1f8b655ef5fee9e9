"""The marks that Flask-Postgres leaves on databases, in ``COMMENT ON DATABASE``.

A comment can be read by any role from any database; copies made with ``TEMPLATE`` and dumps without
``--create`` do not carry it. A mark stands on the last line, under whatever comment was there::

    the user's own comment
    [flask-postgres:aside {"of": "shop", "token": "5f0c9a1b"}]
"""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import secrets
import typing as t

from ..uri import NAME_BYTES


class State(str, enum.Enum):
    """What a mark says of the database that bears it."""

    PROTECTED = "protected"
    """Nothing here drops it."""
    UNFINISHED = "unfinished"
    """Made by a command that has not come to its end."""
    ASIDE = "aside"
    """The former database, set aside by a reset that has not come to its end."""
    BLOCKED = "blocked"
    """Closed to new connections for as long as a command works on it."""
    KEPT = "kept"
    """The former database, kept by a command that has succeeded, for ``undo``."""
    SNAPSHOT = "snapshot"
    """A copy of a database, to come back to."""
    TEST = "test"
    """Made for a run of tests, which drops it at its end."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """One mark.

    :param state: what it says.
    :param of: the name that the database has, had or is to have.
    :param token: names the command that made the mark.
    :param allowed: whether connections were allowed before the command closed the database.
    :param superseded: whether another database has taken its place for good.
    :param moved: of a schema in which content of another is: whether that stayed, and its objects were moved.
    :param oid: the OID of the database that was marked; a restored or copied database has another.
    :param server: the system identifier of its server.
    :param at: when a database was kept, or copied: milliseconds since 1970 by the server's clock.
    :param label: what the user calls the snapshot.
    :param revision: at which revision of Alembic the snapshot is, if at any.
    """

    state: State
    of: str | None = None
    token: str | None = None
    allowed: bool = True
    superseded: bool = False
    moved: bool = False
    oid: int | None = None
    server: str | None = None
    at: int | None = None
    label: str | None = None
    revision: str | None = None

    def under(self, comment: str | None) -> str:
        """Return the comment with this mark below it."""
        values: dict[str, str | int] = {}
        if self.of is not None:
            values["of"] = self.of
        if self.token is not None:
            values["token"] = self.token
        if not self.allowed:
            values["allowed"] = False
        if self.superseded:
            values["superseded"] = True
        if self.moved:
            values["moved"] = True
        if self.oid is not None:
            values["oid"] = self.oid
        if self.server is not None:
            values["server"] = self.server
        if self.at is not None:
            values["at"] = self.at
        if self.label is not None:
            values["label"] = self.label
        if self.revision is not None:
            values["revision"] = self.revision
        line = f"[flask-postgres:{self.state.value} {json.dumps(values, ensure_ascii=False)}]"
        return f"{comment}\n{line}" if comment else line


class Signature(t.NamedTuple):
    """What a command writes into each of its marks.

    :param token: names the command.
    :param server: the server's system identifier; None where the server has none.
    :param at: the server's time when it was asked, in milliseconds since 1970.
    """

    token: str
    server: str | None = None
    at: int | None = None


def split(comment: str | None) -> tuple[str | None, Mark | None]:
    """Part a database's comment into what others wrote and our mark.

    Only a last line gives leave to drop anything, not one that somebody quotes. Protection fails closed:
    it counts on any line, and what cannot be read, such as the mark of a later version, counts as it.
    """
    if comment is None or _OPENING not in comment:
        return comment, None
    lines = comment.split("\n")
    read = [_read(line) for line in lines]
    for mark in read:
        if mark is not None and mark.state is State.PROTECTED:
            others = (
                line for line, its in zip(lines, read, strict=True) if its is None or its.state != mark.state
            )
            return "\n".join(others) or None, mark
    return (comment, None) if read[-1] is None else ("\n".join(lines[:-1]) or None, read[-1])


def new_token() -> str:
    """Return a token that no other command has: 8 hexadecimal digits."""
    return secrets.token_hex(4)


def name_for_new(dbname: str, token: str) -> str:
    """Return the name under which a database is made before it takes its own."""
    return _name(dbname, "new", token)


def name_for_old(dbname: str, token: str) -> str:
    """Return the name under which a database is set aside."""
    return _name(dbname, "old", token)


def name_for_snapshot(dbname: str, token: str) -> str:
    """Return the name of a copy of a database."""
    return _name(dbname, "snap", token)


def name_for_test(dbname: str, token: str) -> str:
    """Return the name of a database that tests use in the place of another."""
    return _name(dbname, "test", token)


def like_ours(dbname: str) -> str:
    """Return the pattern for LIKE of the names that are made for a database."""
    return re.sub(r"([\\%_])", r"\\\1", _cut(dbname)) + "~%~________"


def is_ours(name: str) -> bool:
    """Tell whether a name is of the shape that only Flask-Postgres makes."""
    return _OURS.search(name) is not None


def is_new(name: str) -> bool:
    """Tell whether a name is one under which a database is made."""
    return is_ours(name) and "~new~" in name[-_SUFFIX_BYTES:]


def may_be_of(name: str, dbname: str) -> bool:
    """Tell whether a name of ours can have been made for a database.

    It is the only trace when a command was killed between ``CREATE DATABASE`` and the mark. A long
    name is cut to make room, so two long names that begin alike cannot be told apart by it.
    """
    found = _OURS.search(name)
    return found is not None and name[: found.start()] == _cut(dbname)


_OPENING = "[flask-postgres:"
_LINE = re.compile(r"\[flask-postgres:(?P<state>[a-z]+) (?P<values>\{.*\})\]")
_OURS = re.compile(r"~(?:new|old|snap|test)~[0-9a-f]{8}\Z")
_SUFFIX_BYTES = len("~snap~") + 8


def _read(line: str) -> Mark | None:
    """Return the mark on a line; None when there is none."""
    text = line.strip()
    if not text.startswith(_OPENING):
        return None
    try:
        found = _LINE.fullmatch(text)
        values = json.loads(found["values"]) if found else {}
        mark = Mark(State(found["state"] if found else ""), **values)
    except (ValueError, TypeError, RecursionError):
        return Mark(State.PROTECTED)
    texts = (mark.of, mark.token, mark.server, mark.label, mark.revision)
    flags = (mark.allowed, mark.superseded, mark.moved)
    sound = all(value is None or isinstance(value, str) for value in texts) and {*map(type, flags)} == {bool}
    sound = sound and all(value is None or type(value) is int for value in (mark.oid, mark.at))
    return mark if sound else Mark(State.PROTECTED)


def _name(dbname: str, kind: str, token: str) -> str:
    return f"{_cut(dbname)}~{kind}~{token}"


def _cut(dbname: str) -> str:
    return dbname.encode()[: NAME_BYTES - _SUFFIX_BYTES].decode(errors="ignore")
