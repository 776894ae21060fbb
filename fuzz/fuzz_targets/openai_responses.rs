//! See `llm::fuzzing::openai_responses`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llm::fuzzing::openai_responses(input));
