"""Requests and plans as values."""

from __future__ import annotations

import dataclasses
import typing as t

from ..app.seeds.declared import Seed
from ..errors import FlaskPostgresError
from ..postgres.ddl import Clauses
from ..postgres.facts import Database, Facts
from ..remedies import Remedy
from . import preflight
from .steps import DiscardInside, DropDatabase, Exchange, Finish, PutBackInside, SetAsideInside, Step, Swap

if t.TYPE_CHECKING:
    from ..settings.schema import ResetWith
    from ..uri import PostgresUri

CommandName = t.Literal[
    "create",
    "init",
    "drop",
    "setup",
    "reset",
    "seed",
    "undo",
    "undo_discard",
    "snapshot",
    "restore",
    "drop_snapshot",
    "protect",
    "unprotect",
    "recover",
    "discard",
    "scaffold",
]


_DESTROYING = (
    "drop",
    "reset",
    "undo",
    "undo_discard",
    "restore",
    "drop_snapshot",
    "unprotect",
    "recover",
    "discard",
)


class Note(t.NamedTuple):
    """What the user should know, and what can be done about it."""

    text: str
    remedies: tuple[Remedy, ...] = ()


class AppRole(t.NamedTuple):
    """The role that the app connects as."""

    name: str
    password: str | None

    def __repr__(self) -> str:
        return f"AppRole({self.name!r})"


def app_role(uri: PostgresUri, admin_uri: PostgresUri | None) -> AppRole | None:
    """Return the role of the target's URI, where another one administers."""
    if admin_uri is None or uri.user is None or uri.user == admin_uri.user:
        return None
    return AppRole(uri.user, uri.password)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user wants done to one database.

    :param clauses: the clauses of CREATE DATABASE, by their settings' names.
    :param reset_with: what is replaced: the database, or what is in its schemas.
    :param undo_limit: the size in bytes up to which a database that is taken away is kept, for ``undo``.
    :param final: whether nothing is kept, whatever its size; a drop takes away what was kept before, too.
    :param snapshot: the name of the snapshot to save, restore or drop; None where none was typed.
    :param source: the database whose snapshot is restored, if that is not the target.
    :param among_others: whether the command is about other databases as well: all of them or none.
    :param how: what initializing will run, in words.
    :param seeds: what fills a new database, after that.
    :param replace_rows: whether the tables that files of those fill are emptied first.
    :param uri_typed: whether the user has typed the target's URI, and not left it to a configuration.
    :param app_role: the role of the target's URI, where another one administers.
    :param init_commits: whether some of what initializes may stay when it fails: our own create_all is one
        transaction.
    :param init_chosen: whether the user has typed what initializes.
    """

    command: CommandName
    dbname: str
    clauses: Clauses = dataclasses.field(default_factory=dict)
    schemas: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    overwrite: bool = False
    force_disconnect: bool = False
    if_missing: bool = False
    protect: bool = False
    reset_with: ResetWith = "auto"
    undo_limit: int = 1 << 30
    final: bool = False
    snapshot: str | None = None
    source: str | None = None
    among_others: bool = False
    seeds: tuple[Seed, ...] = ()
    replace_rows: bool = False
    how: str = "the app's own means"
    init_commits: bool = True
    init_chosen: bool = False
    app_role: AppRole | None = None
    uri_typed: bool = True

    @property
    def creation_clauses(self) -> Clauses:
        """The clauses of a database that takes no other's place: it belongs to the app."""
        return self.clauses if self.app_role is None else {"owner": self.app_role.name, **self.clauses}

    @property
    def may_destroy(self) -> bool:
        """Whether the command may need a confirmation."""
        return self.overwrite or self.replace_rows or self.command in _DESTROYING

    @property
    def initializes(self) -> bool:
        return self.command in ("init", "setup", "reset")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done, as data.

    :param outcome: what is said of the state that was found, before the steps.
    :param destroys: the database that will be gone afterwards; it needs a confirmation.
    :param rewrites: the database that will lose the rows of some tables; likewise.
    :param vacates: the database that is taken away and not lost; nobody may be connected to it either.
    :param unprotects: the database that nothing will protect afterwards; likewise.
    :param unfinished: the database that an interrupted command has left unfinished, and that will be gone;
        likewise, because somebody may have put rows into it.
    :param restores: the former database that will have the name again; it needs a confirmation where it
        belongs to another role than the database that has the name now.
    :param notes: what the user should know before confirming.
    """

    request: Request
    steps: tuple[Step, ...] = ()
    outcome: str | None = None
    destroys: Database | None = None
    rewrites: Database | None = None
    vacates: Database | None = None
    unprotects: Database | None = None
    unfinished: Database | None = None
    restores: Database | None = None
    notes: tuple[Note, ...] = ()
    lasting: bool = True
    """Whether what the steps do stays when they have come to their end."""

    @property
    def ends_no_sessions(self) -> bool:
        """Whether the sessions on what is destroyed must be closed by those who opened them."""
        gentle = ("recover", "discard", "undo_discard", "drop_snapshot")
        return not self.request.force_disconnect and self.request.command not in gentle

    @property
    def emptied(self) -> Database | None:
        """The database whose sessions must come to an end, if any."""
        return self.destroys or self.vacates

    @property
    def keeps(self) -> bool:
        """Whether what is taken away is kept, for ``undo``."""
        return any(isinstance(step, (Swap, Finish)) and step.keep for step in self.steps)

    @property
    def replaces(self) -> str | None:
        """The name of the database that is set aside, and put back if anything fails."""
        for step in self.steps:
            if isinstance(step, (Swap, SetAsideInside)):
                return step.old.name
            if isinstance(step, Exchange) and step.present is not None:
                return step.name
        return None

    @property
    def inside(self) -> bool:
        """Whether the database itself stays, and only what is in it is lost."""
        return any(isinstance(step, (SetAsideInside, PutBackInside, DiscardInside)) for step in self.steps)

    @property
    def at_stake(self) -> Database | None:
        """The database whose name the user has to type."""
        return self.destroys or self.rewrites or self.unprotects or self.unfinished or self.restores

    @property
    def doomed(self) -> tuple[Database, ...]:
        """Every database that only a confirmation may take away, or take the protection from."""
        dropped = (step.database for step in self.steps if isinstance(step, DropDatabase))
        return (*filter(None, (self.at_stake,)), *dropped)

    def faults(self, facts: Facts) -> t.Iterator[FlaskPostgresError]:
        """Yield every reason why the plan must not begin."""
        if self.steps:
            yield from preflight.server(facts)
        if facts.refused is not None:
            yield facts.refused
        if self.at_stake is not None and not self.request.uri_typed:
            yield from preflight.anothers_server(facts)
        for step in self.steps:
            yield from step.faults(facts)
        if self.emptied is not None and self.ends_no_sessions:
            yield from preflight.open_sessions(self.emptied)
