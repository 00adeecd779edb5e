//! A URI.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sipsilo::sip::fuzz::uri(data));
