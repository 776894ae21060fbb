//! See `policy::fuzzing::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| policy::fuzzing::rules(input));
