//! `make fuzz TARGET=credentials`. The checks are in `src/credentials.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| verbatim_fuzz::credentials::check(input));
