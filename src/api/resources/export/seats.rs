//! Exports that run at the same time.

use crate::ingress::{KeyId, Share, Shares, Short};
use crate::problem::{Code, Problem};

/// Exports under way at once. Each keeps up to 60 MiB, half a processor and one connection of the
/// ten that all readers share.
const MAX_EXPORTS: usize = 4;
/// When to come back where there are as many, in seconds.
const FULL_RETRY_SECONDS: u32 = 15;

/// The exports that are under way. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exports(Shares<KeyId>);

impl Default for Exports {
    fn default() -> Self {
        Self(Shares::new(MAX_EXPORTS))
    }
}

impl Exports {
    /// A seat; a key alone gets half of them.
    pub(super) fn seat(&self, key: KeyId) -> Result<Share<KeyId>, Problem> {
        self.0.take(key, 1).map_err(|short| {
            let problem = match short {
                Short::Own => Problem::new(
                    Code::RateLimited,
                    "This key has as many exports under way as one key may. Try again when one is \
                     done.",
                ),
                Short::All => Problem::new(
                    Code::Unavailable,
                    format!("{MAX_EXPORTS} exports are under way; try again when one is done."),
                ),
            };
            problem.retry_after(FULL_RETRY_SECONDS)
        })
    }
}
