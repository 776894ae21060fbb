//! Which crate uses which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Every edge there may be, with who it is for: house.md's plan, and what was added to it.
const EDGES: &[(&str, &[&str])] = &[
    ("policy", &[]),
    ("llm", &[]),
    ("entity", &[]),
    // A step must keep its meaning when an entity changes: the entities are here for the tests that compare both.
    ("migration", &["entity (dev)"]),
    ("api", &["entity", "migration", "policy"]),
    ("worker", &["llm", "policy"]),
    // `plan` checks a manifest before it is sent anywhere, with the types that the control plane reads it with.
    ("cli", &["api", "policy", "web-schema", "worker"]),
    // The exporter of the schema needs the schema; nobody else builds with that feature.
    ("web-schema", &["api (optional)"]),
    // The cost of one decision is measured by deciding, in the process that measures.
    // The tests ask the product's readers whether they take the mock provider's answers for whole.
    ("bench", &["llm (dev)", "policy", "worker"]),
    ("tests", &["entity", "llm (dev)", "migration", "policy"]),
];

/// `cargo metadata` of the workspace.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("metadata in JSON")
}

fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let edges_of = |package: &Value| {
        let used = package["dependencies"].as_array().expect("dependencies").iter();
        let edge = |dependency: &Value| {
            let name = dependency["name"].as_str().filter(|name| names.contains(name) && !dependency["path"].is_null())?;
            let kind = dependency["kind"].as_str().map(|kind| format!(" ({kind})")).unwrap_or_default();
            let optional = if dependency["optional"] == true { " (optional)" } else { "" };
            Some(format!("{name}{kind}{optional}"))
        };
        used.filter_map(edge).collect()
    };
    packages.iter().map(|package| (package["name"].as_str().expect("a name").to_owned(), edges_of(package))).collect()
}

#[test]
fn crates_use_only_the_crates_they_may() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = EDGES.iter().map(|(name, uses)| (*name, uses.iter().copied().collect())).collect();
    for (name, used) in edges() {
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("crate `{name}` is new: say in EDGES what it may use"));
        // An edge that is not in the list ties two things that house.md keeps apart. Move what is shared to the leaf that owns its meaning.
        let surplus: Vec<_> = used.iter().filter(|used| !allowed.contains(used.as_str())).collect();
        assert!(surplus.is_empty(), "`{name}` uses {surplus:?}, which is not among {allowed:?}");
    }
}

#[test]
fn every_crate_but_this_one_has_the_lints_of_the_workspace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    for (name, _) in edges() {
        let manifest = std::fs::read_to_string(root.join(&name).join("Cargo.toml")).expect("a manifest");
        let inherited = manifest.split("[lints]").nth(1).is_some_and(|rest| rest.trim_start().starts_with("workspace = true"));
        // The tests have a table of their own, since helpers of a test binary may panic.
        assert_eq!(inherited, name != "tests", "`{name}` says `lints.workspace = true`, and only `tests` does not");
    }
}
