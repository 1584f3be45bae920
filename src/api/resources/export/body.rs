//! Body of an export: a page is read when the connection has room for it, so a slow client costs no
//! memory. An error closes the connection before the last chunk, so a complete file is correct.

use anyhow::Context as _;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream;
use futures_util::stream::{Stream, TryStreamExt as _};
use uuid::Uuid;

use super::encode::Encoder;
use super::pack::Packer;
use super::table;
use super::table::Column;
use crate::api::answers::held::next_piece;
use crate::api::auth::watch::{Ended, Watch};
use crate::api::query::cursor::{Fingerprint, Key, Sealer};
use crate::api::views::session::Session;
use crate::domain::session::SilenceLimits;
use crate::ingress::{KeyId, Share};
use crate::problem::{Problem, REQUEST_ID};
use crate::store::export::{ExportedMessage, MessageWalk, SessionWalk};
use crate::store::sessions::SessionRow;
use crate::store::{MessagePlace, Position, StoreError};

/// Position of a row in an export: its session, and the message's place in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowKey {
    pub(super) session: Uuid,
    pub(super) message: Option<MessagePlace>,
}

impl Key for RowKey {
    fn write(&self, out: &mut Vec<u8>) {
        self.session.write(out);
        if let Some(message) = &self.message {
            message.write(out);
        }
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (session, message) = bytes.split_at_checked(size_of::<Uuid>())?;
        let message = match message {
            [] => None,
            message => Some(MessagePlace::read(message.to_vec())?),
        };
        Some(Self { session: Uuid::from_slice(session).ok()?, message })
    }
}

/// Source of the rows.
pub(super) enum Walk {
    Messages(MessageWalk),
    Sessions(SessionWalk),
}

/// Page of rows.
enum Page {
    Messages(Vec<ExportedMessage>),
    Sessions(Vec<SessionRow>),
}

impl Walk {
    /// Reads the next rows; returns `None` at the end.
    async fn next(&mut self) -> Result<Option<Page>, StoreError> {
        Ok(match self {
            Self::Messages(walk) => {
                Some(walk.next().await?).filter(|rows| !rows.is_empty()).map(Page::Messages)
            }
            Self::Sessions(walk) => {
                Some(walk.next().await?).filter(|rows| !rows.is_empty()).map(Page::Sessions)
            }
        })
    }
}

/// Form of the rows.
pub(super) struct Rows {
    /// Their name.
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// Sealer of the rows' cursors, if they have some.
    pub(super) sealer: Option<Sealer>,
    /// Start of the export.
    pub(super) now: DateTime<Utc>,
    fingerprint: Fingerprint,
    silence: SilenceLimits,
}

impl Rows {
    pub(super) fn new(
        name: &'static str,
        columns: &'static [Column],
        fingerprint: Fingerprint,
        silence: SilenceLimits,
        now: DateTime<Utc>,
    ) -> Self {
        Self { name, columns, sealer: None, now, fingerprint, silence }
    }

    fn write(&self, page: &Page, encoder: &mut Encoder) -> anyhow::Result<()> {
        match page {
            Page::Messages(rows) => {
                for ExportedMessage { session, row } in rows {
                    let Position { at, key } = row.position();
                    let cursor = self.cursor(at, session.id, Some(key));
                    encoder.row(&table::message(session, row), cursor.as_deref())?;
                }
            }
            Page::Sessions(rows) => {
                for row in rows {
                    let cursor = self.cursor(DateTime::UNIX_EPOCH, row.id, None);
                    let value = serde_json::to_value(Session::new(row, self.silence, self.now))?;
                    let cells = table::from_json(self.columns, &value);
                    let cells = cells.context("a session does not fit its columns")?;
                    encoder.row(&cells, cursor.as_deref())?;
                }
            }
        }
        Ok(())
    }

    fn cursor(
        &self,
        at: DateTime<Utc>,
        session: Uuid,
        message: Option<MessagePlace>,
    ) -> Option<String> {
        let position = Position { at, key: RowKey { session, message } };
        self.sealer.as_ref().map(|sealer| sealer.seal(&self.fingerprint, &position))
    }
}

/// Encoder and compressor of rows. It moves to another thread and back for every page.
struct Press {
    rows: Rows,
    encoder: Encoder,
    packer: Packer,
}

impl Press {
    fn print(&mut self, page: &Page) -> anyhow::Result<Vec<u8>> {
        self.rows.write(page, &mut self.encoder)?;
        let bytes = self.encoder.take()?;
        // Parquet has no bytes until a row group is full.
        Ok(if bytes.is_empty() { bytes } else { self.packer.pack(bytes)? })
    }

    fn finish(mut self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = self.packer.pack(self.encoder.finish()?)?;
        bytes.extend(self.packer.finish()?);
        Ok(bytes)
    }
}

/// Export that is being sent.
pub(super) struct Body {
    walk: Walk,
    /// Rows that were read and are not yet encoded.
    page: Option<Page>,
    /// `None` once everything is encoded.
    press: Option<Press>,
    /// Bytes that were encoded and are not yet sent.
    ready: Bytes,
    watch: Watch,
    /// Returned when the export ends.
    #[expect(dead_code, reason = "held, not read")]
    seat: Share<KeyId>,
}

impl Body {
    /// Reads the first page.
    pub(super) async fn begin(
        mut walk: Walk,
        rows: Rows,
        encoder: Encoder,
        packer: Packer,
        watch: Watch,
        seat: Share<KeyId>,
    ) -> Result<Self, Problem> {
        let page = walk.next().await?;
        let press = Some(Press { rows, encoder, packer });
        Ok(Self { walk, page, press, ready: Bytes::new(), watch, seat })
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = anyhow::Result<Bytes>> {
        let request_id = REQUEST_ID.try_with(Clone::clone).unwrap_or_default();
        stream::try_unfold(self, |mut body| async move {
            Ok(body.next().await?.map(|piece| (piece, body)))
        })
        .inspect_err(move |error: &anyhow::Error| {
            if error.is::<Ended>() {
                tracing::info!(request_id, cause = %error, "export ended early");
            } else {
                tracing::error!(request_id, cause = format_args!("{error:#}"), "export broken off");
            }
        })
    }

    async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        self.watch.check().await?;
        while self.ready.is_empty() {
            let Some(press) = self.press.take() else { return Ok(None) };
            let page = self.page.take();
            let last = page.is_none();
            // Compression takes many milliseconds, for which other requests of this thread would wait.
            let written = tokio::task::spawn_blocking(move || match page {
                Some(page) => {
                    let mut press = press;
                    let bytes = press.print(&page)?;
                    anyhow::Ok((Some(press), bytes))
                }
                None => Ok((None, press.finish()?)),
            });
            let (press, bytes) = written.await.context("writing rows died")??;
            (self.press, self.ready) = (press, bytes.into());
            if !last {
                self.page = self.read().await?;
            }
        }
        Ok(Some(next_piece(&mut self.ready)))
    }

    async fn read(&mut self) -> anyhow::Result<Option<Page>> {
        self.watch.check().await?;
        Ok(self.watch.unless_stopping(self.walk.next()).await??)
    }
}
