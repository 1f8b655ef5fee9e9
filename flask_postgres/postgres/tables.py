"""Tables as files of CSV: their names, their order, and their sequences."""

from __future__ import annotations

import csv
import typing as t

from sqlalchemy.dialects import postgresql

from .session import Session

# For no driver: that of psycopg2 would double every "%".
_PREPARER = postgresql.dialect(paramstyle="named").identifier_preparer  # type: ignore[no-untyped-call]


def quoted(*names: str) -> str:
    """Return the name of a table, or of a column, as it is written in SQL."""
    return ".".join(map(_PREPARER.quote_identifier, names))


def header(file: t.TextIO) -> list[str]:
    """Return the columns that the first line of a file of CSV names."""
    return [name.strip() for name in next(csv.reader(file), [])]


def copying(table: str, columns: t.Sequence[str]) -> str:
    """Return the statement that loads CSV into a table.

    :param table: as it is written in SQL.
    """
    named = ", ".join(map(quoted, columns))
    return f"COPY {table} ({named}) FROM STDIN WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')"


def saving(session: Session, table: str) -> str:
    """Return the statement that writes a table as CSV, its rows in the order of its primary key."""
    keys = session.rows(
        "SELECT a.attname FROM pg_catalog.pg_index i "
        "CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(n, o) "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n "
        "WHERE i.indisprimary AND i.indrelid = CAST(:table AS regclass) ORDER BY k.o",
        table=table,
    )
    columns = session.rows(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = CAST(:table AS regclass) "
        "AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        table=table,
    )
    named = ", ".join(quoted(name) for (name,) in columns)
    order = f" ORDER BY {', '.join(quoted(name) for (name,) in keys)}" if keys else ""
    query = f"SELECT {named} FROM {table}{order}"
    return f"COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')"


def in_order(session: Session, tables: t.Sequence[str]) -> list[str]:
    """Return tables so that each comes after those that its foreign keys refer to, else as they are.

    :param tables: as they are written in SQL.
    """
    oids = {session.value("SELECT CAST(to_regclass(:name) AS oid)", name=name): name for name in tables}
    rows = session.rows("SELECT conrelid, confrelid FROM pg_catalog.pg_constraint WHERE contype = 'f'")
    needs: dict[str, set[str]] = {name: set() for name in tables}
    for table, referred in rows:
        if table in oids and referred in oids and table != referred:
            needs[oids[table]].add(oids[referred])
    ordered: list[str] = []
    while len(ordered) < len(tables):
        rest = [name for name in tables if name not in ordered]
        ready = [name for name in rest if needs[name] <= {*ordered}]
        ordered += ready or rest  # a cycle: the server checks it
    return ordered


def advance_sequences(session: Session, table: str, columns: t.Sequence[str]) -> None:
    """Let the sequences of columns go on after the largest value that the table has now."""
    for column in columns:
        sequence = session.value("SELECT pg_get_serial_sequence(:table, :column)", table=table, column=column)
        if sequence is not None:
            name = quoted(column)
            session.value(
                f"SELECT setval(CAST(:sequence AS regclass), max({name})) FROM {table} "
                f"HAVING max({name}) > 0",
                sequence=sequence,
            )
