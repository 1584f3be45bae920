//! A transcript as it is sent: read a page at a time and written a piece at a time, as the
//! connection has room for it, so that its length does not matter.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::stream::{self, Stream, TryStreamExt as _};

use super::Writer;
use crate::api::HeldAnswers;
use crate::api::held::{FREE_BYTES, next_piece};
use crate::api::watch::{Ended, Watch};
use crate::gate::{KeyId, Share};
use crate::problem::{Problem, REQUEST_ID};
use crate::store::export::{ExportedMessage, MessageWalk};

/// Messages that are written at once: few enough that nobody waits who shares the thread.
const PIECE: usize = 200;

/// A transcript on its way.
pub(super) struct Body {
    walk: MessageWalk,
    /// What has been read and not yet been written. Nothing is left to read once it is empty.
    page: VecDeque<ExportedMessage>,
    /// `None` once everything is written.
    writer: Option<Writer>,
    /// What has been written and not yet been sent.
    ready: Bytes,
    watch: Watch,
    /// Room for what is held, among all answers.
    room: Share<KeyId>,
}

impl Body {
    /// Reads the first page. There must be room for it; what follows may take more.
    pub(super) async fn begin(
        mut walk: MessageWalk,
        writer: Writer,
        watch: Watch,
        held: &HeldAnswers,
        key: KeyId,
    ) -> Result<Self, Problem> {
        let page: VecDeque<_> = walk.next().await?.into();
        let bytes = bytes_of(&page);
        // A usual transcript takes no part in it.
        let room = held.take(key, if bytes > FREE_BYTES { bytes } else { 0 })?;
        Ok(Self { walk, page, writer: Some(writer), ready: Bytes::new(), watch, room })
    }

    /// The file, a piece at a time. What goes wrong on the way breaks it off, which a client sees:
    /// the last chunk is missing.
    pub(super) fn into_stream(self) -> impl Stream<Item = anyhow::Result<Bytes>> {
        let request_id = REQUEST_ID.try_with(Clone::clone).unwrap_or_default();
        stream::try_unfold(self, |mut body| async move {
            Ok(body.next().await?.map(|piece| (piece, body)))
        })
        .inspect_err(move |error: &anyhow::Error| {
            if error.is::<Ended>() {
                tracing::info!(request_id, cause = %error, "transcript ended early");
            } else {
                tracing::error!(
                    request_id,
                    cause = format_args!("{error:#}"),
                    "transcript broken off"
                );
            }
        })
    }

    async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        self.watch.check().await?;
        while self.ready.is_empty() {
            let Some(mut writer) = self.writer.take() else { return Ok(None) };
            for message in self.page.drain(..self.page.len().min(PIECE)) {
                writer.message(&message)?;
            }
            if self.page.is_empty() {
                self.page = self.watch.unless_stopping(self.walk.next()).await??.into();
            }
            if self.page.is_empty() {
                self.ready = writer.finish()?.into();
            } else {
                self.ready = writer.take()?.into();
                self.writer = Some(writer);
            }
            let bytes = self.ready.len() + bytes_of(&self.page);
            self.room.set(if bytes > FREE_BYTES { bytes } else { 0 });
        }
        Ok(Some(next_piece(&mut self.ready)))
    }
}

/// What messages take in memory, in bytes.
fn bytes_of(page: &VecDeque<ExportedMessage>) -> usize {
    page.iter().map(|message| size_of_val(message) + message.row.message.len()).sum()
}
