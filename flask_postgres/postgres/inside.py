"""What lies in a database: schemas and the objects in them, without those of the system and of extensions.

A reset inside the database moves them to schemas of ours and back. Every object that lies in a schema depends
on it in ``pg_depend``, and every kind of object that does can be moved by ``ALTER … SET SCHEMA``.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from . import marks
from .marks import Mark, State
from .session import Session


class Item(t.NamedTuple):
    """An object in a schema.

    :param kind: as ``pg_identify_object`` names it: ``table``, ``function``…
    :param identity: the object as SQL writes it: with its schema, quoted, a function with its arguments.
    :param owned: whether our role may move and drop it.
    :param inner: whether it belongs to another object, as the functions of a range type do.
    """

    schema: str
    kind: str
    identity: str
    owned: bool
    inner: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A schema.

    :param comment: what others wrote; our mark is in ``mark``.
    :param mark: says what a schema of ours holds; one that does not count is left out.
    :param shared: whether an extension, or an object of one, lies in it.
    """

    name: str
    owned: bool = True
    comment: str | None = None
    mark: Mark | None = None
    shared: bool = False

    @property
    def aside(self) -> bool:
        """Whether it holds what a reset has set aside."""
        return self.mark is not None and self.mark.state is State.ASIDE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What lies in one database.

    :param oid: of the database.
    :param all_schemas: those that reset has set aside are among them.
    :param extensions: those that our role may drop.
    :param stays: what is in no schema, in words: a reset inside the database does not touch it.
    :param may_create: whether our role may create schemas.
    """

    oid: int = 0
    all_schemas: tuple[Schema, ...] = ()
    all_items: tuple[Item, ...] = ()
    extensions: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    may_create: bool = True

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """The schemas of the app."""
        return tuple(schema for schema in self.all_schemas if not schema.aside)

    @property
    def asides(self) -> tuple[Schema, ...]:
        """Those that hold what a reset has set aside."""
        return tuple(schema for schema in self.all_schemas if schema.aside)

    @property
    def items(self) -> tuple[Item, ...]:
        """The objects in the schemas of the app."""
        names = {schema.name for schema in self.schemas}
        return tuple(item for item in self.all_items if item.schema in names)

    @property
    def empty(self) -> bool:
        """Whether the app has nothing in the database."""
        return not self.items and not self.asides

    def of(self, schema: Schema) -> tuple[Item, ...]:
        """Return the objects in one schema."""
        return tuple(item for item in self.all_items if item.schema == schema.name)

    def has_tables(self, schemas: t.Iterable[Schema]) -> bool:
        """Tell whether there is a table in one of these schemas."""
        names = {schema.name for schema in schemas}
        return any(item.schema in names and item.kind.endswith("table") for item in self.all_items)


def read(session: Session, *, server: str | None) -> Inside:
    """Return what lies in the session's database.

    :param server: the system identifier: a mark of another server does not count.
    """
    answer = session.value(_QUERY, doing="read what the database holds")
    raw: dict[str, t.Any] = answer if isinstance(answer, dict) else json.loads(answer)
    return Inside(
        oid=raw["oid"],
        all_schemas=tuple(_schema(each, raw["oid"], server) for each in raw["schemas"] or ()),
        all_items=tuple(Item(**each) for each in raw["items"] or ()),
        extensions=tuple(raw["extensions"] or ()),
        stays=tuple(raw["stays"] or ()),
        may_create=raw["may_create"],
    )


def _schema(raw: dict[str, t.Any], oid: int, server: str | None) -> Schema:
    comment, mark = marks.split(raw["comment"])
    counts = mark is not None and raw["ours"] and mark.oid == oid and mark.server == server
    return Schema(
        name=raw["name"],
        owned=raw["owned"],
        comment=comment,
        mark=mark if counts and marks.is_ours(raw["name"]) else None,
        shared=raw["shared"],
    )


# The order of the objects is the one in which they can be moved: the name of a function has its arguments'
# types in it, and those are still where they were then. A sequence that a column owns moves with its table.
# A mark counts on a schema of our role's, or of the database's owner's: anybody can comment on his own.
_QUERY = """
WITH namespace AS (
  SELECT n.oid, n.nspname, n.nspowner FROM pg_catalog.pg_namespace n
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e
      WHERE e.classid = CAST('pg_catalog.pg_namespace' AS regclass) AND e.objid = n.oid AND e.deptype = 'e')
), member AS (
  SELECT d.classid, d.objid, n.nspname, i.type, i.identity,
    EXISTS (SELECT 1 FROM pg_catalog.pg_depend e
      WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e') AS of_extension,
    EXISTS (SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid
      AND (e.refclassid, e.refobjid) <> (d.classid, d.objid) AND e.deptype IN ('i', 'a')) AS inner,
    CASE CAST(CAST(d.classid AS regclass) AS text)
      WHEN 'pg_class' THEN (SELECT o.relowner FROM pg_catalog.pg_class o WHERE o.oid = d.objid)
      WHEN 'pg_type' THEN (SELECT o.typowner FROM pg_catalog.pg_type o WHERE o.oid = d.objid)
      WHEN 'pg_proc' THEN (SELECT o.proowner FROM pg_catalog.pg_proc o WHERE o.oid = d.objid)
      WHEN 'pg_collation' THEN (SELECT o.collowner FROM pg_catalog.pg_collation o WHERE o.oid = d.objid)
      WHEN 'pg_statistic_ext' THEN
        (SELECT o.stxowner FROM pg_catalog.pg_statistic_ext o WHERE o.oid = d.objid)
      WHEN 'pg_operator' THEN (SELECT o.oprowner FROM pg_catalog.pg_operator o WHERE o.oid = d.objid)
      WHEN 'pg_opclass' THEN (SELECT o.opcowner FROM pg_catalog.pg_opclass o WHERE o.oid = d.objid)
      WHEN 'pg_opfamily' THEN (SELECT o.opfowner FROM pg_catalog.pg_opfamily o WHERE o.oid = d.objid)
      WHEN 'pg_conversion' THEN (SELECT o.conowner FROM pg_catalog.pg_conversion o WHERE o.oid = d.objid)
      WHEN 'pg_ts_config' THEN (SELECT o.cfgowner FROM pg_catalog.pg_ts_config o WHERE o.oid = d.objid)
      WHEN 'pg_ts_dict' THEN (SELECT o.dictowner FROM pg_catalog.pg_ts_dict o WHERE o.oid = d.objid)
    END AS owner
  FROM namespace n JOIN pg_catalog.pg_depend d
    ON d.refclassid = CAST('pg_catalog.pg_namespace' AS regclass) AND d.refobjid = n.oid AND d.deptype = 'n'
  CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
), me AS (
  SELECT r.oid, r.rolsuper, b.oid AS database, b.datdba FROM pg_catalog.pg_roles r, pg_catalog.pg_database b
  WHERE r.rolname = current_user AND b.datname = pg_catalog.current_database()
)
SELECT json_build_object(
  'oid', CAST(me.database AS bigint),
  'may_create', pg_catalog.has_database_privilege(me.database, 'CREATE'),
  'schemas', (SELECT json_agg(json_build_object(
      'name', n.nspname, 'owned', pg_catalog.pg_has_role(n.nspowner, 'USAGE'),
      'ours', n.nspowner IN (me.oid, me.datdba)
        OR (NOT me.rolsuper AND pg_catalog.pg_has_role(n.nspowner, 'USAGE')),
      'comment', pg_catalog.obj_description(n.oid, 'pg_namespace'),
      'shared', EXISTS (SELECT 1 FROM member m
        WHERE m.nspname = n.nspname AND (m.of_extension OR m.type = 'extension'))) ORDER BY n.nspname)
    FROM namespace n),
  'items', (SELECT json_agg(json_build_object(
      'schema', m.nspname, 'kind', m.type, 'identity', m.identity, 'inner', m.inner,
      'owned', me.rolsuper OR coalesce(pg_catalog.pg_has_role(m.owner, 'USAGE'), false))
      ORDER BY m.type NOT IN ('operator', 'function', 'procedure', 'aggregate'), m.type = 'type',
        m.nspname, m.type, m.identity)
    FROM member m
    WHERE NOT m.of_extension AND m.type <> 'extension' AND NOT (m.inner AND m.type = 'sequence')),
  'extensions', (SELECT json_agg(x.extname ORDER BY x.extname) FROM pg_catalog.pg_extension x
    WHERE pg_catalog.pg_has_role(x.extowner, 'USAGE')),
  'stays', (SELECT json_agg(s.what ORDER BY s.what) FROM (
    SELECT 'the publication "' || p.pubname || '"' FROM pg_catalog.pg_publication p
    UNION ALL SELECT 'the foreign server "' || f.srvname || '"' FROM pg_catalog.pg_foreign_server f
    UNION ALL SELECT count(*) || ' large objects' FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0
  ) s(what))
) FROM me
"""
