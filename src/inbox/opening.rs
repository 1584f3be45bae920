//! Opens and closes the file. Sets a damaged file aside and replaces it; retries after any other
//! error.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use super::blocking::blocking;
use super::file::{FileError, InboxFile};
use super::group::Contents;
use super::last_error::{LastError, chain};
use super::recovery::note::Note;
use super::recovery::set_aside;
use crate::clock::Clock;
use crate::retry::is_logged;

/// Wait before the next attempt to open a failing file.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// Longest wait if file after file is damaged: on a disk that damages every file, thousands of
/// files would be set aside.
const REOPEN_AFTER_DAMAGE: Duration = Duration::from_mins(1);

/// File that passed its check.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: InboxFile,
    /// Groups with a number above `after`.
    pub(super) contents: Option<Contents>,
    /// The file is new: the one before it was set aside, and is to be recovered.
    pub(super) set_aside: bool,
}

/// Reason to close an open file and open it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReopenReason {
    /// The file could not be opened or written. It may be intact, and is used again if it is.
    CannotWrite,
    /// The file is damaged.
    Damaged,
    /// The file is intact, and has no name any more.
    Removed,
}

impl ReopenReason {
    pub(super) fn of(error: &FileError) -> Self {
        match error {
            FileError::Removed => Self::Removed,
            error if error.is_damage() => Self::Damaged,
            _ => Self::CannotWrite,
        }
    }
}

/// Opens or creates the file, and sums up its groups with a number above `after`. Sets a damaged
/// file aside, and creates a new one.
pub(super) async fn open(path: &Path, clock: &Clock, after: i64) -> Result<Opened, FileError> {
    prepare_folder(path)?;
    match open_whole(path, after).await {
        Ok((file, contents)) => Ok(Opened { file, contents, set_aside: false }),
        Err(error) if error.is_damage() => {
            set_aside(path, clock, &chain(&error)).await?;
            let (file, contents) = open_whole(path, after).await?;
            Ok(Opened { file, contents, set_aside: true })
        }
        Err(error) => Err(error),
    }
}

/// Closes a file before it is opened again. Copies a file without a name to a new name, from which
/// it is recovered like a damaged one.
pub(super) async fn close_for_reopen(
    mut old: InboxFile,
    path: &Path,
    clock: &Clock,
    reason: ReopenReason,
) {
    if reason == ReopenReason::Removed {
        let kept = set_aside::name_for(path, clock.now());
        let copied = match prepare_folder(path) {
            Ok(()) => old.copy_to(&kept).await,
            Err(error) => Err(error),
        };
        if let Err(error) = copied {
            tracing::error!(error = %chain(&error), "inbox file was removed and cannot be copied; \
                undrained deliveries that are not in memory are lost");
        }
    }
    // The error that led here is already logged.
    let _ = old.close().await;
}

/// Opens the file, and retries until it passes its check and accepts a commit. Groups up to the
/// number `known` are in the backlog already.
pub(super) async fn open_with_retries(
    path: &Path,
    clock: &Clock,
    reason: ReopenReason,
    known: i64,
    last_error: &LastError,
) -> Opened {
    let removed = reason == ReopenReason::Removed;
    let mut attempts = Attempts {
        damaged: reason == ReopenReason::Damaged,
        foreign: removed,
        // The file that had the name before has been copied.
        set_aside: removed,
        known: if removed { 0 } else { known },
    };
    // Proven damage needs no second attempt.
    let mut wait = if reason == ReopenReason::CannotWrite { REOPEN_AFTER } else { Duration::ZERO };
    let mut failures = 0_u32;
    loop {
        tokio::time::sleep(wait).await;
        let error = match attempts.next(path, clock).await {
            Ok(opened) => return opened,
            Err(error) => error,
        };
        last_error.set(&error);
        failures += 1;
        if is_logged(failures) {
            tracing::error!(
                error = %chain(&error),
                failures,
                "inbox cannot be used, retrying; deliveries are written to Postgres before their \
                 answer. Check whether its disk is full, read-only or failing, and the permissions \
                 of its folder"
            );
        }
        wait = if attempts.set_aside {
            (wait * 2).clamp(REOPEN_AFTER, REOPEN_AFTER_DAMAGE)
        } else {
            REOPEN_AFTER
        };
    }
}

struct Attempts {
    /// The present file is to be set aside.
    damaged: bool,
    /// The present file, if there is one, is not the one that this process wrote.
    foreign: bool,
    /// A file has been set aside, and the next one to open is new.
    set_aside: bool,
    /// Number of the file's last group that the backlog knows.
    known: i64,
}

impl Attempts {
    async fn next(&mut self, path: &Path, clock: &Clock) -> Result<Opened, FileError> {
        if self.damaged {
            self.set_aside(path, clock, "it cannot be read").await?;
        }
        prepare_folder(path)?;
        let (mut file, mut contents) = match open_whole(path, self.known).await {
            Err(error) if error.is_damage() => {
                self.set_aside(path, clock, &chain(&error)).await?;
                open_whole(path, self.known).await?
            }
            opened => opened?,
        };
        if self.foreign && contents.is_some() {
            // An earlier file, for example after its disk is mounted again. The backlog does not
            // know its groups, and their numbers may collide with known ones: they are recovered.
            let _ = file.close().await;
            self.set_aside(path, clock, "it is not the file that was written last").await?;
            (file, contents) = open_whole(path, self.known).await?;
        }
        self.foreign = false;
        if let Err(error) = file.probe().await {
            self.damaged = error.is_damage();
            // The error of the write matters, not that of the close.
            let _ = file.close().await;
            return Err(error);
        }
        Ok(Opened { file, contents, set_aside: self.set_aside })
    }

    /// Sets the file aside. After a failure the next attempt continues, since some files may have
    /// been renamed: the rest may look intact without the groups that the backlog knows.
    async fn set_aside(&mut self, path: &Path, clock: &Clock, why: &str) -> Result<(), FileError> {
        self.damaged = true;
        set_aside(path, clock, why).await?;
        (self.damaged, self.set_aside) = (false, true);
        Ok(())
    }
}

/// Checks the file without SQLite, then opens it. SQLite would treat an unreadable part of the log
/// as its end, and delete a log whose file is gone.
async fn open_whole(path: &Path, after: i64) -> Result<(InboxFile, Option<Contents>), FileError> {
    let place = path.to_owned();
    if let Some(damage) = blocking(move || set_aside::damage(&place)).await.map_err(|source| {
        FileError::Io { what: "cannot inspect the inbox's file", path: path.to_owned(), source }
    })? {
        return Err(FileError::Corrupt(damage));
    }
    let mut file = InboxFile::open(path).await?;
    let contents = match file.contents(after).await {
        Ok(contents) => remove_note(path).await.map(|()| contents),
        Err(error) => Err(error),
    };
    match contents {
        Ok(contents) => Ok((file, contents)),
        Err(error) => {
            // The first error matters, not that of the close.
            let _ = file.close().await;
            Err(error)
        }
    }
}

/// Removes the note, before a write makes it wrong.
async fn remove_note(path: &Path) -> Result<(), FileError> {
    let place = path.to_owned();
    blocking(move || Note::remove(&place)).await.map_err(|source| FileError::Io {
        what: "cannot remove the note beside",
        path: path.to_owned(),
        source,
    })
}

/// Closes a file, and writes a note of its contents: without it a loss of the file's end could not
/// be counted.
pub(super) async fn close(mut file: InboxFile, path: &Path) -> Result<(), FileError> {
    let contents = file.contents(0).await;
    file.close().await?;
    let (place, note) = (path.to_owned(), Note::of(contents?));
    blocking(move || note.write(&place)).await.map_err(|source| FileError::Io {
        what: "cannot write the note beside",
        path: path.to_owned(),
        source,
    })
}

async fn set_aside(path: &Path, clock: &Clock, why: &str) -> Result<(), FileError> {
    let (place, now) = (path.to_owned(), clock.now());
    let kept = blocking(move || set_aside::set_aside(&place, now)).await.map_err(|source| {
        FileError::Io { what: "cannot set aside the damaged", path: path.to_owned(), source }
    })?;
    tracing::error!(
        why,
        file = %kept.display(),
        "inbox file is damaged and was set aside; a new one is in use, and intact deliveries are \
         being recovered"
    );
    Ok(())
}

/// Creates the folder, closed to other accounts: deliveries are conversations.
fn prepare_folder(path: &Path) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or(path);
    if folder.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    // A crash loses the folder and its files unless its name is on disk.
    made.and_then(|()| folder.parent().map_or(Ok(()), set_aside::sync_folder)).map_err(|source| {
        FileError::Io { what: "cannot create the inbox's folder", path: folder.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::inbox::group::GroupInfo;

    #[tokio::test]
    async fn interrupted_set_aside_is_completed_by_the_next_attempt() {
        let folder = tempfile::tempdir().unwrap();
        // Too long for the new name of the log.
        let path = folder.path().join("i".repeat(229));
        let log = set_aside::log_of(&path);
        let mut file = InboxFile::open(&path).await.unwrap();
        let info = GroupInfo { seq: 7, count: 1, bytes: 500, oldest_at: DateTime::default() };
        file.commit(Some((&info, vec![0; 500])), &[]).await.unwrap();
        let frames = std::fs::read(&log).unwrap();
        file.close().await.unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&log, frames).unwrap();

        let mut attempts = Attempts { damaged: false, foreign: false, set_aside: false, known: 7 };
        let clock = Clock::system();
        let error = attempts.next(&path, &clock).await.unwrap_err();
        assert!(matches!(error, FileError::Io { .. }), "{error:?}");
        // As if the disk had renamed the log and reported an error.
        std::fs::remove_file(&log).unwrap();
        let opened = attempts.next(&path, &clock).await.unwrap();
        assert!(opened.set_aside, "the backlog knows groups of another file");
    }
}
