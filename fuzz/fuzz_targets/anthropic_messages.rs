//! See `llm::fuzzing::anthropic_messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llm::fuzzing::anthropic_messages(input));
