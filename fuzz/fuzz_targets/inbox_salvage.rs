//! `make fuzz TARGET=inbox_salvage`. The checks are in `src/inbox_salvage.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| verbatim_fuzz::inbox_salvage::check(input));
