//! Inventory of a database without its rows, as lines that are the same on every server version.
//! Anything that the new database lacks would be lost silently.

use std::collections::BTreeSet;

use anyhow::ensure;
use sqlx::postgres::PgConnection;

/// Schema of the upgrade's state in the new database.
pub(super) const STATE_SCHEMA: &str = "verbatim_upgrade";

/// Limit of the differences in an error.
const SHOWN: usize = 8;

/// Objects that users can create, except those of extensions. Views and checks are compared by
/// their result and their presence: versions write the same expression differently.
const OBJECTS: &str = "
WITH ours AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'verbatim_upgrade')
), of_extensions AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT c.oid, c.relkind, c.reloptions, c.relpersistence,
           format('%I.%I', n.nspname, c.relname) AS name
      FROM pg_catalog.pg_class c JOIN ours n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
       AND NOT EXISTS (SELECT FROM of_extensions e
                        WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                          AND e.objid = c.oid)
)
SELECT format('schema %I', nspname) FROM ours
UNION ALL
SELECT format('extension %I', extname) FROM pg_catalog.pg_extension
UNION ALL
SELECT format('%s %s%s%s',
              CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table'
                           WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                           WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'type' END,
              name,
              CASE relpersistence WHEN 'p' THEN '' ELSE ' unlogged' END,
              ' ' || (SELECT string_agg(one, ',' ORDER BY one) FROM unnest(reloptions) AS one))
  FROM relations
UNION ALL
SELECT format('column %s.%I %s%s%s%s', r.name, a.attname,
              pg_catalog.format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
              CASE WHEN a.atthasdef THEN ' default' ELSE '' END,
              CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END || a.attidentity::text)
  FROM pg_catalog.pg_attribute a JOIN relations r ON r.oid = a.attrelid
 WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT format('partition %s of %s %s', r.name, i.inhparent::pg_catalog.regclass,
              pg_catalog.pg_get_expr(c.relpartbound, c.oid))
  FROM relations r
  JOIN pg_catalog.pg_class c ON c.oid = r.oid
  JOIN pg_catalog.pg_inherits i ON i.inhrelid = r.oid
UNION ALL
SELECT format('index on %s', regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid),
              '^CREATE (UNIQUE )?INDEX \\S+ ON (ONLY )?', '\\1'))
  FROM pg_catalog.pg_index i JOIN relations r ON r.oid = i.indrelid
UNION ALL
SELECT format('constraint %s on %s', c.contype, r.name) || ' ' || count(*)
  FROM pg_catalog.pg_constraint c JOIN relations r ON r.oid = c.conrelid
 WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
 GROUP BY c.contype, r.name
UNION ALL
SELECT format('trigger %s', pg_catalog.pg_get_triggerdef(t.oid))
  FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal
UNION ALL
SELECT format('function %s %s', p.oid::pg_catalog.regprocedure, md5(p.prosrc))
  FROM pg_catalog.pg_proc p JOIN ours n ON n.oid = p.pronamespace
 WHERE NOT EXISTS (SELECT FROM of_extensions e
                    WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                      AND e.objid = p.oid)
UNION ALL
SELECT format('type %s', t.oid::pg_catalog.regtype)
  FROM pg_catalog.pg_type t JOIN ours n ON n.oid = t.typnamespace
 WHERE t.typtype IN ('d', 'e', 'r', 'm')
UNION ALL
SELECT format('default privileges of %s', defaclrole::pg_catalog.regrole)
  FROM pg_catalog.pg_default_acl
UNION ALL
SELECT format('publication %I', pubname) FROM pg_catalog.pg_publication
UNION ALL
SELECT format('event trigger %I', evtname) FROM pg_catalog.pg_event_trigger
UNION ALL
SELECT format('%s large objects', count(*)) FROM pg_catalog.pg_largeobject_metadata
UNION ALL
SELECT format('database %I', datname) FROM pg_catalog.pg_database
 WHERE datname NOT IN ('template0', 'template1')";

/// Roles, their settings, memberships and privileges. Passwords are copied, but not shown.
const ROLES: &str = "
SELECT format('role %I %s', rolname, concat_ws(' ',
              rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
              rolbypassrls, rolconnlimit, rolpassword IS NOT NULL, rolvaliduntil,
              pg_catalog.shobj_description(oid, 'pg_authid')))
  FROM pg_catalog.pg_authid WHERE rolname !~ '^pg_'
UNION ALL
SELECT format('setting of %s in %s: %s', coalesce(r.rolname, 'all'), coalesce(d.datname, 'all'), one)
  FROM pg_catalog.pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) AS one
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
UNION ALL
SELECT format('member %I of %I%s', m.rolname, r.rolname,
              CASE WHEN a.admin_option THEN ' admin' ELSE '' END)
  FROM pg_catalog.pg_auth_members a
  JOIN pg_catalog.pg_roles r ON r.oid = a.roleid
  JOIN pg_catalog.pg_roles m ON m.oid = a.member
 WHERE m.rolname !~ '^pg_'
UNION ALL
SELECT format('grant %s', statement)
  FROM (%GRANTS%) AS given (place, statement)";

/// Returns the lines of one database.
pub(super) async fn of(connection: &mut PgConnection) -> anyhow::Result<BTreeSet<String>> {
    let mut lines: BTreeSet<String> =
        sqlx::query_scalar(OBJECTS).fetch_all(&mut *connection).await?.into_iter().collect();
    let roles = ROLES.replace("%GRANTS%", super::roles::GRANTS);
    let roles: Vec<String> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(roles)).fetch_all(connection).await?;
    lines.extend(roles);
    Ok(lines)
}

/// Fails if one database has objects that the other lacks.
pub(super) fn compare(old: &BTreeSet<String>, new: &BTreeSet<String>) -> anyhow::Result<()> {
    let lines = |lines: Vec<&String>| {
        let more = lines.len().saturating_sub(SHOWN);
        let mut shown: Vec<String> = lines.into_iter().take(SHOWN).cloned().collect();
        if more > 0 {
            shown.push(format!("{more} more"));
        }
        shown.join("; ")
    };
    let missing: Vec<_> = old.difference(new).collect();
    ensure!(
        missing.is_empty(),
        "the private database contains objects that verbatim did not create and does not copy: \
         {}. Drop them, or move the cluster by pg_dump or pg_upgrade",
        lines(missing)
    );
    let extra: Vec<_> = new.difference(old).collect();
    ensure!(
        extra.is_empty(),
        "the private database lacks what this verbatim makes: {}",
        lines(extra)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_named() {
        let old = BTreeSet::from(["schema public".to_owned(), "table a.b".to_owned()]);
        let new = BTreeSet::from(["schema public".to_owned()]);
        compare(&old, &old).unwrap();
        let error = compare(&old, &new).unwrap_err().to_string();
        assert!(error.contains("does not copy: table a.b."), "{error}");
        let error = compare(&new, &old).unwrap_err().to_string();
        assert!(error.contains("lacks what this verbatim makes: table a.b"), "{error}");
    }
}
