"""Read the facts from a server, in one query."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ..errors import PermissionDenied, Unsupported
from . import marks, own
from .admin import APPLICATION
from .capabilities import from_answers
from .facts import Database, Facts, Grant, OtherSession, Parameter, Role, latest_first
from .marks import State
from .session import Session


def read(
    session: Session,
    dbname: str,
    *,
    template: str | None = None,
    source: str | None = None,
    roles: t.Sequence[str] = (),
    tablespaces: t.Sequence[str] = (),
    extensions: t.Sequence[str] = (),
    program: bool = False,
) -> Facts:
    """Ask a server, in one query, for all that plans about one database need.

    :param template: the template that will be copied.
    :param source: the database whose snapshots are asked for; the target when None.
    :param program: see :class:`~flask_postgres.postgres.admin.Connector`.
    :param roles: names of roles that settings mention; the others likewise.
    """
    answer = _ask(
        session,
        target=dbname,
        template=template or "template1",
        ours=marks.like_ours(dbname),
        sources=marks.like_ours(source or dbname),
        app=f"{APPLICATION} %",
        roles=json.dumps([*roles]),
        tablespaces=json.dumps([*tablespaces]),
        extensions=bool(extensions),
    )
    raw: dict[str, t.Any] = answer if isinstance(answer, dict) else json.loads(answer)
    role = Role(
        name=raw["role"], superuser=raw["superuser"], createdb=raw["createdb"], createrole=raw["createrole"]
    )
    owners = {
        role.name,
        *roles,
        *(item["owner"] for item in raw["databases"] or () if item["name"] == dbname),
    }
    missing = all(item["name"] != dbname for item in raw["databases"] or ())
    alive = _alive(raw["ours"] or (), owners)
    mine = own.addresses() if program else frozenset()
    databases = [
        _trusted(_database(item, alive, mine), role, owners, raw["server"], missing=missing)
        for item in raw["databases"] or ()
    ]
    by_name = {item.name: item for item in databases}
    return Facts(
        role=role,
        server=raw["server"],
        alive=frozenset(alive),
        can=from_answers(raw["version"], int(raw["version_num"])),
        version_text=raw["version"],
        admin_dbname=session.dbname,
        address=session.address,
        standby=raw["standby"],
        citus=raw["citus"],
        cluster_name=raw["cluster_name"],
        target=by_name.get(dbname),
        relatives=tuple(item for item in databases if item.mark and _relative(item, dbname)),
        foreign=tuple(item for item in databases if item.mark is None and _relative(item, dbname)),
        template=by_name.get(template or "template1"),
        template_name=template,
        superuser_only=tuple(raw["superuser_only"] or ()),
        missing_roles=tuple(raw["missing_roles"] or ()),
        unusable_roles=tuple(raw["unusable_roles"] or ()),
        grantable_roles=tuple(raw["grantable_roles"] or ()),
        missing_tablespaces=tuple(raw["missing_tablespaces"] or ()),
        missing_extensions=tuple(name for name in extensions if name not in (raw["available"] or ())),
        available_extensions=tuple(raw["available"] or ()),
        now=raw["now"],
        snapshots=latest_first(item for item in databases if _is_snapshot(item, source or dbname)),
    )


def _is_snapshot(database: Database, of: str) -> bool:
    mark = database.mark
    return (
        mark is not None and mark.state is State.SNAPSHOT and mark.of == of and marks.is_ours(database.name)
    )


def _relative(database: Database, dbname: str) -> bool:
    if database.name == dbname or not marks.is_ours(database.name):
        return False
    if database.mark is not None and database.mark.of is not None:
        return database.mark.of == dbname
    return marks.may_be_of(database.name, dbname)


def _ask(session: Session, **values: t.Any) -> t.Any:
    try:
        return session.value(_QUERY, **values)
    except (PermissionDenied, Unsupported):  # a host, or an engine, that does not tell the identifier
        return session.value(_QUERY.replace(_IDENTIFIER, "CAST(NULL AS text)"), **values)


def _alive(sessions: t.Iterable[dict[str, t.Any]], owners: set[str]) -> set[str]:
    """Return the tokens of running commands: any role can give its session a name, so it counts who it is."""
    named = ((one["name"].split(" "), one) for one in sessions)
    return {
        words[1] for words, one in named if len(words) > 1 and (one["superuser"] or one["user"] in owners)
    }


def _trusted(
    database: Database, role: Role, owners: set[str], server: str | None, *, missing: bool
) -> Database:
    """Return the database with its mark only if the mark counts.

    Any role with CREATEDB can write a mark, so it counts on a database whose owner is the target's owner, our
    role or a role that we have the rights of; a superuser has those of every role, which says nothing. A mark
    names its database, because a restored or copied one has the same comment. Protection always counts.
    Where a superuser has dropped a database, nothing tells the owner of what was kept: ``undo`` asks then.
    """
    mark = database.mark
    if mark is None or mark.state is State.PROTECTED:
        return database
    ours = database.owner in owners or (database.owned and not role.superuser)
    ours = ours or (missing and role.superuser and mark.state is State.KEPT)
    if ours and mark.oid == database.oid and (server is None or mark.server == server):
        return database
    return dataclasses.replace(database, mark=None, stale_mark=mark, maker_alive=False)


def _database(raw: dict[str, t.Any], alive: set[str], mine: t.Container[own.Address]) -> Database:
    comment, mark = marks.split(raw.pop("comment"))
    token = mark.token if mark else raw["name"][-8:] if marks.is_ours(raw["name"]) else None
    grants = raw.pop("grants")
    return Database(
        comment=comment,
        mark=mark,
        grants=None if grants is None else tuple(Grant(**item) for item in grants),
        parameters=tuple(
            Parameter(name, value, item["role"])
            for item in raw.pop("parameters") or ()
            for name, _, value in (text.partition("=") for text in item["config"])
        ),
        sessions=tuple(
            OtherSession(**item, own=(item["address"], item["port"]) in mine)
            for item in raw.pop("sessions") or ()
        ),
        slots=tuple(raw.pop("slots") or ()),
        maker_alive=token in alive,
        **raw,
    )


# One query, one flight. Names are qualified: the search_path belongs to the role, not to us.
# pg_database_size fails without CONNECT; pg_stat_activity shows application_name and usename of any session
# to every role, but address, query and backend_type only to those who may; an autovacuum worker has no
# user, and DROP and RENAME end it by themselves; so they do those of TimescaleDB, by its hooks. A parameter
# with a dot that the server does not know may be anything, so only a superuser may set it. Which columns
# tell of the locale depends on the version.
_QUERY = """
WITH me AS (
  SELECT r.oid, r.rolname, r.rolsuper, r.rolcreatedb, r.rolcreaterole FROM pg_catalog.pg_roles r
  WHERE r.rolname = current_user
), other AS (
  SELECT a.datid, json_agg(json_build_object(
      'pid', a.pid, 'user', a.usename, 'application', coalesce(a.application_name, ''),
      'address', host(a.client_addr), 'port', a.client_port,
      'superuser', coalesce(u.rolsuper, true),
      'endable', me.rolsuper OR (NOT coalesce(u.rolsuper, true)
        AND (pg_catalog.pg_has_role(a.usesysid, 'USAGE')
             OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'))),
      'citus', coalesce(a.application_name LIKE 'Citus Maintenance Daemon%', false),
      'pooled', coalesce(a.state = 'idle' AND a.query = 'DISCARD ALL', false)
    ) ORDER BY a.pid) AS sessions
  FROM me CROSS JOIN pg_catalog.pg_stat_activity a LEFT JOIN pg_catalog.pg_roles u ON u.oid = a.usesysid
  WHERE a.datid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
    AND a.usesysid IS NOT NULL AND coalesce(a.backend_type, '') <> 'parallel worker'
    AND coalesce(a.application_name, '') NOT LIKE :app
    AND coalesce(a.application_name, '') NOT LIKE 'TimescaleDB Background Worker%'
  GROUP BY a.datid
)
SELECT json_build_object(
  'version', version(),
  'version_num', current_setting('server_version_num'),
  'now', CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint),
  'standby', pg_catalog.pg_is_in_recovery(),
  'citus', current_setting('citus.shard_count', true) IS NOT NULL,
  'cluster_name', current_setting('cluster_name', true),
  'role', me.rolname, 'superuser', me.rolsuper, 'createdb', me.rolsuper OR me.rolcreatedb,
  'createrole', me.rolsuper OR me.rolcreaterole,
  'server', (SELECT CAST(c.system_identifier AS text) FROM pg_catalog.pg_control_system() c),
  'ours', (SELECT json_agg(json_build_object(
             'name', a.application_name, 'user', a.usename, 'superuser', coalesce(u.rolsuper, false)))
           FROM pg_catalog.pg_stat_activity a LEFT JOIN pg_catalog.pg_roles u ON u.oid = a.usesysid
           WHERE a.application_name LIKE :app AND a.pid <> pg_catalog.pg_backend_pid()),
  'superuser_only', (SELECT json_agg(DISTINCT p.name) FROM pg_catalog.pg_db_role_setting c
     CROSS JOIN unnest(c.setconfig) line CROSS JOIN LATERAL (SELECT lower(split_part(line, '=', 1)) AS name) p
     LEFT JOIN pg_catalog.pg_settings s ON lower(s.name) = p.name
     WHERE s.context = 'superuser' OR (s.name IS NULL AND p.name LIKE '%.%')),
  'missing_roles', (SELECT json_agg(n) FROM json_array_elements_text(CAST(:roles AS json)) n
     WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles r WHERE r.rolname = n)),
  'unusable_roles', (SELECT json_agg(r.rolname) FROM json_array_elements_text(CAST(:roles AS json)) n
     JOIN pg_catalog.pg_roles r ON r.rolname = n
     WHERE NOT me.rolsuper AND NOT (pg_catalog.pg_has_role(r.oid, 'USAGE') AND pg_catalog.pg_has_role(r.oid,
       CASE WHEN current_setting('server_version_num') < '160000' THEN 'MEMBER' ELSE 'SET' END))),
  'grantable_roles', (SELECT json_agg(r.rolname) FROM json_array_elements_text(CAST(:roles AS json)) n
     JOIN pg_catalog.pg_roles r ON r.rolname = n
     WHERE NOT me.rolsuper AND CASE WHEN current_setting('server_version_num') < '160000'
       THEN me.rolcreaterole AND NOT r.rolsuper
       ELSE pg_catalog.pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION') END),
  'missing_tablespaces', (SELECT json_agg(n) FROM json_array_elements_text(CAST(:tablespaces AS json)) n
     WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_tablespace s WHERE s.spcname = n)),
  'available', CASE WHEN :extensions THEN (SELECT json_agg(e.name) FROM pg_catalog.pg_available_extensions e)
     END,
  'databases', (SELECT json_agg(json_build_object(
      'name', d.datname, 'oid', CAST(d.oid AS bigint), 'owner', pg_catalog.pg_get_userbyid(d.datdba),
      'owned', me.rolsuper OR pg_catalog.pg_has_role(d.datdba, 'USAGE'),
      'owner_superuser', coalesce(
         (SELECT o.rolsuper FROM pg_catalog.pg_roles o WHERE o.oid = d.datdba), false),
      'allow_connections', d.datallowconn, 'connection_limit', d.datconnlimit,
      'is_template', d.datistemplate, 'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
      'collate', d.datcollate, 'ctype', d.datctype,
      'provider', CASE to_jsonb(d) ->> 'datlocprovider'
         WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
      'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
      'tablespace', (SELECT s.spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = d.dattablespace),
      'comment', CASE WHEN d.datname = :target THEN pg_catalog.shobj_description(d.oid, 'pg_database')
         ELSE pg_catalog.right(pg_catalog.shobj_description(d.oid, 'pg_database'), 8192) END,
      'grants', CASE WHEN d.datacl IS NULL THEN NULL ELSE (
         SELECT coalesce(json_agg(json_build_object(
            'privilege', x.privilege_type,
            'grantee', CASE WHEN x.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(x.grantee) END,
            'grantable', x.is_grantable)), '[]') FROM pg_catalog.aclexplode(d.datacl) x) END,
      'parameters', (SELECT json_agg(json_build_object('config', c.setconfig, 'role',
            CASE WHEN c.setrole = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(c.setrole) END))
         FROM pg_catalog.pg_db_role_setting c WHERE c.setdatabase = d.oid),
      'sessions', (SELECT o.sessions FROM other o WHERE o.datid = d.oid),
      'prepared', (SELECT count(*) FROM pg_catalog.pg_prepared_xacts p WHERE p.database = d.datname),
      'slots', (SELECT json_agg(s.slot_name) FROM pg_catalog.pg_replication_slots s
         WHERE s.database = d.datname),
      'may_connect', pg_catalog.has_database_privilege(d.oid, 'CONNECT'),
      'labels', (SELECT count(*) FROM pg_catalog.pg_shseclabel l
         WHERE l.objoid = d.oid AND l.classoid = CAST('pg_catalog.pg_database' AS pg_catalog.regclass)),
      'subscriptions', (SELECT count(*) FROM pg_catalog.pg_subscription u WHERE u.subdbid = d.oid),
      'size', CASE WHEN d.datname NOT IN ('template0', 'template1') THEN
          CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') AND d.datconnlimit <> -2
          THEN pg_catalog.pg_database_size(d.oid) END END))
    FROM pg_catalog.pg_database d
    WHERE d.datname IN (:target, :template) OR d.datname LIKE :ours OR d.datname LIKE :sources)
) FROM me
"""

_IDENTIFIER = "(SELECT CAST(c.system_identifier AS text) FROM pg_catalog.pg_control_system() c)"
