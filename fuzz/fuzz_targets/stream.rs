//! A byte stream, cut into pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sipsilo::sip::fuzz::stream(data));
