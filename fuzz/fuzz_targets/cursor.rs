//! `make fuzz TARGET=cursor`. What is tried is in `src/cursor.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| verbatim_fuzz::cursor::check(input));
