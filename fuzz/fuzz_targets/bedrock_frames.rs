//! See `worker::fuzzing::bedrock_frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| worker::fuzzing::bedrock_frames(input));
