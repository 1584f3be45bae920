//! Recovery of damaged files: submits their intact deliveries to the inbox.
//!
//! A damaged file is set aside when it is detected (`set_aside`), and the service continues with a new
//! one. This module reads the old file in the background, and submits every intact delivery like a
//! new one. A file is done when its report is beside it, which is written after all of them are
//! durable. Until then its recovery begins again at every start. Deliveries that are submitted
//! twice are duplicates in Postgres.

mod image;
mod log;
mod loss;
pub(super) mod note;
mod page;
pub(super) mod progress;
mod scan;
pub(super) mod set_aside;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use self::image::Image;
use self::loss::{Loss, Outcome};
use self::note::Note;
use self::progress::Progress;
use self::scan::{Findings, Piece, Scan};
use crate::decode::Received;
use crate::domain::Arrival;
use crate::inbox::blocking::blocking;
use crate::inbox::handle::{Inbox, Refused};
use crate::inbox::page_size::PAGE_BYTES;
use crate::lifecycle::Lifecycle;

/// Pieces that are read ahead of the inbox; each is about as large as a group.
const PIECES_AHEAD: usize = 2;
/// Most deliveries that are submitted at once. They share commits, and leave room in the queue for
/// deliveries whose sender waits.
const AT_ONCE: usize = 500;
/// Most bytes that are submitted at once, for the same reason.
const AT_ONCE_BYTES: usize = 8 << 20;
/// Wait after a refusal of the inbox: its quota is reached, or its disk is full.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// State of the task that recovers damaged files.
pub(super) struct Recovery {
    pub(super) path: PathBuf,
    pub(super) inbox: Inbox,
    pub(super) life: Lifecycle,
    /// Notified when a file may have been set aside.
    pub(super) wake: Arc<Notify>,
    pub(super) progress: watch::Sender<Progress>,
}

impl Recovery {
    /// Runs until the service stops. The next start continues with the files that are not done.
    pub(super) async fn run(self) {
        tokio::select! {
            () = self.life.stopping() => {}
            () = self.run_on_wake() => {}
        }
    }

    async fn run_on_wake(&self) {
        let mut failed = HashSet::new();
        loop {
            self.progress.send_replace(Progress { is_idle: false, failed: failed.len() });
            self.run_once(&mut failed).await;
            self.progress.send_replace(Progress { is_idle: true, failed: failed.len() });
            self.wake.notified().await;
        }
    }

    /// Recovers every file without a report. A file that cannot be read is tried again at the next
    /// start, when the disk may work again.
    async fn run_once(&self, failed: &mut HashSet<PathBuf>) {
        let path = self.path.clone();
        let files = match blocking(move || set_aside::unrecovered(&path)).await {
            Ok(files) => files,
            Err(error) => {
                tracing::error!(%error, "cannot list damaged inbox files");
                return;
            }
        };
        for file in files {
            if failed.contains(&file) {
                continue;
            }
            if let Err(error) = self.recover(&file).await {
                tracing::error!(%error, file = %file.display(), "damaged inbox file cannot be \
                    recovered now; it is kept, and tried again at the next start");
                failed.insert(file);
            }
        }
    }

    async fn recover(&self, file: &Path) -> std::io::Result<()> {
        let (pieces, mut found) = mpsc::channel(PIECES_AHEAD);
        let place = file.to_owned();
        let reading = blocking(move || read(&place, &pieces));
        let submitting = async {
            let mut outcome = Outcome::default();
            while let Some(piece) = found.recv().await {
                self.submit_all(outcome.add_piece(piece)).await;
            }
            outcome
        };
        let (read, mut outcome) = tokio::join!(reading, submitting);
        (outcome.findings, outcome.unreadable, outcome.note) = read?;
        log_outcome(file, &outcome);
        if outcome.unreadable > 0 {
            return Err(std::io::Error::other(format!(
                "{} pages cannot be read from the disk; the deliveries on the others are stored",
                outcome.unreadable
            )));
        }
        let (file, report) = (file.to_owned(), report(&outcome));
        blocking(move || set_aside::report(&file, &report)).await
    }

    /// Submits deliveries, and returns when all of them are durable. Retries without limit.
    async fn submit_all(&self, arrivals: Vec<Arrival>) {
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

/// Result of reading a damaged file.
#[derive(Debug)]
pub struct Readable {
    /// Intact deliveries.
    pub arrivals: Vec<Arrival>,
    /// Lower bound of the lost deliveries, and the upper bound if it is known.
    pub lost: (u64, Option<u64>),
}

/// Reads a damaged file without changing it.
pub fn read_damaged(file: &Path) -> std::io::Result<Readable> {
    let mut image = Image::open(file)?;
    let (mut arrivals, mut outcome) = (Vec::new(), Outcome::default());
    outcome.note = Note::read(file);
    let scan = Scan::new(&mut image, outcome.note, |piece| {
        arrivals.append(&mut outcome.add_piece(piece));
        ControlFlow::Continue(())
    });
    outcome.findings = scan.run().unwrap_or_default();
    let Loss { at_least, at_most } = outcome.loss();
    Ok(Readable { arrivals, lost: (at_least, at_most) })
}

/// Reads the whole file, and sends the pieces that it finds.
fn read(
    file: &Path,
    pieces: &mpsc::Sender<Piece>,
) -> std::io::Result<(Findings, u64, Option<Note>)> {
    let mut image = Image::open(file)?;
    let note = Note::read(file);
    let scan = Scan::new(&mut image, note, |piece| match pieces.blocking_send(piece) {
        Ok(()) => ControlFlow::Continue(()),
        // The service is stopping.
        Err(_) => ControlFlow::Break(()),
    });
    let findings = scan.run().ok_or_else(|| std::io::Error::other("the service is stopping"))?;
    Ok((findings, image.unreadable, note))
}

fn log_outcome(file: &Path, outcome: &Outcome) {
    let Outcome { salvaged, damaged_bytes, findings, .. } = outcome;
    let Loss { at_least: lost, at_most: lost_at_most } = outcome.loss();
    let (description, file) = (outcome.loss().describe(), file.display());
    let damaged_bytes = damaged_bytes + findings.damaged_pages * u64::from(PAGE_BYTES);
    if outcome.loss() == Loss::NONE {
        tracing::warn!(salvaged, lost, lost_at_most, damaged_bytes, %file,
            "damaged inbox file recovered without loss; it can be deleted");
    } else {
        tracing::error!(salvaged, lost, lost_at_most, damaged_bytes, %file,
            "damaged inbox file recovered in part; lost deliveries: {description}. \
             Keep the file to examine the rest");
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
