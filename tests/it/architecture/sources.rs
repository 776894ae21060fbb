//! What every source file keeps to.

use std::path::{Path, PathBuf};

/// Files over 600 lines, each with why it is better whole. Empty is the aim.
const LONG_FILES: &[(&str, &str)] = &[];

/// Where the environment may be read.
const ENVIRONMENT: &[&str] =
    &["api/src/config", "bench/src/main.rs", "bench/src/config", "cli/src/config", "tests/src/config.rs", "worker/src/config"];

/// Names that say nothing of what is in a file.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "manager", "processor", "data", "info", "base", "service", "handler", "mod"];

struct Source {
    /// Relative to the workspace.
    path: String,
    text: String,
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for member in ["api", "bench", "cli", "entity", "fuzz", "llm", "migration", "policy", "tests", "web-schema", "worker"] {
        collect(&workspace().join(member), &mut files);
    }
    assert!(files.len() > 100, "the sources are not where this test looks for them");
    let source = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).expect("a source file"),
        path: path.strip_prefix(workspace()).expect("inside").to_string_lossy().into_owned(),
    };
    files.into_iter().map(source).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "node_modules" && entry.file_name() != "target" {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// Panics with what to do and where.
fn none(found: &[String], what_to_do: &str) {
    assert!(found.is_empty(), "{what_to_do}:\n  {}", found.join("\n  "));
}

#[test]
fn every_module_begins_with_what_it_is_for() {
    // Attributes of the whole file may stand before it.
    let begins =
        |text: &str| text.lines().find(|line| !line.is_empty() && !line.starts_with("#![")).is_some_and(|line| line.starts_with("//!"));
    let silent: Vec<_> = sources().into_iter().filter(|source| !begins(&source.text)).map(|source| source.path).collect();
    none(&silent, "begin the file with `//!`: what it is for, what it promises, what it leaves out");
}

#[test]
fn the_environment_is_read_in_config_only() {
    let reads = ["env::var", "env::vars", "dotenvy"];
    let elsewhere =
        |source: &Source| !ENVIRONMENT.iter().any(|place| source.path.starts_with(place)) && !source.path.ends_with("sources.rs");
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|source| elsewhere(source) && reads.iter().any(|read| source.text.contains(read)))
        .map(|source| source.path)
        .collect();
    none(&found, "take a config struct instead of reading the environment");
}

#[test]
fn memory_is_mapped_in_the_spool_and_nothing_else_is_unsafe() {
    let is_unsafe =
        |source: &Source| source.text.lines().any(|line| line.trim_start().starts_with("unsafe ") || line.contains(" unsafe {"));
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|source| !source.path.starts_with("worker/src/spool") && !source.path.ends_with("sources.rs") && is_unsafe(source))
        .map(|source| source.path)
        .collect();
    none(&found, "`unsafe` belongs to the module that maps the spool's segments, and there only");
}

#[test]
fn files_are_named_for_what_is_in_them() {
    let stem = |path: &str| Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let empty = |stem: &str| EMPTY_NAMES.contains(&stem) || stem.ends_with("_util") || stem.ends_with("_helpers");
    let found: Vec<_> = sources().into_iter().map(|source| source.path).filter(|path| empty(&stem(path))).collect();
    none(&found, "move it to the module that owns its meaning, or find the missing noun (and `foo.rs` instead of `foo/mod.rs`)");
}

#[test]
fn a_file_over_600_lines_has_a_reason() {
    let long: Vec<_> = sources().into_iter().filter(|source| source.text.lines().count() > 600).map(|source| source.path).collect();
    let unlisted: Vec<_> = long.iter().filter(|path| !LONG_FILES.iter().any(|(known, _)| known == path)).cloned().collect();
    none(&unlisted, "divide the file, or list it with the reason why it is better whole (a table of like things)");
    let short: Vec<_> = LONG_FILES.iter().map(|(path, _)| (*path).to_owned()).filter(|path| !long.contains(path)).collect();
    none(&short, "no longer that long: take it off the list");
}

#[test]
fn tests_are_sentences() {
    let found: Vec<_> = sources().into_iter().filter(|source| source.text.contains("fn test_")).map(|source| source.path).collect();
    let found: Vec<_> = found.into_iter().filter(|path| !path.ends_with("sources.rs")).collect();
    none(&found, "name the test for what it says, without `test_`");
}
