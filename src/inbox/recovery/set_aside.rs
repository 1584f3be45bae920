//! Damaged files: detection, names, and the reports of their recovery.
//!
//! ```text
//! inbox.sqlite, -wal, -shm                          in use
//! inbox.sqlite.closed.json                          note of its contents when it was closed
//! inbox.sqlite.damaged-20261123T231500Z, -wal, -shm set aside; never deleted by the service
//! inbox.sqlite.damaged-20261123T231500Z.salvage.json  report: its intact deliveries are durable
//! inbox.sqlite.group-17-0c5f3a91                    a group with damage
//! ```

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::log::Log;
use crate::inbox::blocking::blocking;

/// Suffixes of SQLite's files beside the database.
const LOG: &str = "-wal";
const LOG_INDEX: &str = "-shm";
const DAMAGED: &str = ".damaged-";
const REPORT: &str = ".salvage.json";
/// Suffix of the note that is written when a file is closed.
const NOTE: &str = ".closed.json";
const GROUP: &str = ".group-";

/// Checks the file and its log without SQLite. Returns the damage, or `None`.
pub(in crate::inbox) fn damage(path: &Path) -> Result<Option<String>> {
    let log = log_of(path);
    let length = match path.metadata() {
        Ok(found) if found.is_dir() => return Ok(Some("it is a directory".into())),
        Ok(found) => Some(found.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let log = match File::open(&log) {
        Ok(file) => Log::read(file)?,
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(match (length, log) {
        (None, Some(_)) => Some("it is missing, but its log exists".into()),
        (Some(0), Some(_)) => Some("it is empty, but its log exists".into()),
        (Some(0), None) => {
            tracing::error!(file = %path.display(), "inbox file is empty; its contents are lost \
                unless the first start was interrupted");
            None
        }
        (_, Some(log)) if log.is_damaged() => Some("its log is damaged".into()),
        _ => None,
    })
}

/// Renames the file, its log and its note, and returns the new name.
pub(in crate::inbox) fn set_aside(path: &Path, now: DateTime<Utc>) -> Result<PathBuf> {
    // After a crash between two renames the log belongs to the file renamed last.
    let kept = interrupted(path)?.unwrap_or_else(|| name_for(path, now));
    for part in ["", LOG, LOG_INDEX, NOTE] {
        match std::fs::rename(with(path, part), with(&kept, part)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_folder(folder_of(path))?;
    Ok(kept)
}

/// Returns the file that was set aside without its log, if the log still has its old name.
fn interrupted(path: &Path) -> Result<Option<PathBuf>> {
    if path.symlink_metadata().is_ok() || !log_of(path).exists() {
        return Ok(None);
    }
    let mut files = unrecovered(path)?;
    files.retain(|kept| kept.exists() && !log_of(kept).exists());
    Ok(files.pop())
}

/// Returns a name for a file to be set aside, which no file has.
pub(in crate::inbox) fn name_for(path: &Path, now: DateTime<Utc>) -> PathBuf {
    let wanted = with(path, &format!("{DAMAGED}{}", now.format("%Y%m%dT%H%M%SZ")));
    let taken = |name: &Path| {
        let mut parts = ["", LOG, LOG_INDEX, NOTE, REPORT].iter();
        parts.any(|part| with(name, part).symlink_metadata().is_ok())
    };
    let mut name = wanted.clone();
    let mut count = 1;
    while taken(&name) {
        count += 1;
        name = with(&wanted, &format!(".{count}"));
    }
    name
}

/// Returns the files that were set aside and have no report, oldest first.
pub(in crate::inbox) fn unrecovered(path: &Path) -> Result<Vec<PathBuf>> {
    let folder = folder_of(path);
    let prefix = with(Path::new(path.file_name().unwrap_or_default()), DAMAGED);
    let prefix = prefix.to_string_lossy().into_owned();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let (mut found, mut done) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with(&prefix) {
            continue;
        }
        if let Some(name) = name.strip_suffix(REPORT) {
            done.insert(name.to_owned());
        } else {
            let parts = [LOG, LOG_INDEX, NOTE];
            let of = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(&name);
            found.insert(of.to_owned());
        }
    }
    Ok(found.difference(&done).map(|name| folder.join(name)).collect())
}

/// Writes the report of a recovered file: all its intact deliveries are durable.
pub(in crate::inbox) fn report(kept: &Path, report: &serde_json::Value) -> Result<()> {
    write_whole(&with(kept, REPORT), format!("{report:#}\n").as_bytes())
}

/// Writes the bytes of a damaged group to a separate file, and returns its name.
pub(in crate::inbox) async fn write_group(path: &Path, seq: i64, group: Bytes) -> Result<PathBuf> {
    let name = with(path, &format!("{GROUP}{seq}-{:08x}", crc32fast::hash(&group)));
    blocking(move || write_whole(&name, &group).map(|()| name)).await
}

/// Writes a file atomically, readable only by this account.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = with(path, ".new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(folder_of(path))
}

/// Syncs a folder, so that renames in it survive a crash.
pub(in crate::inbox) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all()
}

pub(in crate::inbox) fn log_of(path: &Path) -> PathBuf {
    with(path, LOG)
}

pub(super) fn note_of(path: &Path) -> PathBuf {
    with(path, NOTE)
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
