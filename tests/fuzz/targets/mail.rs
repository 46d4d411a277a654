//! The family `mail`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| musubi_fuzz::family("mail", bytes));
