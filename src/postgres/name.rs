//! Name of the private database.

/// Name of the database, and of the superuser that owns it. Every account that can enter the
/// socket's folder can connect as this user; the folder's mode is the protection.
pub(super) const NAME: &str = "verbatim";
