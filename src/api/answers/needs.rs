//! Changes that an answer must contain: the headers `Prefer: wait` and `Verbatim-Position`, and the
//! server of the page before. `docs/design/replica.md` has the reasons.

use std::hash::Hash;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chrono::DateTime;

use crate::api::query::cursor::{Fingerprint, Key};
use crate::api::query::cursor_keys::CursorKeys;
use crate::jobs::replica::Readable;
use crate::postgres::Lsn;
use crate::store::Position;

/// Preferences of a client (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Position of a change in the log of transactions: of an answer to a change, and of a request that
/// must see it.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("verbatim-position");
/// The preference for an answer that contains every change made before it.
pub(crate) const WAIT: &str = "wait";

/// The server that a page was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// The primary.
    #[default]
    Primary,
    /// This run of a standby.
    Standby(u64),
}

/// Position in the log of transactions of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LogPosition {
    pub(crate) system: i64,
    pub(crate) lsn: Lsn,
}

impl Key for LogPosition {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.system.to_be_bytes());
        out.extend_from_slice(&self.lsn.0.to_be_bytes());
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (system, rest) = bytes.split_first_chunk()?;
        let (lsn, rest) = rest.split_first_chunk()?;
        let (system, lsn) = (i64::from_be_bytes(*system), i64::from_be_bytes(*lsn));
        rest.is_empty().then_some(Self { system, lsn: Lsn(lsn) })
    }
}

impl LogPosition {
    /// Returns the value of the header. It depends on what others write, so it is sealed, and no two
    /// are equal.
    pub(crate) async fn seal(self, cursors: &CursorKeys) -> Option<HeaderValue> {
        let sealer = cursors.sealer().await.ok()?;
        let position = Position { at: DateTime::UNIX_EPOCH, key: self };
        HeaderValue::try_from(sealer.seal_fresh(&fingerprint(), &position)).ok()
    }

    async fn open(cursors: &CursorKeys, token: &HeaderValue) -> Option<Self> {
        let opened = cursors.open(&fingerprint(), token.to_str().ok()?.trim()).await;
        opened.ok().map(|position| position.key)
    }
}

/// Changes that an answer must contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Needs {
    /// Every change made before.
    everything: bool,
    /// The changes up to here.
    position: Option<LogPosition>,
    /// The server that the page before was read from.
    page: Option<Origin>,
}

impl Needs {
    /// Reads the needs of a request. `page` is the server that the page before it was read from,
    /// if there was one.
    pub(crate) async fn read(
        req: &HttpRequest,
        cursors: &CursorKeys,
        page: Option<Origin>,
    ) -> Self {
        let mut needs = Self { everything: prefers_wait(req.headers()), position: None, page };
        if let Some(token) = req.headers().get(POSITION) {
            needs.position = Box::pin(LogPosition::open(cursors, token)).await;
            // A position that cannot be read any more needs everything.
            needs.everything |= needs.position.is_none();
        }
        needs
    }

    /// Returns true where a standby has all of these changes.
    pub(crate) fn are_met_by(&self, standby: &Readable) -> bool {
        let has_position = |position: LogPosition| {
            position.system == standby.system && position.lsn <= standby.replayed
        };
        !self.everything
            && self.position.is_none_or(has_position)
            && self.page.is_none_or(|page| page == Origin::Standby(standby.run))
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint::new("position in the log")
}

/// Returns true where the client prefers to wait rather than to miss a change.
pub(crate) fn prefers_wait(headers: &HeaderMap) -> bool {
    let names = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|preference| {
            let name = preference.split([';', '=']).next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case(WAIT)
        })
    };
    headers.get_all(PREFER).any(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_to_wait_is_found_among_others() {
        let prefers = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            prefers_wait(&headers)
        };
        for yes in [&["wait"][..], &["Wait=10"], &["respond-async, wait = 5"], &["a=b", "wait;x=1"]]
        {
            assert!(prefers(yes), "{yes:?}");
        }
        for no in [&[][..], &["waiting"], &["respond-async"], &["a=wait"]] {
            assert!(!prefers(no), "{no:?}");
        }
    }

    #[test]
    fn position_is_read_as_it_was_written() {
        let position = LogPosition { system: i64::MIN, lsn: Lsn(0x0123_4567_89ab) };
        let mut bytes = Vec::new();
        position.write(&mut bytes);
        assert_eq!(LogPosition::read(bytes.clone()), Some(position));
        bytes.push(0);
        assert_eq!(LogPosition::read(bytes), None);
    }
}
