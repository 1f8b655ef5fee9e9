"""Metadata that has all of what PostgreSQL and SQLAlchemy can carry."""

from __future__ import annotations

import contextlib
import typing as t
import warnings

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

EXTENSION = "pg_trgm"
SQLALCHEMY_2_1 = hasattr(sa, "CreateView")


def everything() -> sa.MetaData:
    """Return fresh metadata with all of it, and no listener that is Python code of the app."""
    metadata = sa.MetaData()
    _schemas_and_extension(metadata)
    _types(metadata)
    _columns(metadata)
    _sequences(metadata)
    _constraints(metadata)
    _indexes(metadata)
    _cycle(metadata)
    _comments_and_odd_names(metadata)
    _storage(metadata)
    _statements(metadata)
    return metadata


def small(count: int) -> sa.MetaData:
    """Return a chain of plain tables, each with a key, a text, an index and a reference."""
    metadata = sa.MetaData()
    for number in range(count):
        parent = sa.ForeignKey(f"item_{number - 1}.id") if number else None
        sa.Table(
            f"item_{number}",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.Text, index=True),
            *([sa.Column("parent", sa.Integer, parent)] if parent is not None else ()),
        )
    return metadata


def _schemas_and_extension(metadata: sa.MetaData) -> None:
    for schema in ("shop", "My Schema"):
        sa.event.listen(metadata, "before_create", sa.schema.CreateSchema(schema, if_not_exists=True))
    sa.event.listen(metadata, "before_create", sa.DDL(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}"))


def _types(metadata: sa.MetaData) -> None:
    shared = sa.Enum("red", "green", "it's 5% :x", name="colour", metadata=metadata)
    late = sa.Enum("small", "big", name="size")
    in_schema = sa.Enum("a", "b", name="grade", schema="shop")
    odd = sa.Enum("x", name='Odd "Type"')
    positive = pg.DOMAIN("positive", sa.Integer, check="VALUE > 0", not_null=True)
    percent = pg.DOMAIN(
        "percent_text", sa.Text, default="5%", check="VALUE LIKE '%\\%' ESCAPE '\\'", schema="shop"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SADeprecationWarning)
        inherited = sa.Enum("on", "off", name="switch", inherit_schema=True)
    sa.Table(
        "painted",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("colour", shared, server_default="red"),
        sa.Column("size", late),
        sa.Column("sizes", pg.ARRAY(late)),
        sa.Column("grade", in_schema),
        sa.Column("odd", odd),
        sa.Column("varying", sa.String(9).with_variant(pg.ENUM("v", "w", name="variant"), "postgresql")),
        sa.Column("plain", sa.Enum("p", "q", name="plain", native_enum=False, create_constraint=True)),
        sa.Column("flag", sa.Boolean(create_constraint=True, name="flag_ok")),
        sa.Column("positive", positive),
        sa.Column("percent", percent),
    )
    sa.Table(
        "painted_too",
        metadata,
        sa.Column("colour", shared),
        sa.Column("size", late),
        sa.Column("p", positive),
    )
    sa.Table("switches", metadata, sa.Column("state", inherited), schema="shop")
    sa.Enum("never", "used", name="unused_by_tables", metadata=metadata)


def _columns(metadata: sa.MetaData) -> None:
    sa.Table(
        "columns",
        metadata,
        sa.Column(
            "id", sa.BigInteger, sa.Identity(always=True, start=42, increment=3, cycle=True, maxvalue=999)
        ),
        sa.Column("other", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("price", sa.Numeric(10, 2), server_default=sa.text("1.5")),
        sa.Column("double", sa.Numeric, sa.Computed("price * 2 % 7", persisted=True)),
        sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column(
            "text", sa.String(50, collation="C"), server_default="50% off, %s %(x)s :x ::y \\ 'quoted' %%"
        ),
        sa.Column("document", pg.JSONB, server_default=sa.text("""'{"a": "5%", "b": [1]}'::jsonb""")),
        sa.Column("words", pg.TSVECTOR),
        sa.Column("numbers", pg.ARRAY(sa.Integer, dimensions=2)),
        sa.Column("key", pg.UUID),
        sa.Column("during", pg.TSTZRANGE),
        sa.Column("address", pg.INET),
        sa.Column("span", pg.INTERVAL(fields="DAY TO SECOND")),
        sa.Column("raw", sa.LargeBinary),
        sa.Column("xmin", sa.Integer, system=True),
        sa.PrimaryKeyConstraint("id", name="columns_key"),
    )


def _sequences(metadata: sa.MetaData) -> None:
    alone = sa.Sequence("alone", start=5, increment=2, minvalue=1, maxvalue=99, cache=3, metadata=metadata)
    shared = sa.Sequence("shared_numbers", schema="shop", data_type=sa.Integer)
    sa.Sequence('Odd "Sequence" 5%', metadata=metadata)
    sa.Table(
        "numbered",
        metadata,
        sa.Column("id", sa.Integer, shared, server_default=shared.next_value(), primary_key=True),
        sa.Column("client_side", sa.Integer, sa.Sequence("client_side_numbers")),
        sa.Column("left_out", sa.Integer, sa.Sequence("left_out_numbers", optional=True)),
        sa.Column("alone", sa.Integer, server_default=alone.next_value()),
    )
    sa.Table("numbered_too", metadata, sa.Column("id", sa.Integer, shared, primary_key=True), schema="shop")


def _constraints(metadata: sa.MetaData) -> None:
    room = sa.Table(
        "rooms",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("floor", sa.Integer, sa.CheckConstraint("floor % 13 <> 0", name="no_thirteen")),
        sa.Column("code", sa.Text, unique=True),
        sa.UniqueConstraint("floor", "code", name="once"),
        sa.UniqueConstraint("code", "id", name="later", deferrable=True, initially="DEFERRED"),
        schema="shop",
    )
    sa.Table(
        "bookings",
        metadata,
        sa.Column("room", sa.ForeignKey(room.c.id, ondelete="CASCADE", onupdate="SET NULL", match="FULL")),
        sa.Column("floor", sa.Integer),
        sa.Column("code", sa.Text),
        sa.Column("box", pg.INT4RANGE),
        sa.ForeignKeyConstraint(
            ["floor", "code"], [room.c.floor, room.c.code], name="whole", deferrable=True
        ),
        pg.ExcludeConstraint(("box", "&&"), name="no_overlap", using="gist", where=sa.text("floor > 0")),
        sa.CheckConstraint(r"code NOT LIKE '%\:x%'", name="check_5%", comment="why: 5% of %s, :x"),
        sa.CheckConstraint("floor < 0", name="not_here").ddl_if(dialect="sqlite"),
        sa.CheckConstraint("floor < 900", name="here").ddl_if(callable_=_wants, state="yes"),
    )


def _wants(*_: object, state: object = None, **__: t.Any) -> bool:
    return state == "yes"


def _indexes(metadata: sa.MetaData) -> None:
    table = sa.Table(
        "indexed",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, index=True),
        sa.Column("email", sa.Text, unique=True, index=True),
        sa.Column("done", sa.Boolean),
        sa.Column("document", pg.JSONB),
    )
    name, document = table.c.name, table.c.document
    sa.Index("ix_expression", sa.func.lower(name), table.c.id.desc().nulls_last())
    sa.Index("ix_partial", table.c.id, unique=True, postgresql_where=(name.like("%5%:x%")) & ~table.c.done)
    sa.Index("ix_trigrams", name, postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"})
    sa.Index("ix_document", document, postgresql_using="gin", postgresql_ops={"document": "jsonb_path_ops"})
    sa.Index("ix_element", document["a"].astext)
    sa.Index("ix_include", table.c.id, postgresql_include=["name"], postgresql_with={"fillfactor": 50})
    sa.Index("ix_modulo", table.c.id % 7)
    with contextlib.suppress(sa.exc.ArgumentError):  # SQLAlchemy 2.0.16, PostgreSQL 15
        sa.Index("ix_nulls", table.c.email, unique=True, postgresql_nulls_not_distinct=True)
    sa.Index("ix_elsewhere", table.c.done).ddl_if(dialect="sqlite")


def _cycle(metadata: sa.MetaData) -> None:
    sa.Table(
        "chickens",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("egg", sa.ForeignKey("eggs.id", use_alter=True, name="hatched_from")),
    )
    sa.Table(
        "eggs",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("chicken", sa.ForeignKey("chickens.id", name="laid_by")),
        sa.Column("parent", sa.ForeignKey("eggs.id")),
    )
    for one, other in (("left", "right"), ("right", "left")):  # nobody says use_alter
        other_id = sa.ForeignKey(f"{other}.id", name=f"to_{other}")
        sa.Table(one, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("other", other_id))


def _comments_and_odd_names(metadata: sa.MetaData) -> None:
    sa.Table(
        'Odd "Table" 5% :x',
        metadata,
        sa.Column("select", sa.Integer, primary_key=True, comment="100% of :x; %s ' \\ \n-- two lines"),
        sa.Column('a "b" %s', sa.Text, index=True),
        sa.Column("a:b", sa.Text, server_default=""),
        comment="It's 5% /* of */ :everything; %%",
        schema="My Schema",
    )
    sa.Table(
        "user", metadata, sa.Column("order", sa.Integer, primary_key=True), sa.Column("Ünïcode", sa.Text)
    )


def _storage(metadata: sa.MetaData) -> None:
    sa.Table(
        "measured",
        metadata,
        sa.Column("at", sa.Date, primary_key=True),
        postgresql_partition_by="RANGE (at)",
    )
    part = sa.DDL(
        "CREATE TABLE measured_2026 PARTITION OF %(table)s FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    sa.event.listen(metadata.tables["measured"], "after_create", part)
    parent = sa.Table("a_parent", metadata, sa.Column("id", sa.Integer))
    child = sa.Table("a_child", metadata, sa.Column("more", sa.Text), postgresql_inherits="a_parent")
    child.add_is_dependent_on(parent)
    options: dict[str, t.Any] = {"postgresql_with": {"fillfactor": 70}} if SQLALCHEMY_2_1 else {}
    sa.Table("fast", metadata, sa.Column("id", sa.Integer), prefixes=["UNLOGGED"], **options)


def _statements(metadata: sa.MetaData) -> None:
    table = sa.Table("audited", metadata, sa.Column("id", sa.Integer), sa.Column("note", sa.Text))
    function = """
        CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.note := format('%%s; 5%%%% :x', NEW.id); RETURN NEW; END $$ -- the last word"""
    trigger = "CREATE TRIGGER stamp BEFORE INSERT ON %(fullname)s FOR EACH ROW EXECUTE FUNCTION stamp();"
    sa.event.listen(table, "before_create", sa.DDL(function).execute_if(dialect=("postgresql", "mysql")))
    sa.event.listen(table, "after_create", sa.DDL(trigger))
    sa.event.listen(table, "after_create", sa.DDL("nonsense").execute_if(dialect="sqlite"))
    yes = sa.DDL("COMMENT ON TABLE audited IS '%(what)s'", context={"what": "said yes"})
    sa.event.listen(table, "after_create", yes.execute_if(callable_=_wants, state="yes"))
    sa.event.listen(table, "after_create", sa.DDL("nonsense").execute_if(callable_=_wants, state="no"))
    view = sa.DDL("CREATE OR REPLACE VIEW a_types AS SELECT typname FROM pg_type WHERE typname LIKE 'a%%'")
    sa.event.listen(metadata, "after_create", view)
    sa.event.listen(metadata, "after_create", sa.DDL("SELECT 1"))
