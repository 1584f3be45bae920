//! Requirements on every input from senders, callers, and the disk.
//!
//! Each module has one function, `check`, which panics if a requirement is violated. libFuzzer
//! calls it with generated inputs (`make fuzz TARGET=decode`). Verbatim's tests call it with the
//! inputs of the corpus (`corpus/`): tests/it/corpus.rs includes this file.

pub mod credentials;
pub mod cursor;
pub mod decode;
pub mod inbox_record;
pub mod inbox_salvage;
