"""What ``flask psql status`` shows: a table for people, JSON for scripts."""

from __future__ import annotations

import dataclasses
import datetime
import json
import typing as t

from ..errors import FlaskPostgresError
from ..plans.preflight import sessions_text
from ..postgres.drivers import administrative, described
from ..postgres.facts import Database
from ..postgres.marks import State
from ..postgres.probe import address_text
from ..postgres.status import Leftover, Status, describe
from ..remedies import Remedy, for_shell
from ..sizes import size_text
from ..uri import PostgresUri
from .boundary import printable
from .confirm import embedded_text, kept_since

if t.TYPE_CHECKING:
    from ..app.migrations import MigrationState
    from ..embedded.info import ServerInfo

Row = t.Tuple[str, str]  # noqa: UP006 - evaluated at run time
Json = dict[str, t.Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is known of the target.

    :param status: None when the server could not be asked.
    :param error: why it could not.
    :param migrations: where the app's migrations stand; None when it has none, or the database cannot be
        asked; an error when they could not be read.
    :param filled_by: what would fill the database, in words; None when the app has nothing for it.
    :param embedded: the embedded server, when it is the one.
    """

    uri: PostgresUri
    status: Status | None = None
    error: FlaskPostgresError | None = None
    migrations: MigrationState | FlaskPostgresError | None = None
    filled_by: str | None = None
    embedded: ServerInfo | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the app cannot use the database as it is; none when it can."""
        if self.status is None:
            return (self.error.message if self.error else "the server could not be asked",)
        found = [self.status.reason]
        if isinstance(self.migrations, FlaskPostgresError):
            found.append(self.migrations.message)
        elif self.migrations is not None and self.migrations.behind:
            found.append("the migrations are behind")
        elif self.status.condition == "empty" and self.filled_by is not None:
            found.append(
                f'database "{self.status.dbname}" is empty: it was not initialized ({self.filled_by})'
            )
        return tuple(reason for reason in found if reason)

    @property
    def ready(self) -> bool:
        """Whether the database exists, is complete, lets us in, and has every migration."""
        return not self.reasons

    def as_json(self, hide: t.Callable[[str], str]) -> str:
        """Return the report for scripts; the keys are always there, null where nothing is known.

        :param hide: takes secrets out of a text. It must meet each value before it is written as JSON:
            afterwards a password may be spelt otherwise, or equal a piece of the syntax.
        """
        document = {
            "ready": self.ready,
            "reasons": list(self.reasons),
            "server": self._server_json(),
            "database": self._database_json(),
            "migrations": self._migrations_json(),
            "embedded": None if self.embedded is None else self.embedded.as_json(),
            "leftovers": [] if self.status is None else [_leftover(item) for item in self.status.leftovers],
        }
        return json.dumps(_each_text(document, hide), indent=2)

    def as_text(self, render: t.Callable[[Remedy], str] = for_shell) -> str:
        """Return the report as a table.

        :param render: renders the command that removes a leftover.
        """
        rows = [(name, printable(value)) for name, value in self._rows(render)]
        width = max(len(name) for name, _ in rows) + 2
        return "\n".join(f"{name + ':' if name else '':<{width}}{value}" for name, value in rows)

    def _server_json(self) -> Json:
        status = self.status
        return {
            "reachable": status is not None,
            "address": status.facts.address if status else address_text(self.uri),
            "product": status.facts.can.product if status else None,
            "version": status.version if status else None,
            "driver": described(str(administrative(self.uri).uri.driver)),
            "role": status.facts.role.name if status else None,
            "standby": status.facts.standby if status else None,
            "error": str(self.error) if self.error else None,
        }

    def _database_json(self) -> Json:
        status = self.status
        target = status.facts.target if status else None
        return {
            "name": self.uri.dbname,
            "exists": target is not None if status else None,
            "condition": status.condition if status else None,
            "at_work": status.at_work if status else None,
            "connectable": status.connectable if status else None,
            "error": status.error if status and target else None,
            "protected": target.state is State.PROTECTED if target else None,
            "owner": target.owner if target else None,
            "encoding": target.encoding if target else None,
            "size_bytes": target.size if target else None,
            "tables": status.tables if status else None,
            "connections": len(status.sessions) if status and target else None,
            "sessions": _sessions_json(status) if status and target else None,
            "former": _former_json(status.facts.former) if status and status.facts.former else None,
        }

    def _migrations_json(self) -> Json | None:
        found = self.migrations
        if found is None:
            return None
        if isinstance(found, FlaskPostgresError):
            unknown: Json = dict.fromkeys(("tool", "current", "heads", "behind"))
            return {**unknown, "error": str(found)}
        return {**dataclasses.asdict(found), "error": None}

    def _rows(self, render: t.Callable[[Remedy], str]) -> t.Iterator[Row]:
        status = self.status
        assert status is not None, "a server that cannot be asked is an error, not a table"
        product = f"{status.facts.can.product} {status.version}"
        standby = ", a standby" if status.facts.standby else ""
        if status.shares:
            standby += ", behind a pooler in transaction mode: commands need the server's own address"
        yield "server", f"{status.facts.address}, {product}{standby}{embedded_text(status.facts)}"
        if self.embedded is not None:
            yield "embedded", f"pid {self.embedded.pid}, data in {self.embedded.data_dir}"
        yield "driver", described(str(administrative(self.uri).uri.driver))
        yield "role", status.facts.role.name
        yield "database", status.dbname
        yield "state", describe(status)
        if status.facts.target is not None:
            yield from _target_rows(status, status.facts.target)
        if status.facts.former is not None:
            yield "former", f"kept since {kept_since(status.facts.former)}"
        if self.migrations is not None:
            yield "migrations", _migrations_text(self.migrations)
        yield from _leftover_rows(status, render)
        yield "ready", "yes" if self.ready else f"no: {'; '.join(self.reasons)}"


def _former_json(former: Database) -> Json:
    since = datetime.datetime.fromtimestamp(former.kept_at / 1000, datetime.timezone.utc)
    return {"name": former.name, "since": since.isoformat(timespec="seconds"), "size_bytes": former.size}


def _target_rows(status: Status, target: Database) -> t.Iterator[Row]:
    yield "size", size_text(target.size)
    yield "owner", target.owner
    count = len(status.sessions)
    yield "connections", f"{count}: {sessions_text(target)}" if count else "none"
    yield "tables", "unknown" if status.tables is None else str(status.tables)
    yield "protection", "protected" if target.state is State.PROTECTED else "not protected"


def _leftover_rows(status: Status, render: t.Callable[[Remedy], str]) -> t.Iterator[Row]:
    heading = "leftovers"
    if not status.leftovers:
        yield heading, "none"
    for item in status.leftovers:
        size = "" if item.size is None else f", {size_text(item.size)}"
        yield heading, f'"{item.name}", {_LEFT[item.kind]}{size}. {render(item.remedy)}'
        heading = ""


_LEFT = {
    "aside": "the former database, set aside",
    "test": "left by a run of tests",
    "unmade": "the beginning of a new one",
    "unfinished": "not complete",
    "blocked": "closed to connections",
    "invalid": "half dropped",
    "kept": "a former database, kept for an undo that is past",
    "inside": "what the database held, set aside",
    "foreign": "left alone, because it has no mark of this tool that counts",
}


def _migrations_text(found: MigrationState | FlaskPostgresError) -> str:
    if isinstance(found, FlaskPostgresError):
        return f"could not be read: {found}"
    at, heads = (", ".join(revisions) or "no revision" for revisions in (found.current, found.heads))
    return f"{found.tool}, at {at}, behind {heads}" if found.behind else f"{found.tool}, at {at} (up to date)"


def _leftover(item: Leftover) -> Json:
    return {
        "name": item.name,
        "kind": item.kind,
        "size_bytes": item.size,
        "command": for_shell(item.remedy).partition(": ")[2],
    }


def _sessions_json(status: Status) -> list[Json]:
    return [
        {"pid": one.pid, "user": one.user, "application": one.application, "address": one.address}
        for one in status.sessions
    ]


def _each_text(value: t.Any, change: t.Callable[[str], str]) -> t.Any:
    if isinstance(value, dict):
        return {key: _each_text(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each_text(item, change) for item in value]
    return change(value) if isinstance(value, str) else value
