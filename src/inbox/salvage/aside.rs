//! Damaged files: how they are recognised, where they are kept, and what has been salvaged.
//!
//! ```text
//! inbox.sqlite, -wal, -shm                          in use
//! inbox.sqlite.closed.json                          what it held when it was closed
//! inbox.sqlite.damaged-20261123T231500Z, -wal, -shm set aside; never deleted by us
//! inbox.sqlite.damaged-20261123T231500Z.salvage.json  all that could be read of it is safe
//! inbox.sqlite.group-17-0c5f3a91                    a group of which a part cannot be read
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
use crate::inbox::opening::blocking;

/// What SQLite puts beside its file.
const LOG: &str = "-wal";
const LOG_INDEX: &str = "-shm";
const DAMAGED: &str = ".damaged-";
const REPORT: &str = ".salvage.json";
/// What a file held when it was closed.
const NOTE: &str = ".closed.json";
const GROUP: &str = ".group-";

/// Why the file is damaged, as far as can be seen without opening it.
pub(in crate::inbox) fn damage(path: &Path) -> Result<Option<String>> {
    let log = log_of(path);
    let length = match path.metadata() {
        Ok(found) if found.is_dir() => return Ok(Some("it is a folder".into())),
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
        (None, Some(_)) => Some("it is gone, and its log is there".into()),
        (Some(0), Some(_)) => Some("it is empty, and its log is there".into()),
        (Some(0), None) => {
            tracing::error!(file = %path.display(), "the inbox's file is empty: unless its very \
                first start was interrupted, what it held is gone");
            None
        }
        (_, Some(log)) if log.is_damaged() => Some("its log is damaged".into()),
        _ => None,
    })
}

/// Renames the file and what belongs to it, and says what it is called now.
pub(in crate::inbox) fn set_aside(path: &Path, now: DateTime<Utc>) -> Result<PathBuf> {
    // A crash between two renames: this log belongs to that file.
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

/// The file that was set aside without its log, if the log is still in its old place.
fn interrupted(path: &Path) -> Result<Option<PathBuf>> {
    if path.symlink_metadata().is_ok() || !log_of(path).exists() {
        return Ok(None);
    }
    let mut files = unsalvaged(path)?;
    files.retain(|kept| kept.exists() && !log_of(kept).exists());
    Ok(files.pop())
}

/// A name that is not taken.
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

/// The files that were set aside and have no report, oldest first.
pub(in crate::inbox) fn unsalvaged(path: &Path) -> Result<Vec<PathBuf>> {
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

/// Puts on record that all that could be read of a file is safe.
pub(in crate::inbox) fn report(kept: &Path, report: &serde_json::Value) -> Result<()> {
    write_whole(&with(kept, REPORT), format!("{report:#}\n").as_bytes())
}

/// Keeps the bytes of a damaged group in a file of their own.
pub(in crate::inbox) async fn keep_group(path: &Path, seq: i64, group: Bytes) -> Result<PathBuf> {
    let name = with(path, &format!("{GROUP}{seq}-{:08x}", crc32fast::hash(&group)));
    blocking(move || write_whole(&name, &group).map(|()| name)).await
}

/// Writes a file that is there whole or not at all, and only for us to read.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = with(path, ".new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(folder_of(path))
}

/// What has been renamed in it stays so.
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
