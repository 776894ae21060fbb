//! See `llm::fuzzing::convert_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llm::fuzzing::convert_request(input));
