//! The way in, measured.

fn main() {}
