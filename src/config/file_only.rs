//! Settings that only the TOML file can have.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::credentials::{HeaderLines, Secrets};
use crate::alerts::Amount;
use crate::redact::Kind;

/// Settings of the file that have neither flag nor variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FileOnly {
    pub(super) strict_timestamps: bool,
    pub(super) alerts: Vec<FileAlert>,
    pub(super) sources: Vec<FileSource>,
    /// By agent ID.
    pub(super) agents: BTreeMap<String, FileAgent>,
}

/// Settings of one agent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileAgent {
    pub(super) visit_gap: Option<String>,
}

/// A further source, at `POST /webhook/{name}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSource {
    pub(super) name: String,
    pub(super) secrets: Option<Secrets>,
    pub(super) secrets_file: Option<PathBuf>,
    /// Required headers, as `Name: value`.
    pub(super) headers: Option<HeaderLines>,
    pub(super) headers_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) strict_timestamps: bool,
    pub(super) keep_messages: Option<String>,
    pub(super) keep_deliveries: Option<String>,
    #[serde(default)]
    pub(super) redact: Vec<Kind>,
}

/// Alert, with the receiver of its notifications.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileAlert {
    pub(super) name: String,
    pub(super) metric: String,
    pub(super) stat: Option<String>,
    pub(super) window: Option<String>,
    #[serde(default)]
    pub(super) agents: Vec<String>,
    pub(super) above: Option<Amount>,
    pub(super) below: Option<Amount>,
    pub(super) above_normal: Option<f64>,
    pub(super) below_normal: Option<f64>,
    pub(super) weeks: Option<u32>,
    pub(super) tz: Option<String>,
    #[serde(rename = "for")]
    pub(super) hold: Option<String>,
    pub(super) url: Option<String>,
    pub(super) secrets: Option<Secrets>,
    pub(super) secrets_file: Option<PathBuf>,
}
