"""All that the system catalogues say about a database's own objects, without object identifiers."""

from __future__ import annotations

import sqlalchemy as sa

Catalogue = dict[str, list[tuple[object, ...]]]

OWN = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

QUERIES = {
    "schemas": f"SELECT nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace n WHERE {OWN}",
    "relations": f"""
        SELECT n.nspname, relname, relkind, relpersistence, reloptions, relispartition, relhassubclass,
            pg_get_partkeydef(c.oid), pg_get_expr(relpartbound, c.oid), obj_description(c.oid, 'pg_class'),
            CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE {OWN}""",
    "columns": f"""
        SELECT n.nspname, relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
            attgenerated, attislocal, attinhcount, collname, pg_get_expr(adbin, adrelid),
            col_description(c.oid, attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
            LEFT JOIN pg_attrdef d ON adrelid = c.oid AND adnum = attnum
            LEFT JOIN pg_collation l ON l.oid = attcollation
        WHERE {OWN} AND attnum > 0""",
    "constraints": f"""
        SELECT n.nspname, conrelid::regclass::text, contypid::regtype::text, conname, contype, condeferrable,
            condeferred, convalidated, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint')
        FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace WHERE {OWN}""",
    "indexes": f"""
        SELECT n.nspname, pg_get_indexdef(indexrelid), indisunique, indisprimary, indisvalid
        FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE {OWN}""",
    "types": f"""
        SELECT n.nspname, typname, typtype, format_type(typbasetype, typtypmod), typnotnull, typdefault,
            collname
        FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
            LEFT JOIN pg_collation l ON l.oid = typcollation
        WHERE {OWN}""",
    "labels": """
        SELECT enumtypid::regtype::text, array_agg(enumlabel::text ORDER BY enumsortorder)
        FROM pg_enum GROUP BY enumtypid""",
    "sequences": """
        SELECT seqrelid::regclass::text, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin,
            seqcache, seqcycle, (
                SELECT refobjid::regclass::text || refobjsubid FROM pg_depend
                WHERE objid = seqrelid AND deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass)
        FROM pg_sequence""",
    "inheritance": "SELECT inhrelid::regclass::text, inhparent::regclass::text, inhseqno FROM pg_inherits",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": f"""
        SELECT n.nspname, proname, prosrc FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
        WHERE {OWN}""",
    "extensions": "SELECT extname FROM pg_extension",
}


def catalogue(engine: sa.Engine) -> Catalogue:
    """Return each catalogue's rows, in an order that does not depend on identifiers."""
    with engine.connect() as connection:
        return {name: _rows(connection, query) for name, query in QUERIES.items()}


def _rows(connection: sa.Connection, query: str) -> list[tuple[object, ...]]:
    rows = connection.exec_driver_sql(query, execution_options={"no_parameters": True})
    return sorted((tuple(row) for row in rows), key=repr)
