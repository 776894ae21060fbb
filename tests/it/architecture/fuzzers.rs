//! The fuzzers' targets, what is built of them, and the inputs they begin with, which the crates' own tests try.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Crates that have properties. Each tries the corpora of its own targets among its unit tests.
const CRATES: [&str; 3] = ["llm", "policy", "worker"];

/// Bytes of all corpora together at most: what a fuzzer makes up stays with who ran it.
const MOST: u64 = 1_000_000;

fn fuzz(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").join("fuzz").join(folder)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    read.map(|entry| entry.expect("an entry").path()).collect()
}

fn stems(paths: &[PathBuf]) -> BTreeSet<String> {
    paths.iter().map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn every_fuzzer_is_built_and_has_a_corpus_and_no_corpus_is_without_its_fuzzer() {
    let targets = stems(&entries(&fuzz("fuzz_targets")));
    assert!(targets.len() >= 12, "the targets are not where this test looks for them: {targets:?}");
    let manifest = std::fs::read_to_string(fuzz("Cargo.toml")).expect("a manifest");
    let named = manifest.split("[[bin]]").skip(1).filter_map(|bin| bin.lines().find_map(|line| line.strip_prefix("name = ")));
    let built: BTreeSet<String> = named.map(|name| name.trim_matches('"').to_owned()).collect();
    assert_eq!(built, targets, "each file in `fuzz/fuzz_targets` is a `[[bin]]` of `fuzz/Cargo.toml`");
    let corpora = entries(&fuzz("corpus"));
    assert_eq!(stems(&corpora), targets, "each target has a folder in `fuzz/corpus`");
    let inputs: Vec<PathBuf> = corpora.iter().flat_map(|corpus| entries(corpus)).collect();
    let bytes: u64 = inputs.iter().map(|input| input.metadata().expect("an input").len()).sum();
    assert!(bytes <= MOST, "the corpora have {bytes} bytes; keep what a person has looked at");
}

#[test]
fn every_fuzzer_tries_a_property_of_its_own_name_in_one_of_the_crates_that_test_the_corpora() {
    for path in entries(&fuzz("fuzz_targets")) {
        let (text, name) = (std::fs::read_to_string(&path).expect("a target"), path.file_stem().expect("a name").to_string_lossy());
        let tried = |krate: &&&str| text.contains(&format!("{krate}::fuzzing::{name}(input)"));
        assert_eq!(CRATES.iter().filter(tried).count(), 1, "{} calls its property in one of {CRATES:?}", path.display());
    }
}
