//! Opening the file: what is damaged is set aside and replaced, and what merely fails is tried
//! again.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use super::file::{FileError, InboxFile};
use super::group::Contents;
use super::salvage::aside;
use super::salvage::note::Note;
use super::trouble::{Trouble, chain};
use crate::clock::Clock;

/// How long to wait before a failing file is tried again.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// The longest such wait, where one file after the other is damaged: on a disk that damages all
/// that it is given, set-aside files must not pile up by the thousand.
const REOPEN_AFTER_DAMAGE: Duration = Duration::from_mins(1);

/// A file that can be trusted.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: InboxFile,
    /// What lies in it behind the group that was asked about.
    pub(super) contents: Option<Contents>,
    /// It is a new one: another stood in its place, and is to be salvaged.
    pub(super) set_aside: bool,
}

/// Why a file that was open is not trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It may be whole, and is kept if it is.
    CannotWrite,
    /// It has proved that it is not.
    Damaged,
    /// It is whole, and has no name any more.
    Removed,
}

impl Doubt {
    pub(super) fn of(error: &FileError) -> Self {
        match error {
            FileError::Removed => Self::Removed,
            error if error.is_damage() => Self::Damaged,
            _ => Self::CannotWrite,
        }
    }
}

/// Opens the file, or makes it, and sees what lies in it behind the group with the number `after`.
/// One that is damaged is set aside, and a new one made.
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

/// Closes a file that is not trusted any more. One that has lost its name is saved under another,
/// from where it is brought over like a damaged one.
pub(super) async fn give_up(mut old: InboxFile, path: &Path, clock: &Clock, doubt: Doubt) {
    if doubt == Doubt::Removed {
        let kept = aside::name_for(path, clock.now());
        let copied = match prepare_folder(path) {
            Ok(()) => old.copy_to(&kept).await,
            Err(error) => Err(error),
        };
        if let Err(error) = copied {
            tracing::error!(error = %chain(&error), "the inbox's file has been removed, and cannot \
                be saved: of what was not in Postgres, only what is in memory will get there");
        }
    }
    // Its error is the one that brought us here.
    let _ = old.close().await;
}

/// Tries for as long as it takes. A file is trusted once it has been checked and has taken a
/// commit. What it holds up to the group with the number `known` is in the account already.
pub(super) async fn until_it_opens(
    path: &Path,
    clock: &Clock,
    doubt: Doubt,
    known: i64,
    trouble: &Trouble,
) -> Opened {
    let removed = doubt == Doubt::Removed;
    let mut attempts = Attempts {
        damaged: doubt == Doubt::Damaged,
        foreign: removed,
        // What was under the name before has been saved elsewhere.
        set_aside: removed,
        known: if removed { 0 } else { known },
    };
    // What is proven needs no second look.
    let mut wait = if doubt == Doubt::CannotWrite { REOPEN_AFTER } else { Duration::ZERO };
    let mut failures = 0_u32;
    loop {
        tokio::time::sleep(wait).await;
        let error = match attempts.next(path, clock).await {
            Ok(opened) => return opened,
            Err(error) => error,
        };
        trouble.is(&error);
        failures += 1;
        // An outage of an hour is one line at its start, and one now and then.
        if failures.is_power_of_two() {
            tracing::error!(
                error = %chain(&error),
                failures,
                "the inbox cannot be used, and deliveries go to Postgres before they are answered; \
                 it is tried again. Look whether its disk is full, read-only or failing, and who \
                 may write to its folder"
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
    /// The file in place is to be set aside.
    damaged: bool,
    /// The file in place, if there is one, is not the one that we wrote.
    foreign: bool,
    /// One has been, and the one that will be opened is new.
    set_aside: bool,
    /// The last group of the file that is known.
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
            // An earlier one of ours, as where its disk is mounted again. Its groups' numbers are in
            // no account, and may be those of others that are: so they come by salvage.
            let _ = file.close().await;
            self.set_aside(path, clock, "it is not the one that was written last").await?;
            (file, contents) = open_whole(path, self.known).await?;
        }
        self.foreign = false;
        if let Err(error) = file.probe().await {
            self.damaged = error.is_damage();
            // What counts is why it takes nothing.
            let _ = file.close().await;
            return Err(error);
        }
        Ok(Opened { file, contents, set_aside: self.set_aside })
    }

    /// Sets the file aside. Where that fails it may have half happened, so the next attempt goes on
    /// with it: what is in place then may look whole, and hold nothing of what the account says.
    async fn set_aside(&mut self, path: &Path, clock: &Clock, why: &str) -> Result<(), FileError> {
        self.damaged = true;
        set_aside(path, clock, why).await?;
        (self.damaged, self.set_aside) = (false, true);
        Ok(())
    }
}

/// Checks the file from outside before SQLite opens it, which would take what it cannot read of
/// the log for its end, and delete a log whose file is gone.
async fn open_whole(path: &Path, after: i64) -> Result<(InboxFile, Option<Contents>), FileError> {
    let place = path.to_owned();
    if let Some(damage) = blocking(move || aside::damage(&place)).await.map_err(|source| {
        FileError::Io { what: "cannot look at the inbox's file", path: path.to_owned(), source }
    })? {
        return Err(FileError::Corrupt(damage));
    }
    let mut file = InboxFile::open(path).await?;
    let contents = match file.contents(after).await {
        Ok(contents) => forget_note(path).await.map(|()| contents),
        Err(error) => Err(error),
    };
    match contents {
        Ok(contents) => Ok((file, contents)),
        Err(error) => {
            // What counts is why it cannot be used.
            let _ = file.close().await;
            Err(error)
        }
    }
}

/// Before the file takes anything that the note does not tell.
async fn forget_note(path: &Path) -> Result<(), FileError> {
    let place = path.to_owned();
    blocking(move || Note::remove(&place)).await.map_err(|source| FileError::Io {
        what: "cannot remove the note of what it held, beside",
        path: path.to_owned(),
        source,
    })
}

/// Closes a file for good, and notes what it holds: nothing else would tell, if it lost its end.
pub(super) async fn close(mut file: InboxFile, path: &Path) -> Result<(), FileError> {
    let contents = file.contents(0).await;
    file.close().await?;
    let (place, note) = (path.to_owned(), Note::of(contents?));
    blocking(move || note.write(&place)).await.map_err(|source| FileError::Io {
        what: "cannot note what it holds, beside",
        path: path.to_owned(),
        source,
    })
}

async fn set_aside(path: &Path, clock: &Clock, why: &str) -> Result<(), FileError> {
    let (place, now) = (path.to_owned(), clock.now());
    let kept = blocking(move || aside::set_aside(&place, now)).await.map_err(|source| {
        FileError::Io { what: "cannot set aside the damaged", path: path.to_owned(), source }
    })?;
    tracing::error!(
        why,
        file = %kept.display(),
        "the inbox's file is damaged; it has been set aside, a new one is in use, and all that can \
         still be read is being brought over"
    );
    Ok(())
}

/// Makes the folder, closed to others: deliveries are conversations.
fn prepare_folder(path: &Path) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or(path);
    if folder.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    // A folder whose name is not on disk takes what is in it along.
    made.and_then(|()| folder.parent().map_or(Ok(()), aside::sync_folder)).map_err(|source| {
        FileError::Io { what: "cannot make the inbox's folder", path: folder.to_owned(), source }
    })
}

/// Runs what reads and writes files where that holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::inbox::group::GroupInfo;

    #[tokio::test]
    async fn a_file_that_was_set_aside_by_halves_is_known_to_be_gone() {
        let folder = tempfile::tempdir().unwrap();
        // So long that its log cannot be called what it is to be called.
        let path = folder.path().join("i".repeat(229));
        let log = aside::log_of(&path);
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
        // As where the disk took the new name, and did not say so.
        std::fs::remove_file(&log).unwrap();
        let opened = attempts.next(&path, &clock).await.unwrap();
        assert!(opened.set_aside, "what the account says of a file was said of another");
    }
}
