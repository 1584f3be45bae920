//! Size of the pages of the inbox's file.

/// Size of a page. It is SQLite's default, and set explicitly: a damaged file is read with this
/// size even if its header is gone.
pub(super) const PAGE_BYTES: u32 = 4096;
