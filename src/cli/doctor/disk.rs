//! Checks of the data folder and its disk: free space, kind of file system, permissions.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, Uid, access};

use super::report::{Area, Report};
use crate::config::Settings;

const AREA: Area = Area::Disk;

/// Least free space, in bytes. With less, Postgres soon stops to write, and then the inbox.
const LEAST_BYTES: u64 = 256 << 20;
/// Least free inodes: Postgres creates a few files for each partition.
const LEAST_INODES: u64 = 1_000;
/// Secrets that the first start generates.
const SECRETS: [&str; 2] = ["webhook-secret", "api-key"];

pub(super) fn check(settings: &Settings, config_file: Option<&Path>, report: &mut Report) {
    let folder = &settings.database.data_dir;
    match folder.metadata() {
        Ok(found) => check_folder(folder, &found, report),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = folder.display();
            report.ok(AREA, "folder", format!("{folder} is created by the first start"));
        }
        Err(error) => report.fail(
            AREA,
            "folder",
            format!("{}: {error}", folder.display()),
            "run doctor as the account of the service",
        ),
    }
    for name in SECRETS {
        check_secret(&folder.join(name), report);
    }
    if let Some(file) = config_file {
        check_config_file(file, report);
    }
    let inbox = existing(&folder.join("inbox"));
    check_room(inbox.as_deref(), settings.inbox_quota_bytes, report);
    if let Some(inbox) = &inbox {
        check_kind(inbox, report);
    }
    // A link may put a private cluster on another disk.
    let cluster = existing(&folder.join("postgres").join("cluster"));
    if settings.database.url.is_none() && device(cluster.as_deref()) != device(inbox.as_deref()) {
        check_room(cluster.as_deref(), 0, report);
    }
}

fn check_folder(folder: &Path, found: &Metadata, report: &mut Report) {
    let (mode, us) = (found.permissions().mode() & 0o7777, Uid::effective());
    let place = folder.display();
    if !found.is_dir() {
        report.fail(
            AREA,
            "folder",
            format!("{place} is not a folder"),
            "choose another with --data-dir, or move this file",
        );
    } else if mode & 0o022 != 0 {
        report.fail(
            AREA,
            "folder",
            format!("others may write to {place} (mode {mode:04o})"),
            format!("run `chmod go-w {place}`: other accounts can replace inbox and secrets"),
        );
    } else if access(folder, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        report.fail(
            AREA,
            "folder",
            format!("{place} belongs to user ID {}, and user ID {us} cannot write it", found.uid()),
            format!(
                "run doctor as the account of the service. If this is the account, give it the \
                 folder with `chown -R`: {place}"
            ),
        );
    } else if mode & 0o044 != 0 {
        report.warn(
            AREA,
            "folder",
            format!("others may list {place} (mode {mode:04o})"),
            format!("run `chmod go-r {place}`: deliveries contain conversations"),
        );
    } else {
        report.ok(AREA, "folder", format!("{place} (mode {mode:04o})"));
    }
}

/// Checks that only the service's account may open a generated secret.
fn check_secret(path: &Path, report: &mut Report) {
    let Ok(found) = path.metadata() else { return };
    let (mode, place) = (found.permissions().mode() & 0o7777, path.display());
    if mode & 0o077 != 0 {
        report.fail(
            AREA,
            "secrets",
            format!("others may open {place} (mode {mode:04o})"),
            format!(
                "run `chmod 600 {place}`. If others may have read it, remove it and restart the \
                 service, which generates another"
            ),
        );
    } else {
        report.ok(AREA, "secrets", format!("{place} (mode {mode:04o})"));
    }
}

/// Checks the permissions of the configuration file, which may contain secrets. Its group may read
/// it: a file of root is shared with one service this way.
fn check_config_file(path: &Path, report: &mut Report) {
    let Ok(found) = path.metadata() else { return };
    let (mode, place) = (found.permissions().mode() & 0o7777, path.display());
    if mode & 0o022 != 0 {
        report.fail(
            AREA,
            "secrets",
            format!("others may write {place} (mode {mode:04o})"),
            format!("run `chmod go-w {place}`: other accounts can redirect deliveries"),
        );
    } else if mode & 0o004 != 0 {
        report.warn(
            AREA,
            "secrets",
            format!("everybody may read {place} (mode {mode:04o})"),
            format!("run `chmod o-r {place}` if it contains secrets"),
        );
    } else {
        report.ok(AREA, "secrets", format!("{place} (mode {mode:04o})"));
    }
}

/// Returns the path, or the nearest folder above it that exists.
fn existing(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    absolute.ancestors().find(|path| path.exists()).map(Path::to_owned)
}

fn device(path: Option<&Path>) -> Option<u64> {
    path?.metadata().ok().map(|found| found.dev())
}

/// Checks free space and inodes. `quota` is the limit on the inbox's size, in bytes.
fn check_room(place: Option<&Path>, quota: u64, report: &mut Report) {
    let Some(place) = place else { return };
    let room = match statvfs(place) {
        Ok(room) => room,
        Err(error) => {
            report.warn(
                AREA,
                "room",
                format!("{}: {error}", place.display()),
                "inspect it with `df`",
            );
            return;
        }
    };
    #[expect(clippy::useless_conversion, reason = "narrower on some systems")]
    let (blocks, files, free_files) = (
        u64::from(room.blocks_available()),
        u64::from(room.files()),
        u64::from(room.files_available()),
    );
    let free = blocks.saturating_mul(room.fragment_size());
    let message = format!("{} free at {}", ByteSize(free).display(), place.display());
    if free < LEAST_BYTES {
        report.fail(
            AREA,
            "room",
            message,
            "free some space now: Postgres stops when its disk is full, and deliveries are \
             rejected when the inbox cannot write either",
        );
    } else if free < quota {
        report.warn(
            AREA,
            "room",
            format!("{message}, but the inbox may use {}", ByteSize(quota).display()),
            "free some space, or lower --inbox-quota: a long outage of Postgres would fill the \
             disk, also for a private PostgreSQL",
        );
    } else {
        report.ok(AREA, "room", message);
    }
    // Some file systems create inodes when needed, and report 0.
    if files > 0 && free_files < LEAST_INODES {
        report.fail(
            AREA,
            "inodes",
            format!("{free_files} of {files} are free at {}", place.display()),
            "remove files (`df -i` prints the use), or create the file system again with more \
             inodes",
        );
    } else if files > 0 {
        report.ok(AREA, "inodes", format!("{free_files} of {files} are free"));
    }
}

/// Checks the kind of file system: whether files survive a restart, and syncs are reliable.
#[cfg(target_os = "linux")]
fn check_kind(place: &Path, report: &mut Report) {
    use nix::sys::statfs::{
        NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, SMB_SUPER_MAGIC, TMPFS_MAGIC, statfs,
    };

    let Ok(kind) = statfs(place).map(|found| found.filesystem_type()) else { return };
    let place = place.display();
    if kind == TMPFS_MAGIC {
        report.fail(
            AREA,
            "kind",
            format!("{place} is in memory (tmpfs): a restart of the machine loses the inbox"),
            "put the data folder on a disk",
        );
    } else if kind == NFS_SUPER_MAGIC || kind == SMB_SUPER_MAGIC {
        report.warn(
            AREA,
            "kind",
            format!("{place} is on the network: locks and syncs depend on its server"),
            "put the data folder on a local disk; Postgres may be elsewhere",
        );
    } else if kind == OVERLAYFS_SUPER_MAGIC {
        report.warn(
            AREA,
            "kind",
            format!("{place} is in a container's layer (overlayfs), removed with the container"),
            "mount a volume there",
        );
    } else {
        report.ok(AREA, "kind", "a local disk");
    }
}

/// Does nothing: only Linux reports the kind.
#[cfg(not(target_os = "linux"))]
fn check_kind(_place: &Path, _report: &mut Report) {}
