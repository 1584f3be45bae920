//! Body of a transcript: read in pages and written in pieces when the connection has room, so its length
//! does not matter.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::stream;
use futures_util::stream::{Stream, TryStreamExt as _};

use super::writer::Writer;
use crate::api::answers::held::{FREE_BYTES, HeldAnswers, next_piece};
use crate::api::auth::watch::{Ended, Watch};
use crate::ingress::{KeyId, Share};
use crate::problem::{Problem, REQUEST_ID};
use crate::store::export::{ExportedMessage, MessageWalk};

/// Messages that are written at once: few, so that other requests of the thread do not wait.
const PIECE: usize = 200;

/// Transcript that is being sent.
pub(super) struct Body {
    walk: MessageWalk,
    /// Messages that were read and are not yet written. Empty at the end.
    page: VecDeque<ExportedMessage>,
    /// `None` once everything is written.
    writer: Option<Writer>,
    /// Bytes that were written and are not yet sent.
    ready: Bytes,
    watch: Watch,
    /// Room among all held answers.
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
        // A usual transcript takes none of it.
        let room = held.take(key, if bytes > FREE_BYTES { bytes } else { 0 })?;
        Ok(Self { walk, page, writer: Some(writer), ready: Bytes::new(), watch, room })
    }

    /// Returns the file in pieces. An error breaks it off, which a client sees: the last chunk is missing.
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

/// Returns the size of messages in memory, in bytes.
fn bytes_of(page: &VecDeque<ExportedMessage>) -> usize {
    page.iter().map(|message| size_of_val(message) + message.row.message.len()).sum()
}
