//! What the images and the documents tell people to set is what the programs read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where variables are named for people and for containers.
const NAMED_IN: &[&str] = &["docker", "docs", "README.md"];

/// Files below a place, or the place itself.
fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = std::fs::read_dir(place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    entries.flatten().flat_map(|entry| files(&entry.path())).collect()
}

/// Every `MODELUX_…` of a text.
fn variables(text: &str) -> impl Iterator<Item = String> + '_ {
    text.match_indices("MODELUX_").filter_map(|(at, prefix)| {
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|c: char| !(c.is_ascii_uppercase() || c == '_')).unwrap_or(rest.len());
        (end > 0).then(|| format!("{prefix}{}", &rest[..end]))
    })
}

#[test]
fn images_and_documents_name_only_variables_that_the_programs_read() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let read = |place: &str| -> BTreeSet<String> {
        let texts =
            files(&workspace.join(place)).into_iter().map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned());
        texts.flat_map(|text| variables(&text).collect::<Vec<_>>()).collect()
    };
    let options: BTreeSet<String> = ["api/src/config", "worker/src/config", "cli/src"].into_iter().flat_map(read).collect();
    let named: BTreeSet<String> = NAMED_IN.iter().copied().flat_map(read).collect();
    assert!(options.len() > 30 && named.len() > 5, "variables are not where this test looks for them: {options:?} {named:?}");
    let unknown: Vec<_> = named.difference(&options).collect();
    assert!(unknown.is_empty(), "no program reads {unknown:?}: name the option as its `config` does");
}
