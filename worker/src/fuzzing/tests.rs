//! The corpora of the fuzzers.

#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn every_input_that_the_fuzzers_keep_holds() {
    corpus::holds("worker", super::TARGETS);
}
