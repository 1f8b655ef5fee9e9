"""What the errors of PostgreSQL mean: the one place that knows SQLSTATEs.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
import typing as t

from sqlalchemy.exc import DBAPIError

from .. import errors
from ..errors import FlaskPostgresError, ServerError
from ..remedies import Command, Option, Remedies, Remedy, Sql


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of a driver's or SQLAlchemy's error; None when connecting failed."""
    original = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    return code if isinstance(code, str) else None


def sqlstate_of_cause(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of an error or of what has caused it."""
    while error is not None:
        code = sqlstate(error)
        if code is not None:
            return code
        error = error.__cause__ or error.__context__
    return None


def server_line(error: BaseException) -> str:
    """Return what the server or the driver said, in one line."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    diagnostics = getattr(original, "diag", None)
    primary = getattr(diagnostics, "message_primary", None)
    if primary:
        detail = getattr(diagnostics, "message_detail", None)
        return " ".join(f"{primary}. {detail or ''}".split())
    lines = [line.strip() for line in str(original).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(original).__name__


def translate(error: DBAPIError, *, doing: str) -> FlaskPostgresError:
    """Return our error for one that came up after connecting.

    :param doing: what was being done, such as ``create database "shop"``.
    """
    code = sqlstate(error)
    said = server_line(error)
    if "invalid database" in said or (code == "55000" and "connection limit" in said):
        return ServerError(f"could not {doing}: {said}", remedy=Command("Remove it", "drop"), sqlstate=code)
    if "collation version mismatch" in said or (code == "XX000" and "collation" in said):
        return ServerError(f"could not {doing}: {said}", remedy=_COLLATION, sqlstate=code)
    if "ICU is not supported" in said:  # as in the embedded server's programs
        return errors.Unsupported(f"could not {doing}: {said}", remedy=_NO_ICU, sqlstate=code)
    if code == "40P01" or (code == "XX000" and "concurrently" in said):  # 40P01: a deadlock, and we lost
        message = f"could not {doing}: another command was changing the same database."
        lost = errors.LostRace(message, remedy=Command("Look at it", "status"))
        lost.transient = True
        return lost
    if code == "23505" and "pg_database_datname_index" in said:
        message = f"could not {doing}: another command has just given a database that name."
        return errors.DatabaseExists(message, sqlstate=code)
    known = _BY_CODE.get(code or "")
    if known is None and code is not None:
        known = _BY_CLASS.get(code[:2])
    if known is None:
        return ServerError(f"could not {doing}: {said}", sqlstate=code)
    kind, hint = known
    return kind(f"could not {doing}: {said}", remedy=hint, sqlstate=code)


class ScriptFailed(ServerError):
    """A statement of a file has failed.

    :ivar line: the line of the statement, or of the data of a COPY, from 1; None where it is not told.
    """

    line: int | None = None


def of_script(error: BaseException, statement: str) -> ScriptFailed:
    """Return our error for a driver's, after a statement without parameters."""
    diagnostics = getattr(error, "diag", None)
    position = getattr(diagnostics, "statement_position", None)
    copied = re.match(r"COPY .*?, line (\d+)", getattr(diagnostics, "context", None) or "")
    failed = ScriptFailed(server_line(error), sqlstate=sqlstate(error))
    if copied is not None:
        failed.line = int(copied[1])
    elif position is not None:
        failed.line = statement.count("\n", 0, int(position) - 1) + 1
    return failed


def lost_connection(error: BaseException) -> bool:
    """Tell whether an error means that the session is gone."""
    code = sqlstate(error)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return code is None or code.startswith("08") or code in ("57P01", "57P02", "57P03", "25P03", "25P04")


def of_the_apps_statements(error: BaseException | None, *, role: str | None) -> Remedy | None:
    """Return what to do where a statement of the app's own has failed, as far as that is well known.

    :param error: what was raised; what has caused it is looked at too.
    :param role: the role that ran the statement.
    """
    while error is not None:
        code, said = sqlstate(error), server_line(error)
        if code in ("42704", "42883"):  # no such type, operator class, function
            for word, name in _BROUGHT_BY.items():
                if re.search(rf"\b{word}\b", said):
                    words = (
                        f'It comes with the extension "{name}": add that to the extensions setting, or {{}}'
                    )
                    return Option(words, "extension", name)
        if code == "3F000" and not isinstance(error, FlaskPostgresError):
            name = next(iter(re.findall(r'"([^"]+)"', said)), "NAME")
            return Option("Add it to the schemas setting, or {}", "create_schema", name)
        extension = re.search(r'extension "([^"]+)"', said)
        if code == "42501" and extension is not None:
            words = "Leave it to this tool: add it to the extensions setting, or {}"
            return Option(words, "extension", extension[1])
        if code in ("0A000", "58P01") and extension is not None:
            return (
                "Install its package on the server. The embedded server has contrib and pgvector alone: for "
                "others set server_bin_dir to a PostgreSQL that has them"
            )
        if code == "42501" and "schema public" in said and role:
            name = role.replace('"', '""')
            purpose = "PostgreSQL 15 and later keep others out of it. As the database's owner, run"
            return Sql(purpose, f'GRANT CREATE ON SCHEMA public TO "{name}"')
        error = error.__cause__ or error.__context__
    return None


_BROUGHT_BY = {
    "citext": "citext",
    "geometry": "postgis",
    "geography": "postgis",
    "vector": "vector",
    "halfvec": "vector",
    "sparsevec": "vector",
    "hstore": "hstore",
    "ltree": "ltree",
    "uuid_generate_v[1-5]": "uuid-ossp",
    "gen_random_bytes": "pgcrypto",
    "crypt": "pgcrypto",
    "gin_trgm_ops": "pg_trgm",
    "gist_trgm_ops": "pg_trgm",
    "similarity": "pg_trgm",
    "unaccent": "unaccent",
}
"""Well-known types, functions and operator classes, and the extensions that have them."""


class _Kind(t.Protocol):
    def __call__(
        self, message: str, *, remedy: Remedies = None, sqlstate: str | None = None
    ) -> FlaskPostgresError: ...


class _InUse(errors.DatabaseInUse):
    """``DatabaseInUse`` as the server reports it."""

    def __init__(self, message: str, *, remedy: Remedies = None, sqlstate: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.sqlstate = sqlstate


_NO_ICU = "Leave locale_provider and icu_locale out, or use a PostgreSQL that was built with ICU."

_COLLATION = (
    Option(
        "The operating system's collations have changed. Take the template that has none: {}",
        "template",
        "template0",
    ),
    Sql(
        "as a superuser in the template database, run", 'ALTER DATABASE "template1" REFRESH COLLATION VERSION'
    ),
)

_BY_CODE: dict[str, tuple[_Kind, str | None]] = {
    "42501": (errors.PermissionDenied, "Ask an administrator for the right, or use a role that has it."),
    "55006": (_InUse, "Close them, or end them with --force-disconnect."),
    "3D000": (errors.DatabaseMissing, "Create it: flask psql create"),
    "42P04": (errors.DatabaseExists, None),
    "53300": (ServerError, "Close other connections, or raise max_connections on the server."),
    "53100": (ServerError, "Free space on the server's disk."),
    "53200": (ServerError, "Raise max_locks_per_transaction on the server."),
    "22023": (ServerError, "Look at the encoding, the locale, the template and the connection limit."),
    "42809": (
        ServerError,
        "Look at the locale and the encoding: the server must know both, and they must fit.",
    ),
    "22026": (ServerError, "Shorten the name: PostgreSQL keeps 63 bytes."),
    "0A000": (errors.Unsupported, None),
    "25006": (
        errors.Unsupported,
        "Connect to the primary server; or the role has default_transaction_read_only set.",
    ),
    "42704": (ServerError, "Look for a misspelt role, tablespace, encoding, locale or extension."),
    "58P01": (ServerError, "Look for a misspelt extension, or install its package on the server."),
    "57014": (ServerError, "The statement was cancelled."),
    "57P01": (ServerError, "An administrator ended the session."),
    "57P04": (errors.DatabaseMissing, "Another command dropped the database meanwhile."),
    "2BP01": (ServerError, None),
    "55P04": (ServerError, None),
}

_BY_CLASS: dict[str, tuple[_Kind, str | None]] = {
    "08": (errors.ServerUnreachable, "The connection broke."),
    "28": (errors.AuthenticationFailed, "Check the user and the password of the URI."),
    "57": (ServerError, None),
}
