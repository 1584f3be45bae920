//! Brings over what can still be read of damaged files, through the inbox's front door.
//!
//! A damaged file is set aside when it is noticed (`aside`), and nobody waits for more: the service
//! goes on with a new one. Here the old one is read at leisure, and all that is whole in it is
//! handed to the inbox like any delivery. A file counts as done once its report lies beside it,
//! which is when all of that is durable; until then it is begun again at every start. Whatever
//! comes twice meets itself in Postgres.

pub(super) mod aside;
mod image;
mod log;
mod loss;
pub(super) mod note;
mod page;
mod scan;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use self::image::Image;
use self::loss::{Loss, Outcome};
use self::note::Note;
use self::scan::{Findings, Piece, Scan};
use crate::decode::Received;
use crate::domain::Arrival;
use crate::inbox::file::PAGE_BYTES;
use crate::inbox::opening::blocking;
use crate::inbox::{Inbox, Refused};
use crate::lifecycle::Lifecycle;

/// Pieces that wait between the reading and the inbox; one is about as large as a group.
const PIECES_AHEAD: usize = 2;
/// Deliveries that are handed over before the first of them is waited for: they share commits, and
/// leave the queue to those who wait for their answer.
const AT_ONCE: usize = 500;
/// Their bytes, for the same reason.
const AT_ONCE_BYTES: usize = 8 << 20;
/// How long to wait where the inbox refuses: its quota is reached, or its disk is full.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// The task, before it runs.
pub(super) struct Salvage {
    pub(super) path: PathBuf,
    pub(super) inbox: Inbox,
    pub(super) life: Lifecycle,
    /// Tells that a file has been set aside.
    pub(super) wake: Arc<Notify>,
}

impl Salvage {
    /// Runs until the service stops: what is not done then is done after the next start.
    pub(super) async fn run(self) {
        tokio::select! {
            () = self.life.stopping() => {}
            () = self.run_again_and_again() => {}
        }
    }

    async fn run_again_and_again(&self) {
        let mut failed = HashSet::new();
        loop {
            self.run_once(&mut failed).await;
            self.wake.notified().await;
        }
    }

    /// Salvages every file that has no report. One that could not be read is left to the next
    /// start: the disk may be well by then.
    async fn run_once(&self, failed: &mut HashSet<PathBuf>) {
        let path = self.path.clone();
        let files = match blocking(move || aside::unsalvaged(&path)).await {
            Ok(files) => files,
            Err(error) => {
                tracing::error!(%error, "cannot look for damaged files of the inbox");
                return;
            }
        };
        for file in files {
            if failed.contains(&file) {
                continue;
            }
            if let Err(error) = self.salvage(&file).await {
                tracing::error!(%error, file = %file.display(), "a damaged file of the inbox \
                    cannot be salvaged now; it stays, and is tried again at the next start");
                failed.insert(file);
            }
        }
    }

    async fn salvage(&self, file: &Path) -> std::io::Result<()> {
        let (pieces, mut found) = mpsc::channel(PIECES_AHEAD);
        let place = file.to_owned();
        let reading = blocking(move || read(&place, &pieces));
        let taking = async {
            let mut outcome = Outcome::default();
            while let Some(piece) = found.recv().await {
                self.keep(outcome.take(piece)).await;
            }
            outcome
        };
        let (read, mut outcome) = tokio::join!(reading, taking);
        (outcome.findings, outcome.unreadable, outcome.note) = read?;
        tell(file, &outcome);
        if outcome.unreadable > 0 {
            return Err(std::io::Error::other(format!(
                "the disk did not give {} pages of it; the others are safe",
                outcome.unreadable
            )));
        }
        let (file, report) = (file.to_owned(), report(&outcome));
        blocking(move || aside::report(&file, &report)).await
    }

    /// Returns once all of them are durable, however long that takes.
    async fn keep(&self, arrivals: Vec<Arrival>) {
        let mut left = arrivals;
        while !left.is_empty() {
            let (mut waiting, mut bytes) = (Vec::new(), 0);
            while waiting.len() < AT_ONCE
                && bytes < AT_ONCE_BYTES
                && let Some(arrival) = left.pop()
            {
                bytes += arrival.body.len();
                let received = Arc::new(Received::from(arrival.clone()));
                waiting.push((arrival, self.inbox.submit(received)));
            }
            let mut refused = false;
            for (arrival, durable) in waiting {
                if durable.await.unwrap_or(Err(Refused::Closed)).is_err() {
                    refused = true;
                    left.push(arrival);
                }
            }
            if refused {
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

/// What a damaged file still gives.
#[derive(Debug)]
pub struct Readable {
    /// Its deliveries.
    pub arrivals: Vec<Arrival>,
    /// How many are lost: at the least, and at the most where anybody can tell.
    pub lost: (u64, Option<u64>),
}

/// Reads a damaged file at once, and leaves it as it is.
pub fn read_damaged(file: &Path) -> std::io::Result<Readable> {
    let mut image = Image::open(file)?;
    let (mut arrivals, mut outcome) = (Vec::new(), Outcome::default());
    outcome.note = Note::read(file);
    let scan = Scan::new(&mut image, outcome.note, |piece| {
        arrivals.append(&mut outcome.take(piece));
        ControlFlow::Continue(())
    });
    outcome.findings = scan.run().unwrap_or_default();
    let Loss { at_least, at_most } = outcome.loss();
    Ok(Readable { arrivals, lost: (at_least, at_most) })
}

/// Reads the file from one end to the other, and hands over what it finds.
fn read(
    file: &Path,
    pieces: &mpsc::Sender<Piece>,
) -> std::io::Result<(Findings, u64, Option<Note>)> {
    let mut image = Image::open(file)?;
    let note = Note::read(file);
    let scan = Scan::new(&mut image, note, |piece| match pieces.blocking_send(piece) {
        Ok(()) => ControlFlow::Continue(()),
        // The service stops.
        Err(_) => ControlFlow::Break(()),
    });
    let findings = scan.run().ok_or_else(|| std::io::Error::other("the service stops"))?;
    Ok((findings, image.unreadable, note))
}

fn tell(file: &Path, outcome: &Outcome) {
    let Outcome { salvaged, damaged_bytes, findings, .. } = outcome;
    let Loss { at_least: lost, at_most: lost_at_most } = outcome.loss();
    let (in_words, file) = (outcome.loss().in_words(), file.display());
    let damaged_bytes = damaged_bytes + findings.damaged_pages * u64::from(PAGE_BYTES);
    if outcome.loss() == Loss::NONE {
        tracing::warn!(salvaged, lost, lost_at_most, damaged_bytes, %file,
            "a damaged file of the inbox has been salvaged; nothing of it is lost, and it can go");
    } else {
        tracing::error!(salvaged, lost, lost_at_most, damaged_bytes, %file,
            "a damaged file of the inbox has been salvaged, and not all of it could be read; \
             deliveries that are lost: {in_words}. Keep the file if somebody is to look at the rest");
    }
}

fn report(outcome: &Outcome) -> serde_json::Value {
    let loss = outcome.loss();
    serde_json::json!({
        "salvaged": outcome.salvaged,
        "lost": loss.at_least,
        "lost_at_most": loss.at_most,
        "perhaps_more": loss.perhaps_more(),
        "damaged_pages": outcome.findings.damaged_pages,
        "damaged_bytes_of_groups": outcome.damaged_bytes,
    })
}

#[cfg(test)]
mod tests;
