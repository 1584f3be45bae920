//! Setting `ack`: the commit that precedes a 200.

/// Commit that precedes a 200.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ack {
    /// The inbox's commit on local disk; Postgres follows within milliseconds.
    #[default]
    Inbox,
    /// Postgres' commit.
    Postgres,
}
