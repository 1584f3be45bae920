//! `make fuzz TARGET=credentials`. What is tried is in `src/credentials.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| verbatim_fuzz::credentials::check(input));
