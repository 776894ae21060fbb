//! See `llm::fuzzing::convert_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llm::fuzzing::convert_stream(input));
