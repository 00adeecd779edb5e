//! One datagram, as it comes from anywhere. Seeds: `tests/torture`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sipsilo::sip::fuzz::datagram(data));
