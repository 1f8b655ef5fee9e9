"""What a database holds."""

from __future__ import annotations

from .session import Session
from .tables import quoted


def count_tables(session: Session) -> int:
    """Return how many tables the session's database has, without partitions and those of extensions."""
    return int(session.value(_TABLES))


def summary(session: Session) -> str:
    """Return how many tables and rows the session's database has, in words.

    Rows are those that the server's statistics know of, so nothing is read: no figure for every purpose.
    """
    tables, rows = count_tables(session), int(session.value(_LIVE_ROWS))
    words = [f"{tables:,} table{'s' * (tables != 1)}"]
    if rows:
        words.append(f"{rows:,} row{'s' * (rows != 1)}")
    return ", ".join(words)


def holds_rows(session: Session, *, but_aside: bool = False) -> bool:
    """Tell whether a table in the session's database may hold a row; Alembic's version table aside.

    The sizes of files tell, so no table has to be read: one without a single page holds no row, and one whose
    rows were all deleted counts as holding some. Large objects count as rows.

    :param but_aside: leave out what a reset inside the database has set aside.
    """
    return bool(session.value(_HOLDS_ROWS, all=not but_aside))


def revision(session: Session) -> str | None:
    """Return at which revision of Alembic the session's database is; None where it has no version table."""
    found = session.rows(_VERSION_TABLE)
    if not found:
        return None
    rows = session.rows(f"SELECT version_num FROM {quoted(*found[0])} ORDER BY version_num")
    return ", ".join(str(version) for (version,) in rows) or None


_VERSION_TABLE = """
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'alembic_version' AND c.relkind = 'r'
  AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
ORDER BY n.nspname = 'public' DESC, n.nspname LIMIT 1
"""

_LIVE_ROWS = """
SELECT CAST(coalesce(sum(s.n_live_tup), 0) AS bigint) FROM pg_catalog.pg_stat_user_tables s
WHERE s.relname <> 'alembic_version' AND s.schemaname !~ '~old~[0-9a-f]{8}$'
"""

_HOLDS_ROWS = """
SELECT EXISTS (
  SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm') AND c.relname <> 'alembic_version'
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND (:all OR n.nspname !~ '~old~[0-9a-f]{8}$')
    AND pg_catalog.pg_relation_size(c.oid) > 0
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
      WHERE d.classid = CAST('pg_catalog.pg_class' AS pg_catalog.regclass)
        AND d.objid = c.oid AND d.deptype = 'e')
) OR EXISTS (SELECT 1 FROM pg_catalog.pg_largeobject_metadata)
"""

# Partitions belong to a table that is counted, and an extension's tables come and go with it.
_TABLES = """
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_|~old~[0-9a-f]{8}$'
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = CAST('pg_catalog.pg_class' AS pg_catalog.regclass)
      AND d.objid = c.oid AND d.deptype = 'e')
"""
