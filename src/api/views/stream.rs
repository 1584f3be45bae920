//! Events of `/v1/stream`.

/// An event of the stream; the fields are those of the text format.
#[expect(dead_code, reason = "it stands in the document alone")]
#[derive(utoipa::ToSchema)]
pub(crate) struct StreamEvent {
    /// `session`, `message`, `erasure` or `gap`.
    event: String,
    /// Position after it, for `Last-Event-ID`.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    id: String,
    /// JSON: the row as in `/v1/changes`; of a gap its `reason`.
    data: String,
    /// With the first one: time after which to reconnect, in milliseconds.
    retry: Option<u32>,
}
