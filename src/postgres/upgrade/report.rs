//! What an upgrade does, line by line: in our log, and in a file that `verbatim upgrade-postgres`
//! reads while a service does the work.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::super::home::Home;

/// Begins the last line of an upgrade that is done.
pub(super) const DONE: &str = "done: ";
/// Begins the last line of one that has failed.
pub(super) const FAILED: &str = "failed: ";

/// Writes the lines.
#[derive(Clone, Debug)]
pub(super) struct Report {
    path: PathBuf,
}

impl Report {
    /// The report on the request with this id, which goes on where it was left.
    pub(super) fn of(home: &Home, id: &str) -> Self {
        let report = Self { path: home.upgrade_report() };
        let known = std::fs::read_to_string(&report.path).unwrap_or_default();
        let begin = first_line(id);
        let text = if known.starts_with(&begin) { known } else { begin };
        // A file of our own: the last one may belong to root, which ran the command without a service.
        let aside = report.path.with_extension("log.new");
        let _ = std::fs::remove_file(&aside);
        let _ = std::fs::File::create_new(&aside)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&aside, &report.path));
        report
    }

    /// Adds a line.
    pub(super) fn line(&self, text: &str) {
        tracing::info!("private PostgreSQL upgrade: {text}");
        self.append(text);
    }

    /// Adds the last line of an upgrade that has failed.
    pub(super) fn failed(&self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        tracing::error!(
            error = text,
            "private PostgreSQL upgrade failed; the cluster is as it was, and in use"
        );
        self.append(&format!("{FAILED}{}", text.replace('\n', " ")));
    }

    fn append(&self, text: &str) {
        // It tells whoever waits; the upgrade does not depend on it.
        let mut options = std::fs::OpenOptions::new();
        // Root may write here, where another account can plant links.
        options.append(true).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        let _ = options.open(&self.path).and_then(|mut file| writeln!(file, "{text}"));
    }
}

/// The lines of the request with this id so far; `None` where nobody has begun with it.
pub(super) fn lines_of(home: &Home, id: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(home.upgrade_report()).ok()?;
    let rest = text.strip_prefix(&first_line(id))?;
    // A line that is half written is not one yet.
    let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
    Some(whole.lines().map(str::to_owned).collect())
}

fn first_line(id: &str) -> String {
    format!("upgrade {id}\n")
}
