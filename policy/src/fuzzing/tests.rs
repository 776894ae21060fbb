//! The corpus of the fuzzer.

#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn every_input_that_the_fuzzer_keeps_holds() {
    corpus::holds("policy", super::TARGETS);
}
