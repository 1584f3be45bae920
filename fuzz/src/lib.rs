//! What must hold for whatever a stranger sends, and for whatever lies on the disk.
//!
//! Each module has one function, `check`, which panics where something does not hold. libFuzzer
//! calls it with inputs that it makes up (`make fuzz TARGET=decode`), and Verbatim's own tests
//! call it with the inputs that it found worth keeping (`corpus/`): tests/it/corpus.rs includes
//! this very file.

pub mod credentials;
pub mod cursor;
pub mod decode;
pub mod inbox_record;
pub mod inbox_salvage;
