//! What is searched, and by what: text → tokens, in any script; what a caller asks → a query; a
//! message that matches → its hits. Pure: the index itself is `store`'s.

mod document;
mod fold;
mod highlight;
mod query;
mod tokens;

pub use document::{Document, agent_mark, day_mark};
pub use highlight::{Piece, highlight};
pub use query::{Query, QueryError};
pub use tokens::{Token, TokenKind, tokens};
