//! Manifests as people write them, right and wrong.

use std::path::Path;

use super::*;

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn read(text: &str) -> Result<Source, Vec<String>> {
    read_all(&[("m.yaml", text)])
}

fn read_all(files: &[(&str, &str)]) -> Result<Source, Vec<String>> {
    let directory = directory(files);
    let variable = |name: &str| (name == "SET").then(|| "sk-1".to_owned());
    let prefix = format!("{}/", directory.path().display());
    Source::read(directory.path(), &Secrets::Resolve(&variable))
        .map_err(|problems| problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect())
}

fn only_problem(text: &str) -> String {
    let problems = read(text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].clone()
}

const CONTRACT: &str = include_str!("testdata/contract.yaml");

#[test]
fn the_example_of_the_contract_reads_and_compiles_as_it_stands() {
    let directory = directory(&[("m.yaml", CONTRACT)]);
    let source = Source::read(directory.path(), &Secrets::Leave).unwrap();
    assert_eq!(source.manifest.providers.len(), 2);
    assert_eq!(source.manifest.projects[0].keys[0].rpm, Some(600));
    assert!(source.compile().is_ok(), "{:?}", source.compile());
}

#[test]
fn an_unknown_field_names_file_line_resource_and_field() {
    let problem = only_problem("org: default\nproviders:\n  - name: openai\n    vendor: openai\n    url: http://x\n");
    assert!(problem.starts_with("m.yaml:5:5: provider `openai`, field `url`: unknown field `url`, expected one of `name`"), "{problem}");
    let problem = only_problem("org: default\nprojects:\n- name: p\n  keys:\n  - {name: k, rmp: 1}\n");
    assert!(problem.starts_with("m.yaml:5:15: key `p/k`, field `rmp`: unknown field"), "{problem}");
    let problem = only_problem("org: default\nprovider: []\n");
    assert!(problem.starts_with("m.yaml:2:1: manifest, field `provider`: unknown field"), "{problem}");
}

#[test]
fn a_routing_config_is_refused_at_the_line_of_the_rule() {
    let text =
        "org: default\nrouting_configs:\n  - slug: a\n    strategy: custom_rules\n    rules:\n      - {else: pass}\n      - {iff: x}\n";
    let problem = only_problem(text);
    assert!(problem.starts_with("m.yaml:7:10: routing config `a`, field `rules[1].iff`: unknown field"), "{problem}");
    let text = "org: default\nrouting_configs:\n  - slug: a\n    strategy: single\n    model: x/y\n    rules: []\n";
    let problem = only_problem(text);
    assert!(problem.starts_with("m.yaml:6:5: routing config `a`, field `rules`: `rules` does not belong"), "{problem}");
}

#[test]
fn every_broken_config_is_reported_at_once() {
    let text = "org: d\nrouting_configs:\n  - {slug: a, strategy: x}\n  - {slug: b, strategy: single}\n";
    assert_eq!(read(text).unwrap_err().len(), 2);
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let text = "org: d\nproviders:\n- {name: a, vendor: openai, api_key: '${SET}'}\n- {name: b, vendor: openai, api_key: {file: key}}\n- {name: c, vendor: openai}\n";
    let source = read_all(&[("m.yaml", text), ("key", "sk-2\n")]).unwrap();
    let keys: Vec<_> = source.manifest.providers.iter().map(|provider| provider.api_key.as_deref()).collect();
    assert_eq!(keys, [Some("sk-1"), Some("sk-2"), None]);
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    assert_eq!(
        only_problem("org: d\nproviders:\n- {name: a, vendor: openai, api_key: '${UNSET}'}\n"),
        "m.yaml:3:38: provider `a`, field `api_key`: environment variable `UNSET` is not set"
    );
    assert!(only_problem("org: d\nproviders:\n- {name: a, vendor: openai, api_key: {file: gone}}\n").contains("gone` can't be read"));
    assert!(only_problem("org: d\nproviders:\n- {name: a, vendor: openai, api_key: 'x${SET}'}\n").contains("nothing around it"));
}

#[test]
fn a_text_that_looks_like_a_variable_outside_of_secrets_is_a_text() {
    let source = read("org: d\nprojects:\n- {name: p, tags: {a: '${UNSET}'}}\n").unwrap();
    assert_eq!(source.manifest.projects[0].tags["a"], "${UNSET}");
}

#[test]
fn the_files_of_a_directory_are_one_manifest() {
    let source = read_all(&[
        ("a.yaml", "org: d\nproviders:\n- {name: a, vendor: openai}\n"),
        ("b.json", "{\"org\": \"d\", \"providers\": [{\"name\": \"b\", \"vendor\": \"openai\"}]}"),
        ("c.yml", "settings: {retention_days: 7}\n"),
        ("notes.txt", "not a manifest"),
    ])
    .unwrap();
    let names: Vec<_> = source.manifest.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(source.manifest.settings.unwrap().retention_days, 7);
}

#[test]
fn double_definitions_are_refused_with_both_places() {
    let problems = read_all(&[
        ("a.yaml", "org: d\nsettings: {}\nproviders:\n- {name: a, vendor: openai}\n"),
        ("b.yaml", "org: e\nsettings: {}\nproviders:\n- {name: a, vendor: openai}\n"),
    ])
    .unwrap_err();
    let problems: Vec<String> = problems.into_iter().map(|problem| problem.split("/tmp").next().unwrap_or_default().to_owned()).collect();
    assert!(problems[0].starts_with("b.yaml:1:1: manifest, field `org`: one manifest is for one organization"), "{problems:?}");
    assert!(problems[1].starts_with("b.yaml:2:1: manifest, field `settings`: is given already in"), "{problems:?}");
    assert!(problems[2].starts_with("b.yaml:4:4: provider `a`, field `name`: is defined already in"), "{problems:?}");
}

#[test]
fn a_rejection_is_given_the_line_of_its_field() {
    let text = "org: d\nproviders:\n- {name: a, vendor: openai}\nrouting_configs:\n- slug: r\n  strategy: custom_rules\n  rules:\n  - if: tags.a ==\n    then: pass\n  - else: '@nowhere'\n";
    let source = read(text).unwrap();
    let problems: Vec<_> = source.compile().unwrap_err().into_iter().map(|problem| (problem.line, problem.field)).collect();
    assert_eq!(problems, [(8, "rules[0].if".to_owned()), (10, "rules[1].else".to_owned())]);
}

#[test]
fn a_rejection_of_something_in_a_project_is_found() {
    let text = "org: d\nprojects:\n- name: p\n  keys:\n  - name: k\n    rpm: 0\n";
    let problems = read(text).unwrap().compile().unwrap_err();
    assert_eq!((problems[0].line, problems[0].resource.as_str()), (6, "key `k`"));
}

#[test]
fn an_empty_file_and_a_missing_one_say_so() {
    assert!(only_problem("# nothing\n").ends_with("there is no manifest in it"));
    let problems = Source::read(Path::new("/nowhere/m.yaml"), &Secrets::Leave).unwrap_err();
    assert!(problems[0].to_string().starts_with("/nowhere/m.yaml: No such file"), "{}", problems[0]);
}
