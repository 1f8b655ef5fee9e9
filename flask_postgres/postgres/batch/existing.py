"""What of the metadata is there already: one question for all of it."""

from __future__ import annotations

import typing as t

from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.sqltypes import SchemaType

from .fallback import failure
from .listeners import check_target, is_sqlalchemys, listeners, sequences


class Named(t.NamedTuple):
    """An object by the name that it is asked for; a schema of None means the search path."""

    kind: t.Literal["table", "sequence", "type"]
    schema: str | None
    name: str


def questions(connection: Connection, metadata: MetaData, tables: t.Sequence[Table]) -> set[Named]:
    """Return all that ``create_all`` may ask for, in the schemas that the connection translates to."""
    in_schema: t.Any = connection.schema_for_object
    return {
        *(named("table", in_schema(table), table.name) for table in tables),
        *(named("sequence", in_schema(found), found.name) for found in sequences(metadata, tables)),
        *(named("type", in_schema(found), found.name) for found in _types(connection, metadata, tables)),
    }


def named(kind: t.Literal["table", "sequence", "type"], schema: str | None, name: str | None) -> Named:
    """Return a name in plain text: SQLAlchemy's own carry whether to quote, and drivers refuse those."""
    return Named(kind, None if schema is None else str(schema), str(name))


def ask(connection: Connection, names: t.Collection[Named]) -> set[Named]:
    """Return those of the names that exist, by the rules of SQLAlchemy's ``has_table`` and its like."""
    if not names:
        return set()
    kinds, schemas, plain = (list(column) for column in zip(*names, strict=True))
    try:
        rows = connection.execute(_EXISTING, {"kinds": kinds, "schemas": schemas, "names": plain})
        return {Named(*row) for row in rows}
    except DBAPIError as error:
        raise failure(error, doing="ask which tables exist") from error


def _types(connection: Connection, metadata: MetaData, tables: t.Sequence[Table]) -> list[SchemaType]:
    """Return the enums and domains that SQLAlchemy's own listeners would create."""
    recorder = _TypeRecorder(connection)
    for target in (metadata, *tables):
        for listener in listeners(target, "before_create"):
            if is_sqlalchemys(listener):
                listener(target, recorder, checkfirst=True)
    return recorder.types


class _TypeRecorder:
    """A connection as far as those listeners need one: it notes the type that is to be created."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        self.types: list[SchemaType] = []

    def _run_ddl_visitor(self, _: object, element: SchemaType, **__: object) -> None:
        check_target(element)
        self.types.append(element)


_EXISTING = text(
    """
    SELECT asked.kind, asked.schema, asked.name
    FROM unnest(CAST(:kinds AS text[]), CAST(:schemas AS text[]), CAST(:names AS text[]))
        AS asked (kind, schema, name)
    WHERE CASE WHEN asked.kind = 'type' THEN EXISTS (
        SELECT 1
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typname = asked.name
            AND CASE WHEN asked.schema IS NULL
                THEN pg_catalog.pg_type_is_visible(t.oid) AND n.nspname <> 'pg_catalog'
                ELSE n.nspname = asked.schema END
    ) ELSE EXISTS (
        SELECT 1
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = asked.name
            AND CASE WHEN asked.kind = 'sequence'
                THEN c.relkind = 'S' ELSE c.relkind IN ('r', 'p', 'f', 'v', 'm') END
            AND CASE WHEN asked.schema IS NULL
                THEN pg_catalog.pg_table_is_visible(c.oid) AND n.nspname <> 'pg_catalog'
                ELSE n.nspname = asked.schema END
    ) END
    """
)
