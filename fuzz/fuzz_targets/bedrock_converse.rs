//! See `llm::fuzzing::bedrock_converse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llm::fuzzing::bedrock_converse(input));
