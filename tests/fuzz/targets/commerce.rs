//! The family `commerce`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| musubi_fuzz::family("commerce", bytes));
