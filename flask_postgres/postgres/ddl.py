"""The statements of a database's life, as SQLAlchemy constructs: every identifier is compiled.

``sql_text`` shows a statement as it is sent. Statements are executed as they are, by
``connection.execute``, so that each driver's own rules for ``%`` apply.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from sqlalchemy import String
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

CLAUSES = {
    "database_template": "TEMPLATE",
    "owner": "OWNER",
    "encoding": "ENCODING",
    "locale": "LOCALE",
    "lc_collate": "LC_COLLATE",
    "lc_ctype": "LC_CTYPE",
    "locale_provider": "LOCALE_PROVIDER",
    "icu_locale": "ICU_LOCALE",
    "tablespace": "TABLESPACE",
    "connection_limit": "CONNECTION LIMIT",
}
"""The clauses of CREATE DATABASE by the name of the setting that gives their value."""

_IDENTIFIERS = ("TEMPLATE", "OWNER", "TABLESPACE")
_KEYWORDS = ("LOCALE_PROVIDER",)

Clauses = t.Mapping[str, "str | int"]


@dataclasses.dataclass(frozen=True, eq=False)
class CreateDatabase(ExecutableDDLElement):
    """``CREATE DATABASE``, with clauses by their setting's name (see ``CLAUSES``).

    :param strategy: ``FILE_COPY`` or ``WAL_LOG`` (PostgreSQL 15 and later).
    """

    name: str
    clauses: Clauses = dataclasses.field(default_factory=dict)
    strategy: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class DropDatabase(ExecutableDDLElement):
    """``DROP DATABASE``; ``force`` ends other sessions (PostgreSQL 13 and later)."""

    name: str
    force: bool = False
    if_exists: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class RenameDatabase(ExecutableDDLElement):
    name: str
    to: str


@dataclasses.dataclass(frozen=True, eq=False)
class AllowConnections(ExecutableDDLElement):
    """Open or close a database to new connections, those of superusers too."""

    name: str
    allow: bool


@dataclasses.dataclass(frozen=True, eq=False)
class ConnectionLimit(ExecutableDDLElement):
    name: str
    limit: int


@dataclasses.dataclass(frozen=True, eq=False)
class CommentOnDatabase(ExecutableDDLElement):
    name: str
    comment: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class SetInDatabase(ExecutableDDLElement):
    """``ALTER DATABASE … SET``, or with a role ``ALTER ROLE … IN DATABASE … SET``."""

    name: str
    parameter: str
    value: str
    role: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class GrantOnDatabase(ExecutableDDLElement):
    """``GRANT`` to a role; None stands for PUBLIC."""

    name: str
    privilege: str
    role: str | None
    grantable: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class RevokeOnDatabase(ExecutableDDLElement):
    """``REVOKE ALL`` from a role; None stands for PUBLIC."""

    name: str
    role: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class RollbackPrepared(ExecutableDDLElement):
    """``ROLLBACK PREPARED``."""

    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class CreateRole(ExecutableDDLElement):
    """``CREATE ROLE … LOGIN``.

    :param verifier: what the server keeps of the password; None for a role without one.
    """

    name: str
    verifier: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class DropRole(ExecutableDDLElement):
    """``DROP ROLE``."""

    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class GrantRole(ExecutableDDLElement):
    """``GRANT`` of a role to ours.

    :param explicit: whether the server knows that a member may inherit rights and not act as the role (16).
    """

    name: str
    explicit: bool


@dataclasses.dataclass(frozen=True, eq=False)
class RevokeRole(ExecutableDDLElement):
    """``REVOKE`` of a role from ours."""

    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class CreateSchema(ExecutableDDLElement):
    """``CREATE SCHEMA``; an owner of None is the role that runs it.

    :param new: whether one that is there is an error.
    """

    name: str
    owner: str | None = None
    new: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class RenameSchema(ExecutableDDLElement):
    """``ALTER SCHEMA … RENAME TO``."""

    name: str
    to: str


@dataclasses.dataclass(frozen=True, eq=False)
class CommentOnSchema(ExecutableDDLElement):
    """``COMMENT ON SCHEMA``; None removes it."""

    name: str
    comment: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class DropSchema(ExecutableDDLElement):
    """``DROP SCHEMA``; cascading it takes what lies in it."""

    name: str
    cascade: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class SetSchema(ExecutableDDLElement):
    """``ALTER … SET SCHEMA`` of any object.

    :param kind: as ``pg_identify_object`` names it; so is the identity, which is SQL already.
    """

    kind: str
    identity: str
    to: str


@dataclasses.dataclass(frozen=True, eq=False)
class DropObjects(ExecutableDDLElement):
    """``DROP … IF EXISTS … CASCADE`` of objects of one kind; see :class:`SetSchema`."""

    kind: str
    identities: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class DropExtension(ExecutableDDLElement):
    """``DROP EXTENSION IF EXISTS … CASCADE``."""

    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class CreateExtension(ExecutableDDLElement):
    """``CREATE EXTENSION IF NOT EXISTS … CASCADE``."""

    name: str


def sql_text(statement: ExecutableDDLElement) -> str:
    """Return the statement as PostgreSQL receives it."""
    # A driver's own dialect would double every "%": for display, compile for no driver at all.
    return str(statement.compile(dialect=_DISPLAY)).strip()


_DISPLAY = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
_TEXT: t.Any = String()
_LIST_PARAMETERS = ("search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries")
_IDENTIFIER = re.compile(r'"((?:[^"]|"")*)"|([^\s,"]+)')


class _Compile(t.NamedTuple):
    """What a statement needs of a compiler: quoted names and literals."""

    compiler: DDLCompiler

    def name(self, identifier: str) -> str:
        return self.compiler.preparer.quote_identifier(identifier)

    def literal(self, text: str) -> str:
        # Not by the compiler, which may double backslashes; in our sessions they are plain characters.
        return str(_TEXT.literal_processor(self.compiler.dialect)(text))

    def raw(self, sql: str) -> str:
        """Return SQL of the server's own, as the driver takes it: some double every percent sign."""
        doubled = self.name("%") == '"%%"'
        return sql.replace("%", "%%") if doubled else sql

    def role(self, role: str | None) -> str:
        return "PUBLIC" if role is None else self.name(role)


@compiles(CreateDatabase)
def _create_database(element: CreateDatabase, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    parts = [f"CREATE DATABASE {to.name(element.name)}"]
    for setting, keyword in CLAUSES.items():
        value = element.clauses.get(setting)
        if value is None:
            continue
        if isinstance(value, int):
            parts.append(f"{keyword} = {value:d}")
        elif keyword in _IDENTIFIERS:
            parts.append(f"{keyword} = {to.name(value)}")
        elif keyword in _KEYWORDS:
            parts.append(f"{keyword} = {to.name(value.lower())}")
        else:
            parts.append(f"{keyword} = {to.literal(value)}")
    if element.strategy is not None:
        parts.append(f"STRATEGY = {element.strategy}")
    return " ".join(parts)


@compiles(DropDatabase)
def _drop_database(element: DropDatabase, compiler: DDLCompiler, **_: t.Any) -> str:
    exists = "IF EXISTS " if element.if_exists else ""
    force = " WITH (FORCE)" if element.force else ""
    return f"DROP DATABASE {exists}{_Compile(compiler).name(element.name)}{force}"


@compiles(RenameDatabase)
def _rename_database(element: RenameDatabase, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    return f"ALTER DATABASE {to.name(element.name)} RENAME TO {to.name(element.to)}"


@compiles(AllowConnections)
def _allow_connections(element: AllowConnections, compiler: DDLCompiler, **_: t.Any) -> str:
    allow = "true" if element.allow else "false"
    return f"ALTER DATABASE {_Compile(compiler).name(element.name)} WITH ALLOW_CONNECTIONS {allow}"


@compiles(ConnectionLimit)
def _connection_limit(element: ConnectionLimit, compiler: DDLCompiler, **_: t.Any) -> str:
    return f"ALTER DATABASE {_Compile(compiler).name(element.name)} WITH CONNECTION LIMIT {element.limit:d}"


@compiles(CommentOnDatabase)
def _comment(element: CommentOnDatabase, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    comment = "NULL" if element.comment is None else to.literal(element.comment)
    return f"COMMENT ON DATABASE {to.name(element.name)} IS {comment}"


@compiles(SetInDatabase)
def _set_in_database(element: SetInDatabase, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    # A custom parameter is "extension.name": each part is an identifier of its own.
    parameter = ".".join(to.name(part) for part in element.parameter.split("."))
    values = [element.value]
    if element.parameter.lower() in _LIST_PARAMETERS:
        # The catalogue keeps such a value as a list of identifiers, quoted where they need it; as one
        # literal the whole list would become a single name.
        found = _IDENTIFIER.findall(element.value)
        values = [quoted.replace('""', '"') or plain for quoted, plain in found] or [""]
    value = ", ".join(to.literal(text) for text in values)
    whose = f"ALTER ROLE {to.name(element.role)} IN DATABASE" if element.role else "ALTER DATABASE"
    return f"{whose} {to.name(element.name)} SET {parameter} TO {value}"


@compiles(GrantOnDatabase)
def _grant(element: GrantOnDatabase, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    option = " WITH GRANT OPTION" if element.grantable else ""
    privilege = {"CONNECT": "CONNECT", "CREATE": "CREATE", "TEMPORARY": "TEMPORARY"}[element.privilege]
    return f"GRANT {privilege} ON DATABASE {to.name(element.name)} TO {to.role(element.role)}{option}"


@compiles(RevokeOnDatabase)
def _revoke(element: RevokeOnDatabase, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    return f"REVOKE ALL ON DATABASE {to.name(element.name)} FROM {to.role(element.role)}"


@compiles(RollbackPrepared)
def _rollback_prepared(element: RollbackPrepared, compiler: DDLCompiler, **_: t.Any) -> str:
    return f"ROLLBACK PREPARED {_Compile(compiler).literal(element.name)}"


@compiles(CreateRole)
def _create_role(element: CreateRole, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    password = "NULL" if element.verifier is None else to.literal(element.verifier)
    return f"CREATE ROLE {to.name(element.name)} LOGIN PASSWORD {password}"


@compiles(DropRole)
def _drop_role(element: DropRole, compiler: DDLCompiler, **_: t.Any) -> str:
    return f"DROP ROLE {_Compile(compiler).name(element.name)}"


@compiles(GrantRole)
def _grant_role(element: GrantRole, compiler: DDLCompiler, **_: t.Any) -> str:
    options = " WITH INHERIT TRUE, SET TRUE" if element.explicit else ""
    return f"GRANT {_Compile(compiler).name(element.name)} TO CURRENT_USER{options}"


@compiles(RevokeRole)
def _revoke_role(element: RevokeRole, compiler: DDLCompiler, **_: t.Any) -> str:
    return f"REVOKE {_Compile(compiler).name(element.name)} FROM CURRENT_USER"


@compiles(CreateSchema)
def _create_schema(element: CreateSchema, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    owner = "" if element.owner is None else f" AUTHORIZATION {to.name(element.owner)}"
    exists = "" if element.new else "IF NOT EXISTS "
    return f"CREATE SCHEMA {exists}{to.name(element.name)}{owner}"


@compiles(RenameSchema)
def _rename_schema(element: RenameSchema, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    return f"ALTER SCHEMA {to.name(element.name)} RENAME TO {to.name(element.to)}"


@compiles(CommentOnSchema)
def _comment_on_schema(element: CommentOnSchema, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    comment = "NULL" if element.comment is None else to.literal(element.comment)
    return f"COMMENT ON SCHEMA {to.name(element.name)} IS {comment}"


@compiles(DropSchema)
def _drop_schema(element: DropSchema, compiler: DDLCompiler, **_: t.Any) -> str:
    cascade = " CASCADE" if element.cascade else ""
    return f"DROP SCHEMA {_Compile(compiler).name(element.name)}{cascade}"


@compiles(SetSchema)
def _set_schema(element: SetSchema, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    return f"ALTER {_keyword(element.kind)} {to.raw(element.identity)} SET SCHEMA {to.name(element.to)}"


@compiles(DropObjects)
def _drop_objects(element: DropObjects, compiler: DDLCompiler, **_: t.Any) -> str:
    to = _Compile(compiler)
    identities = ", ".join(map(to.raw, element.identities))
    return f"DROP {_keyword(element.kind)} IF EXISTS {identities} CASCADE"


def _keyword(kind: str) -> str:
    return kind.removesuffix(" object").upper()  # "statistics object"


@compiles(DropExtension)
def _drop_extension(element: DropExtension, compiler: DDLCompiler, **_: t.Any) -> str:
    return f"DROP EXTENSION IF EXISTS {_Compile(compiler).name(element.name)} CASCADE"


@compiles(CreateExtension)
def _create_extension(element: CreateExtension, compiler: DDLCompiler, **_: t.Any) -> str:
    return f"CREATE EXTENSION IF NOT EXISTS {_Compile(compiler).name(element.name)} CASCADE"
