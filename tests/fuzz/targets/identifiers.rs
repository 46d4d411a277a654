//! The family `identifiers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| musubi_fuzz::family("identifiers", bytes));
