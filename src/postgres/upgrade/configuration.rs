//! Copies the old cluster's configuration to the new one: changed settings, access rules, and other
//! files, such as a certificate.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use sqlx::postgres::PgConnection;

use super::super::cluster::Cluster;
use super::report::Report;

/// Settings of the configuration files; the last one of a name counts.
const SETTINGS: &str = "
SELECT name::text, setting::text FROM pg_catalog.pg_file_settings
 WHERE name IS NOT NULL AND setting IS NOT NULL ORDER BY seqno";
/// Files of access rules, which replace those of the new cluster.
const RULES: [&str; 2] = ["pg_hba.conf", "pg_ident.conf"];
/// Files that are not copied: those of a server's run or program, and settings files, whose
/// contents are copied instead.
const NOT_COPIED: [&str; 9] = [
    "PG_VERSION",
    "postmaster.pid",
    "postmaster.opts",
    "postgresql.conf",
    "postgresql.auto.conf",
    "current_logfiles",
    "backup_label",
    "backup_label.old",
    "tablespace_map",
];

/// Settings to add to the new configuration.
pub(super) struct Configuration {
    settings: BTreeMap<String, String>,
}

impl Configuration {
    /// Reads the differing settings. Those that the new version does not know are left out and
    /// reported.
    pub(super) async fn read(
        old: &mut PgConnection,
        new: &mut PgConnection,
        report: &Report,
    ) -> anyhow::Result<Self> {
        let (mut settings, has) = (read_settings(old).await?, read_settings(&mut *new).await?);
        let known: HashSet<String> = sqlx::query_scalar("SELECT name FROM pg_catalog.pg_settings")
            .fetch_all(new)
            .await?
            .into_iter()
            .collect();
        settings.retain(|name, value| {
            if has.get(name) == Some(&*value) {
                return false;
            }
            // A name with a dot belongs to an extension.
            let is_known = known.contains(name) || name.contains('.');
            if !is_known {
                report.line(&format!("the setting {name} is unknown to the new version; left out"));
            }
            is_known
        });
        Ok(Self { settings })
    }

    /// Writes the configuration to the new cluster, whose server must not run.
    pub(super) fn write(&self, cluster: &Cluster, from: u32) -> anyhow::Result<()> {
        let (old, new) = (cluster.home.cluster(), cluster.home.next_cluster());
        if !self.settings.is_empty() {
            let path = new.join("postgresql.conf");
            let write = || append(&path, &self.text(from));
            write().with_context(|| format!("cannot write {}", path.display()))?;
        }
        for entry in old.read_dir().with_context(|| format!("cannot read {}", old.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let is_rules = RULES.iter().any(|rules| name == OsStr::new(rules));
            let is_excluded = NOT_COPIED.iter().any(|left| name == OsStr::new(left));
            let to = new.join(&name);
            // Links are not copied: following them could use rights that their creator lacks.
            if entry.file_type()?.is_file() && !is_excluded && (is_rules || !to.exists()) {
                copy(cluster, &entry.path(), &to)
                    .with_context(|| format!("cannot copy {}", entry.path().display()))?;
            }
        }
        Ok(())
    }

    fn text(&self, from: u32) -> String {
        let mut text = format!("\n# Carried over from PostgreSQL {from} by verbatim.\n");
        for (name, value) in &self.settings {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        }
        text
    }
}

/// Reads the settings by name; the last one of a name counts.
async fn read_settings(connection: &mut PgConnection) -> sqlx::Result<BTreeMap<String, String>> {
    let settings: Vec<(String, String)> = sqlx::query_as(SETTINGS).fetch_all(connection).await?;
    Ok(settings.into_iter().collect())
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;

    // The server's account owns the folder and must not redirect this write.
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn copy(cluster: &Cluster, from: &Path, to: &Path) -> anyhow::Result<()> {
    // Removed first, so that the copy is a new file.
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    std::fs::copy(from, to)?;
    cluster.account.give(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted_for_the_server() {
        let settings = BTreeMap::from([
            ("log_line_prefix".to_owned(), "it's %m ".to_owned()),
            ("shared_buffers".to_owned(), "1GB".to_owned()),
        ]);
        let text = Configuration { settings }.text(15);
        assert!(
            text.ends_with("log_line_prefix = 'it''s %m '\nshared_buffers = '1GB'\n"),
            "{text}"
        );
    }
}
