//! The search index: documents, vocabulary, and progress of the indexer. `search` decides how texts
//! become tokens.

mod filter;
mod find;
mod forget;
mod index;
mod place;
mod progress;
mod ranked;
mod rebuild;
mod vocabulary;
mod windows;
mod write;

pub use filter::SearchFilter;
pub use find::{Incomplete, SearchHit, SearchPage, SearchRequest};
pub use forget::{forget_messages, forget_sessions};
pub use index::{Indexed, index_next};
pub use place::SearchPlace;
pub use progress::{IndexBacklog, Rebuild, standing};
pub use rebuild::rebuild_next;
pub use windows::Window;
