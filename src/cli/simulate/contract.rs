//! Generations of bitHuman's webhook contract that can be simulated, and their differences.

use std::time::Duration;

/// Generation of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Contract {
    /// Signed; 30 s to answer; any 2xx is success; retries after 1 s, 5 s and 30 s
    #[default]
    B,
    /// Not signed; 10 s to answer; only 200 is success; no retries
    D,
}

impl Contract {
    /// Returns the limit on the time until an answer.
    pub(super) fn time_limit(self) -> Duration {
        match self {
            Self::B => Duration::from_secs(30),
            Self::D => Duration::from_secs(10),
        }
    }

    /// Returns the wait before each retry.
    pub(super) fn retry_delays(self) -> &'static [Duration] {
        const DELAYS: [Duration; 3] =
            [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];
        match self {
            Self::B => &DELAYS,
            Self::D => &[],
        }
    }

    /// Returns true if this status is a success.
    pub(super) fn accepts(self, status: u16) -> bool {
        match self {
            Self::B => (200..300).contains(&status),
            Self::D => status == 200,
        }
    }

    /// Returns true if deliveries are signed.
    pub(super) fn signs(self) -> bool {
        self == Self::B
    }
}
