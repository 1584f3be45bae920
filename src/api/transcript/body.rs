//! A transcript as it is sent: read a page at a time and written a piece at a time, as the
//! connection has room for it, so that its length does not matter.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::stream::{self, Stream, TryStreamExt as _};

use super::Writer;
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
}

impl Body {
    /// Reads the first page.
    pub(super) async fn begin(mut walk: MessageWalk, writer: Writer) -> Result<Self, Problem> {
        let page = walk.next().await?.into();
        Ok(Self { walk, page, writer: Some(writer) })
    }

    /// The file, a piece at a time. What goes wrong on the way breaks it off, which a client sees:
    /// the last chunk is missing.
    pub(super) fn into_stream(self) -> impl Stream<Item = anyhow::Result<Bytes>> {
        let request_id = REQUEST_ID.try_with(Clone::clone).unwrap_or_default();
        stream::try_unfold(self, |mut body| async move {
            Ok(body.next().await?.map(|piece| (piece.into(), body)))
        })
        .inspect_err(move |error: &anyhow::Error| {
            tracing::error!(request_id, cause = format_args!("{error:#}"), "transcript broken off");
        })
    }

    async fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(mut writer) = self.writer.take() else { return Ok(None) };
        for message in self.page.drain(..self.page.len().min(PIECE)) {
            writer.message(&message)?;
        }
        if self.page.is_empty() {
            self.page = self.walk.next().await?.into();
        }
        if self.page.is_empty() {
            return Ok(Some(writer.finish()?));
        }
        let piece = writer.take()?;
        self.writer = Some(writer);
        Ok(Some(piece))
    }
}
