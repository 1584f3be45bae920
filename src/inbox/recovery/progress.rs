//! Progress of the recovery of damaged files.

/// Progress of the recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::inbox) struct Progress {
    /// Every file that was found has been tried.
    pub(in crate::inbox) is_idle: bool,
    /// Number of files that cannot be read now.
    pub(in crate::inbox) failed: usize,
}
