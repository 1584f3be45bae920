//! Phrases of one language, by topic.

/// Question and answer.
pub(super) type Exchange = (&'static str, &'static str);

/// Phrases of one language.
#[derive(Debug)]
pub(in crate::cli::simulate) struct Language {
    /// Number of conversations, relative to the other languages.
    pub(super) weight: u32,
    /// Characters per second that an agent speaks. A visitor has half of this.
    pub(in crate::cli::simulate) chars_per_second: f64,
    /// First messages of the assistant.
    pub(in crate::cli::simulate) greetings: &'static [&'static str],
    pub(super) orders: &'static [Exchange],
    pub(super) travel: &'static [Exchange],
    pub(super) museum: &'static [Exchange],
    pub(super) support: &'static [Exchange],
    pub(super) kiosk: &'static [Exchange],
    /// Exchanges for any topic.
    pub(super) small_talk: &'static [Exchange],
    /// Questions that the assistant appends to an answer.
    pub(super) follow_ups: &'static [&'static str],
    /// Last exchanges.
    pub(super) farewells: &'static [Exchange],
}
