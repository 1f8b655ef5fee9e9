"""Let SQLAlchemy's own ``create_all`` run against a connection that only takes notes."""

from __future__ import annotations

import copy
import re
import typing as t

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import ExecutableDDLElement

from .existing import Named, named
from .statement import NotBatchable, Statement, as_sent, head


def collect(
    connection: Connection,
    metadata: MetaData,
    tables: t.Sequence[Table] | None,
    existing: t.Collection[Named],
) -> tuple[Statement, ...]:
    """Return the statements that ``create_all`` would execute, in its order."""
    notes = _NoteTaker(connection, existing)
    try:
        metadata.create_all(t.cast("t.Any", notes), tables=tables)
    except NotBatchable:
        raise
    except Exception as error:
        # A model's mistake, or code of the app that wants more of a connection than this one has: with a
        # real one SQLAlchemy either succeeds or says what is wrong.
        raise NotBatchable(f"{type(error).__name__} while the statements were compiled") from error
    if notes.missed is not None:
        raise NotBatchable(notes.missed)
    return tuple(notes.statements)


class _NoteTaker:
    """Stands where SQLAlchemy expects a connection, and keeps what it is told to execute."""

    def __init__(self, connection: Connection, existing: t.Collection[Named]) -> None:
        self._connection = connection
        self.dialect = _answering(connection.dialect, set(existing))
        self.engine = connection.engine
        self.schema_for_object = connection.schema_for_object
        self.statements: list[Statement] = []
        self.missed: str | None = None

    def execute(self, statement: object, *parameters: object, **options: object) -> None:
        if not isinstance(statement, ExecutableDDLElement) or parameters or options:
            raise self._miss("execute")
        sql = as_sent(self._compile(statement))
        if _NOT_AMONG_OTHERS.search(sql):
            raise NotBatchable(f"it changes what the statements after it would find: {head(sql)}")
        self.statements.append(Statement.of(statement, sql))

    def _run_ddl_visitor(self, visitor: t.Callable[..., t.Any], element: object, **options: object) -> None:
        visitor(dialect=self.dialect, connection=self, **options).traverse_single(element)

    def _compile(self, statement: ExecutableDDLElement) -> str:
        options = {**statement.get_execution_options(), **self._connection.get_execution_options()}
        schemas = options.get("schema_translate_map")
        compiled: t.Any = statement.compile(dialect=self._connection.dialect, schema_translate_map=schemas)
        if not schemas:
            return str(compiled)
        # SQLAlchemy compiles placeholders for schemas, and renders them when it executes.
        return str(compiled.preparer._render_schema_translates(str(compiled), schemas))

    def __getattr__(self, name: str) -> t.NoReturn:
        raise self._miss(name)

    def _miss(self, name: str) -> NotBatchable:
        # Kept as well as raised: an app's "except Exception" must not turn it into an answer.
        self.missed = f"a listener, or a condition of a statement, calls {name} of the connection"
        return NotBatchable(self.missed)


def _answering(dialect: Dialect, existing: set[Named]) -> Dialect:
    """Return a copy of the dialect that answers from what was asked in advance.

    A type or sequence that is not there is about to be created, so the next one who asks finds it, as on
    a server. Tables are all asked for before the first is created.
    """

    def has(kind: t.Literal["table", "sequence", "type"], name: str, schema: str | None) -> bool:
        asked = named(kind, schema, name)
        found = asked in existing
        if kind != "table":
            existing.add(asked)
        return found

    def has_tables(
        _: object, names: t.Iterable[str], schema: str | None = None, **__: object
    ) -> t.Iterable[tuple[tuple[str | None, str], bool]]:
        return [((schema, name), has("table", name, schema)) for name in names]

    answering = copy.copy(dialect)
    vars(answering).update(
        has_multi_table=has_tables,  # SQLAlchemy 2.1
        has_table=lambda _, name, schema=None, **__: has("table", name, schema),  # 2.0
        has_sequence=lambda _, name, schema=None, **__: has("sequence", name, schema),
        has_type=lambda _, name, schema=None, **__: has("type", name, schema),
    )
    return answering


_NOT_AMONG_OTHERS = re.compile(
    r"""
    search_path | \bset \s+ (?:session\s+ | local\s+)* (?:role | authorization | schema) \b
    | \bdrop \s+ (?:type | domain | sequence | schema | owned) \b | \brename \s+ to \b
    | \b(?:commit | rollback) \s* (?: ; | \Z)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What exists, where, is asked before the first statement; SQLAlchemy asks for some of it in between."""
