//! The keys that cursors are sealed with, as this process knows them: read from the database,
//! remembered while it does not answer, and read again now and then, since another service may
//! have added one.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::query::cursor::{Fingerprint, Key, NotOpened, Sealer};
use crate::clock::Clock;
use crate::problem::Problem;
use crate::store::cursor_keys::CursorKeyAges;
use crate::store::{Position, Store};

/// Age up to which a key seals. A key that leaked with an old backup is useless after that.
pub const SEALS_FOR: TimeDelta = TimeDelta::days(90);
/// Age up to which a key opens: a position that a loader stored is valid for at least nine months.
pub const OPENS_FOR: TimeDelta = TimeDelta::days(360);
/// Age at which the loaded keys are read again.
const FRESH_FOR: TimeDelta = TimeDelta::minutes(5);
/// Time between two reads for unknown keys: invented cursors cost one query in this time.
const UNKNOWN_KEY_EVERY: Duration = Duration::from_secs(1);

/// Keys of cursors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CursorKeys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Clock,
    loaded: RwLock<Option<Loaded>>,
    /// Held while the keys are read; holds when they were last read for an unknown key.
    loading: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug)]
struct Loaded {
    sealer: Sealer,
    at: DateTime<Utc>,
}

impl CursorKeys {
    /// Returns the keys in `store`, which are read when they are first needed.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        let (loaded, loading) = (RwLock::default(), Mutex::default());
        Self(Arc::new(Shared { store, clock, loaded, loading }))
    }

    /// Returns the sealer. Reads the keys at the first call; later they are read again in the
    /// background, and the loaded ones are used meanwhile.
    pub(crate) async fn sealer(&self) -> Result<Sealer, Problem> {
        let Some(loaded) = self.loaded() else {
            let _loading = self.0.loading.lock().await;
            return match self.loaded() {
                Some(loaded) => Ok(loaded.sealer),
                None => self.load().await,
            };
        };
        if !self.is_fresh(&loaded) {
            let keys = self.clone();
            tokio::spawn(async move {
                // The holder of the lock is reading them.
                let Ok(_loading) = keys.0.loading.try_lock() else { return };
                if keys.loaded().is_some_and(|loaded| keys.is_fresh(&loaded)) {
                    return;
                }
                if let Err(problem) = keys.load().await {
                    tracing::debug!(code = ?problem.code(), "cursor keys not read again");
                }
            });
        }
        Ok(loaded.sealer)
    }

    /// Returns the sealer, if the keys were read before.
    pub(crate) fn known(&self) -> Option<Sealer> {
        self.loaded().map(|loaded| loaded.sealer)
    }

    /// Opens a cursor. One whose key is not known may be of a key that another service has just
    /// added, so the keys are read again.
    pub(crate) async fn open<K: Key>(
        &self,
        fingerprint: &Fingerprint,
        cursor: &str,
    ) -> Result<Position<K>, OpenError> {
        let opened = self.sealer().await?.open(fingerprint, cursor);
        if !matches!(opened, Err(NotOpened::UnknownKey)) {
            return Ok(opened?);
        }
        let mut last = self.0.loading.lock().await;
        if last.is_none_or(|last| last.elapsed() >= UNKNOWN_KEY_EVERY) {
            *last = Some(Instant::now());
            self.load().await?;
        }
        drop(last);
        Ok(self.sealer().await?.open(fingerprint, cursor)?)
    }

    /// Reads the keys. Boxed: it is rarely needed, and would take kilobytes of the future of every
    /// request for a list.
    fn load(&self) -> BoxFuture<'_, Result<Sealer, Problem>> {
        let load = async move {
            let at = self.0.clock.now();
            let ages = CursorKeyAges { seals_after: at - SEALS_FOR, opens_after: at - OPENS_FOR };
            let keys = self.0.store.cursor_keys(ages, at).await?;
            let sealer = Sealer::new(&keys)
                .ok_or_else(|| Problem::internal(anyhow::anyhow!("there is no cursor key")))?;
            let loaded = Loaded { sealer: sealer.clone(), at };
            *self.0.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
            Ok(sealer)
        };
        load.boxed()
    }

    fn loaded(&self) -> Option<Loaded> {
        self.0.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Not past its time nor, where the clock was set back, far ahead.
    fn is_fresh(&self, loaded: &Loaded) -> bool {
        (self.0.clock.now() - loaded.at).abs() < FRESH_FOR
    }
}

/// Reason why a cursor gives no position.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The cursor is foreign, or not for this request.
    Invalid(NotOpened),
    /// The keys could not be read.
    Keys(Problem),
}

impl From<NotOpened> for OpenError {
    fn from(error: NotOpened) -> Self {
        Self::Invalid(error)
    }
}

impl From<Problem> for OpenError {
    fn from(problem: Problem) -> Self {
        Self::Keys(problem)
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Invalid(error) => error.into(),
            OpenError::Keys(problem) => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{Connector, read_pool};
    use crate::store::cursor_keys::CursorKey;

    /// A port that nobody listens on: connections to it are refused at once.
    const NOBODY: &str = "postgres://verbatim@127.0.0.1:1/none";

    #[tokio::test(start_paused = true)]
    async fn keys_that_were_read_are_used_while_the_database_is_away() {
        let clock = Clock::fixed(DateTime::UNIX_EPOCH);
        let keys = CursorKeys::new(
            Store::new(read_pool(NOBODY.parse::<Connector>().unwrap())),
            clock.clone(),
        );
        assert!(keys.sealer().await.is_err() && keys.known().is_none());

        let sealer = Sealer::new(&[CursorKey::generate(clock.now())]).unwrap();
        let at = clock.now();
        *keys.0.loaded.write().unwrap() = Some(Loaded { sealer: sealer.clone(), at });
        clock.set(at + SEALS_FOR);
        let (print, position) =
            (Fingerprint::new("/v1/agents"), Position { at, key: "A".to_owned() });
        let cursor = keys.sealer().await.unwrap().seal(&print, &position);
        assert_eq!(keys.open(&print, &cursor).await.unwrap(), position);
        // Nobody can say whether it is of a key that another service has added.
        let stranger = Sealer::new(&[CursorKey::generate(at)]).unwrap().seal(&print, &position);
        assert!(matches!(
            keys.open::<String>(&print, &stranger).await,
            Err(OpenError::Keys(problem)) if problem.code() == crate::problem::Code::Unavailable
        ));
    }
}
