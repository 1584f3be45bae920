//! Copies roles, their settings and privileges as statements that the old server generates.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

/// Statements that create roles, by role name.
const ROLES: &str = "
SELECT rolname::text, format('CREATE ROLE %I', rolname)
  FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname";

/// Statements about roles that can be repeated.
const ABOUT_ROLES: &str = "
SELECT format('ALTER ROLE %I WITH %s %s %s %s %s %s %s CONNECTION LIMIT %s%s%s', rolname,
              CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END,
              CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
              CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
              CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
              CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
              CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
              CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END,
              rolconnlimit,
              ' PASSWORD ' || quote_literal(rolpassword),
              ' VALID UNTIL ' || quote_literal(rolvaliduntil::text))
  FROM pg_catalog.pg_authid WHERE rolname !~ '^pg_'
UNION ALL
SELECT format('COMMENT ON ROLE %I IS %L', rolname, pg_catalog.shobj_description(oid, 'pg_authid'))
  FROM pg_catalog.pg_authid
 WHERE rolname !~ '^pg_' AND pg_catalog.shobj_description(oid, 'pg_authid') IS NOT NULL
UNION ALL
SELECT format('ALTER %s%s SET %I = %s',
              CASE WHEN s.setrole = 0 THEN format('DATABASE %I', d.datname)
                   ELSE format('ROLE %I', r.rolname) END,
              CASE WHEN s.setrole <> 0 AND s.setdatabase <> 0
                   THEN format(' IN DATABASE %I', d.datname) ELSE '' END,
              split_part(one, '=', 1),
              -- The value of a list is kept as it is written, quotes and all.
              CASE WHEN lower(split_part(one, '=', 1)) IN ('search_path', 'temp_tablespaces',
                        'session_preload_libraries', 'local_preload_libraries')
                   THEN substr(one, strpos(one, '=') + 1)
                   ELSE quote_literal(substr(one, strpos(one, '=') + 1)) END)
  FROM pg_catalog.pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) AS one
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
 WHERE s.setrole = 0 OR r.rolname !~ '^pg_'
UNION ALL
-- Options that only newer versions have are read by name, where they are.
SELECT format('GRANT %I TO %I%s', r.rolname, m.rolname,
              CASE WHEN to_jsonb(a) ? 'set_option'
                   THEN format(' WITH ADMIN %s, INHERIT %s, SET %s',
                               to_jsonb(a)->>'admin_option', to_jsonb(a)->>'inherit_option',
                               to_jsonb(a)->>'set_option')
                   WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END)
  FROM pg_catalog.pg_auth_members a
  JOIN pg_catalog.pg_roles r ON r.oid = a.roleid
  JOIN pg_catalog.pg_roles m ON m.oid = a.member
 WHERE m.rolname !~ '^pg_'";

/// Statements that grant privileges, after those that revoke the defaults of PUBLIC. An owner needs
/// no grants.
pub(super) const GRANTS: &str = "
WITH ours AS (
    SELECT oid, nspname, nspowner, nspacl FROM pg_catalog.pg_namespace
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'verbatim_upgrade')
), of_extensions AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), objects (kind, name, owner, acl, columns) AS (
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
           format('%I.%I', n.nspname, c.relname), c.relowner, c.relacl, ''
      FROM pg_catalog.pg_class c JOIN ours n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'TABLE', format('%I.%I', n.nspname, c.relname), c.relowner, a.attacl,
           format(' (%I)', a.attname)
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN ours n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'SCHEMA', format('%I', nspname), nspowner, nspacl, '' FROM ours
    UNION ALL
    SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
           p.oid::pg_catalog.regprocedure::text, p.proowner, p.proacl, ''
      FROM pg_catalog.pg_proc p JOIN ours n ON n.oid = p.pronamespace
     WHERE NOT EXISTS (SELECT FROM of_extensions e
                        WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                          AND e.objid = p.oid)
    UNION ALL
    SELECT 'DATABASE', format('%I', datname), datdba, datacl, ''
      FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
    UNION ALL
    SELECT 'PARAMETER', parname, 10::pg_catalog.oid, paracl, '' FROM pg_catalog.pg_parameter_acl
)
SELECT 1 AS place, format('REVOKE ALL ON %s %s FROM PUBLIC', kind, name) AS statement
  FROM objects WHERE acl IS NOT NULL AND columns = ''
UNION ALL
SELECT 2, format('GRANT %s%s ON %s %s TO %s%s', a.privilege_type, o.columns, o.kind, o.name,
                 CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                      ELSE a.grantee::pg_catalog.regrole::text END,
                 CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM objects o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) AS a
 WHERE a.grantee <> o.owner";

/// Copies roles with their passwords, settings and memberships.
pub(super) async fn copy_roles(old: &mut PgConnection, new: &mut PgConnection) -> sqlx::Result<()> {
    let known: HashSet<String> =
        sqlx::query_scalar("SELECT rolname::text FROM pg_catalog.pg_roles")
            .fetch_all(&mut *new)
            .await?
            .into_iter()
            .collect();
    let roles: Vec<(String, String)> = sqlx::query_as(ROLES).fetch_all(&mut *old).await?;
    for (name, statement) in roles {
        if !known.contains(&name) {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *new).await?;
        }
    }
    let about: Vec<String> = sqlx::query_scalar(ABOUT_ROLES).fetch_all(old).await?;
    for statement in about {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *new).await?;
    }
    Ok(())
}

/// Copies privileges. The objects exist already.
pub(super) async fn copy_grants(
    old: &mut PgConnection,
    new: &mut PgConnection,
) -> sqlx::Result<()> {
    let mut grants: Vec<(i32, String)> = sqlx::query_as(GRANTS).fetch_all(old).await?;
    grants.sort_by_key(|(place, _)| *place);
    for (_, statement) in grants {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *new).await?;
    }
    Ok(())
}
