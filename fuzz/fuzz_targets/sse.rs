//! See `llm::fuzzing::sse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llm::fuzzing::sse(input));
