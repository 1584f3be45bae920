//! `make fuzz TARGET=decode`. The checks are in `src/decode.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| verbatim_fuzz::decode::check(input));
