//! `make fuzz TARGET=cursor`. The checks are in `src/cursor.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| verbatim_fuzz::cursor::check(input));
