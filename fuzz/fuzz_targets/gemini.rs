//! See `llm::fuzzing::gemini`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llm::fuzzing::gemini(input));
