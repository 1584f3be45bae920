//! The way out: what people and programs read.

pub mod health;
