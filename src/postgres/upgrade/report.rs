//! Progress of an upgrade, line by line: in the log, and in a file that `verbatim upgrade-postgres`
//! reads while a service does the work.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::super::home::Home;

/// Prefix of the last line of a complete upgrade.
pub(super) const DONE: &str = "done: ";
/// Prefix of the last line of a failed upgrade.
pub(super) const FAILED: &str = "failed: ";

/// Writer of the report.
#[derive(Clone, Debug)]
pub(super) struct Report {
    path: PathBuf,
}

impl Report {
    /// Opens the report of a request, and continues it if it exists.
    pub(super) fn of(home: &Home, id: &str) -> Self {
        let report = Self { path: home.upgrade_report() };
        let known = std::fs::read_to_string(&report.path).unwrap_or_default();
        let begin = first_line(id);
        let text = if known.starts_with(&begin) { known } else { begin };
        // A new file: root, which ran the command without a service, may own the last one.
        let aside = report.path.with_extension("log.new");
        let _ = std::fs::remove_file(&aside);
        let _ = std::fs::File::create_new(&aside)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&aside, &report.path));
        report
    }

    /// Appends a line.
    pub(super) fn line(&self, text: &str) {
        tracing::info!("private PostgreSQL upgrade: {text}");
        self.append(text);
    }

    /// Appends the last line of a failed upgrade.
    pub(super) fn failed(&self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        tracing::error!(
            error = text,
            "private PostgreSQL upgrade failed; the cluster is unchanged and in use"
        );
        self.append(&format!("{FAILED}{}", text.replace('\n', " ")));
    }

    fn append(&self, text: &str) {
        // Errors are ignored: the upgrade does not depend on its report.
        let mut options = std::fs::OpenOptions::new();
        // Links are not followed: root may write here, and another account could place them.
        options.append(true).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        let _ = options.open(&self.path).and_then(|mut file| writeln!(file, "{text}"));
    }
}

/// Returns the lines of a request so far; `None` if its work has not begun.
pub(super) fn lines_of(home: &Home, id: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(home.upgrade_report()).ok()?;
    let rest = text.strip_prefix(&first_line(id))?;
    // A line without its end is incomplete.
    let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
    Some(whole.lines().map(str::to_owned).collect())
}

fn first_line(id: &str) -> String {
    format!("upgrade {id}\n")
}
