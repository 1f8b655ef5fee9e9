"""The one query by which a server is asked for all that plans need."""

from __future__ import annotations

# One query, one flight. Names are qualified: the search_path belongs to the role, not to us.
# pg_database_size fails without CONNECT; pg_stat_activity shows application_name and usename of any
# session to every role, but address, query and backend_type only to those who may; an autovacuum worker
# has no user, and DROP and RENAME end it by themselves. A parameter with a dot that the server does
# not know may be anything, so only a superuser may set it. Which columns tell of the locale depends on
# the version.
QUERY = """
WITH me AS (
  SELECT r.oid, r.rolname, r.rolsuper, r.rolcreatedb FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
), other AS (
  SELECT a.datid, json_agg(json_build_object(
      'pid', a.pid, 'user', a.usename, 'application', coalesce(a.application_name, ''),
      'address', host(a.client_addr),
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
  GROUP BY a.datid
)
SELECT json_build_object(
  'version', version(),
  'version_num', current_setting('server_version_num'),
  'standby', pg_catalog.pg_is_in_recovery(),
  'citus', current_setting('citus.shard_count', true) IS NOT NULL,
  'embedded', current_setting('cluster_name', true) LIKE 'flask-postgres-%',
  'role', me.rolname, 'superuser', me.rolsuper, 'createdb', me.rolsuper OR me.rolcreatedb,
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
      'comment', pg_catalog.shobj_description(d.oid, 'pg_database'),
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
      'size', CASE WHEN d.datname = :target OR d.datname LIKE :ours THEN
          CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') AND d.datconnlimit <> -2
          THEN pg_catalog.pg_database_size(d.oid) END END))
    FROM pg_catalog.pg_database d
    WHERE d.datname IN (:target, :template) OR d.datname LIKE :ours)
) FROM me
"""

IDENTIFIER = "(SELECT CAST(c.system_identifier AS text) FROM pg_catalog.pg_control_system() c)"
