//! Every input that is kept here goes through the property of its target. Each crate that has properties takes this file into its tests.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// What stands in a folder of this crate, sorted.
fn entries(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder);
    let read = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = read.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

/// The targets whose properties are those of `krate`.
fn targets_of(krate: &str) -> Vec<String> {
    let called = format!("{krate}::fuzzing::");
    let of_this =
        |path: &PathBuf| fs::read_to_string(path).expect("a target").lines().any(|line| !line.starts_with("//") && line.contains(&called));
    let name = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    entries("fuzz_targets").into_iter().filter(of_this).map(name).collect()
}

/// A target's name and its property.
type Target = (&'static str, fn(&[u8]));

/// Tries the corpus of each target of `krate`. Fails if one is missing here or there, has no input, or an input that disproves it.
pub(crate) fn holds(krate: &str, properties: &[Target]) {
    let mut named: Vec<String> = properties.iter().map(|(name, _)| (*name).to_owned()).collect();
    named.sort();
    assert_eq!(named, targets_of(krate), "each property is a target in `fuzz/fuzz_targets`, and each target has its property");
    let mut disproved = Vec::new();
    for (name, property) in properties {
        let inputs = entries(&format!("corpus/{name}"));
        assert!(!inputs.is_empty(), "`fuzz/corpus/{name}` has no input");
        for path in inputs {
            let input = fs::read(&path).expect("an input");
            if catch_unwind(AssertUnwindSafe(|| property(&input))).is_err() {
                disproved.push(path.display().to_string());
            }
        }
    }
    assert!(disproved.is_empty(), "what each panicked with stands above: {disproved:#?}");
}
