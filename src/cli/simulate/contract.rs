//! The two generations of the sender's contract that can be played, and how they differ.

use std::time::Duration;

/// Which sender is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Contract {
    /// Signed; 30 s to answer; any 2xx is success; tried again after 1 s, 5 s and 30 s
    #[default]
    B,
    /// Not signed; 10 s to answer; only 200 is success; one attempt
    D,
}

impl Contract {
    /// How long the sender waits for an answer.
    pub(super) fn time_limit(self) -> Duration {
        match self {
            Self::B => Duration::from_secs(30),
            Self::D => Duration::from_secs(10),
        }
    }

    /// How long it waits before each further attempt.
    pub(super) fn retry_delays(self) -> &'static [Duration] {
        const DELAYS: [Duration; 3] =
            [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];
        match self {
            Self::B => &DELAYS,
            Self::D => &[],
        }
    }

    /// Whether it takes this status for success.
    pub(super) fn accepts(self, status: u16) -> bool {
        match self {
            Self::B => (200..300).contains(&status),
            Self::D => status == 200,
        }
    }

    /// Whether its bodies carry a signature.
    pub(super) fn signs(self) -> bool {
        self == Self::B
    }
}
