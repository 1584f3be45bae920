//! The old cluster's configuration, carried over to the new one: settings that somebody changed, rules
//! of access, and files beside them, such as a certificate.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use sqlx::postgres::PgConnection;

use super::super::cluster::Cluster;
use super::report::Report;

/// Settings of the configuration files, the last of each name.
const SETTINGS: &str = "
SELECT name::text, setting::text FROM pg_catalog.pg_file_settings
 WHERE name IS NOT NULL AND setting IS NOT NULL ORDER BY seqno";
/// Rules of access, which the new cluster gets in the place of its own.
const RULES: [&str; 2] = ["pg_hba.conf", "pg_ident.conf"];
/// Files that belong to a server's run or its program, and files of settings, whose content is carried
/// over.
const LEFT: [&str; 9] = [
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

/// What the new configuration must say more than it does.
pub(super) struct Configuration {
    settings: BTreeMap<String, String>,
}

impl Configuration {
    /// Reads what differs. Settings that the new version does not know are left out, and reported.
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
            // A name with a dot is an extension's.
            let is_known = known.contains(name) || name.contains('.');
            if !is_known {
                report.line(&format!("the setting {name} is unknown to the new version; left out"));
            }
            is_known
        });
        Ok(Self { settings })
    }

    /// Writes it to the new cluster, whose server does not run.
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
            let is_left = LEFT.iter().any(|left| name == OsStr::new(left));
            let to = new.join(&name);
            // Links stay out: they would be followed with rights that their maker may not have.
            if entry.file_type()?.is_file() && !is_left && (is_rules || !to.exists()) {
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

/// Settings by name; of several of one name, the last counts.
async fn read_settings(connection: &mut PgConnection) -> sqlx::Result<BTreeMap<String, String>> {
    let settings: Vec<(String, String)> = sqlx::query_as(SETTINGS).fetch_all(connection).await?;
    Ok(settings.into_iter().collect())
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;

    // The folder is the server's account's: it must not make us write elsewhere.
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn copy(cluster: &Cluster, from: &Path, to: &Path) -> anyhow::Result<()> {
    // Removed first, so that the copy is a file of its own.
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
    fn settings_are_written_as_the_server_reads_them() {
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
