//! The disk below the data folder: its room, its kind, and who may look.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, Uid, access};

use super::report::{Area, Report};
use crate::config::Settings;

const AREA: Area = Area::Disk;

/// With less than this Postgres stops to write, and the inbox soon after.
const LEAST_BYTES: u64 = 256 << 20;
/// With fewer than this files can no longer be made: Postgres makes a few for each partition.
const LEAST_INODES: u64 = 1_000;
/// Secrets that the first start makes.
const SECRETS: [&str; 2] = ["webhook-secret", "api-key"];

pub(super) fn check(settings: &Settings, config_file: Option<&Path>, report: &mut Report) {
    let folder = &settings.database.data_dir;
    match folder.metadata() {
        Ok(found) => check_folder(folder, &found, report),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.ok(AREA, "folder", format!("{} is made by the first start", folder.display()));
        }
        Err(error) => report.fail(
            AREA,
            "folder",
            format!("{}: {error}", folder.display()),
            "ask as the account that runs the service",
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
    // A private cluster may lie on another disk, behind a link.
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
            format!("{place} is no folder"),
            "choose another with --data-dir, or move away what is there",
        );
    } else if mode & 0o022 != 0 {
        report.fail(
            AREA,
            "folder",
            format!("others may write to {place} (mode {mode:04o})"),
            format!("chmod go-w {place}: whoever writes there can replace inbox and secrets"),
        );
    } else if access(folder, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        report.fail(
            AREA,
            "folder",
            format!(
                "{place} belongs to the user with the id {}, and this one ({us}) may not \
                     write to it",
                found.uid()
            ),
            format!(
                "ask as the account that runs the service; if you do, chown -R it to it: {place}"
            ),
        );
    } else if mode & 0o044 != 0 {
        report.warn(
            AREA,
            "folder",
            format!("others may list {place} (mode {mode:04o})"),
            format!("chmod go-r {place}: deliveries are conversations, and nobody else's to see"),
        );
    } else {
        report.ok(AREA, "folder", format!("{place} (mode {mode:04o})"));
    }
}

/// A secret that was made is its account's alone.
fn check_secret(path: &Path, report: &mut Report) {
    let Ok(found) = path.metadata() else { return };
    let (mode, place) = (found.permissions().mode() & 0o7777, path.display());
    if mode & 0o077 != 0 {
        report.fail(
            AREA,
            "secrets",
            format!("others may open {place} (mode {mode:04o})"),
            format!(
                "chmod 600 {place}; if others may have read it, remove it and start anew: another \
                 one is made"
            ),
        );
    } else {
        report.ok(AREA, "secrets", format!("{place} (mode {mode:04o})"));
    }
}

/// A configuration may hold secrets, or none; a group of its own is how a file of root's is given
/// to one service.
fn check_config_file(path: &Path, report: &mut Report) {
    let Ok(found) = path.metadata() else { return };
    let (mode, place) = (found.permissions().mode() & 0o7777, path.display());
    if mode & 0o022 != 0 {
        report.fail(
            AREA,
            "secrets",
            format!("others may write {place} (mode {mode:04o})"),
            format!("chmod go-w {place}: whoever writes it decides where deliveries go"),
        );
    } else if mode & 0o004 != 0 {
        report.warn(
            AREA,
            "secrets",
            format!("everybody may read {place} (mode {mode:04o})"),
            format!("chmod o-r {place} if it holds secrets"),
        );
    } else {
        report.ok(AREA, "secrets", format!("{place} (mode {mode:04o})"));
    }
}

/// The path, or the nearest folder above it that exists.
fn existing(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    absolute.ancestors().find(|path| path.exists()).map(Path::to_owned)
}

fn device(path: Option<&Path>) -> Option<u64> {
    path?.metadata().ok().map(|found| found.dev())
}

/// `wanted` is what the inbox may yet take.
fn check_room(place: Option<&Path>, wanted: u64, report: &mut Report) {
    let Some(place) = place else { return };
    let room = match statvfs(place) {
        Ok(room) => room,
        Err(error) => {
            report.warn(
                AREA,
                "room",
                format!("{}: {error}", place.display()),
                "see what `df` says of it",
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
    let says = format!("{} free at {}", ByteSize(free).display(), place.display());
    if free < LEAST_BYTES {
        report.fail(
            AREA,
            "room",
            says,
            "make room now: Postgres stops when its disk is full, and deliveries are refused once \
             the inbox cannot write either",
        );
    } else if free < wanted {
        report.warn(
            AREA,
            "room",
            format!("{says}, and the inbox may take {}", ByteSize(wanted).display()),
            "make room, or lower --inbox-quota: a long outage of Postgres would fill the disk, and \
             a private PostgreSQL with it",
        );
    } else {
        report.ok(AREA, "room", says);
    }
    // Some file systems make them as they are needed, and tell 0.
    if files > 0 && free_files < LEAST_INODES {
        report.fail(
            AREA,
            "inodes",
            format!("{free_files} of {files} are free at {}", place.display()),
            "remove files (`df -i` tells where they went), or make the file system anew with more \
             inodes",
        );
    } else if files > 0 {
        report.ok(AREA, "inodes", format!("{free_files} of {files} are free"));
    }
}

/// Whether what is written there outlives the machine, and is synced when it says so.
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
            format!("{place} is on the network: locks and syncs are what the server makes of them"),
            "put the data folder on a local disk; Postgres may be elsewhere",
        );
    } else if kind == OVERLAYFS_SUPER_MAGIC {
        report.warn(
            AREA,
            "kind",
            format!(
                "{place} is a container's own layer (overlayfs), which goes with the container"
            ),
            "mount a volume there",
        );
    } else {
        report.ok(AREA, "kind", "a local disk");
    }
}

/// Only Linux tells.
#[cfg(not(target_os = "linux"))]
fn check_kind(_place: &Path, _report: &mut Report) {}
