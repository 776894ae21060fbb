//! See `worker::fuzzing::tags`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| worker::fuzzing::tags(input));
