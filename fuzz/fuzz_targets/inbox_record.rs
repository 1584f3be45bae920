//! `make fuzz TARGET=inbox_record`. The checks are in `src/inbox_record.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| verbatim_fuzz::inbox_record::check(input));
