//! The family `generic`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| musubi_fuzz::family("generic", bytes));
