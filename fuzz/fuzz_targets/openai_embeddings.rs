//! See `llm::fuzzing::openai_embeddings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llm::fuzzing::openai_embeddings(input));
