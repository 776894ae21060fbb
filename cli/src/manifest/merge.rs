//! Several documents as one: lists are joined, everything else may be said once.

use super::Problem;
use super::files::Files;
use super::node::{Content, Entry, Node, Position};

/// What names a resource in each list, and what it is called in messages.
const LISTS: &[(&str, &str, &str)] = &[
    ("providers", "name", "provider"),
    ("models", "model", "model"),
    ("routing_configs", "slug", "routing config"),
    ("projects", "name", "project"),
    ("budgets", "name", "budget"),
    ("members", "email", "member"),
];
const LISTS_OF_A_PROJECT: &[(&str, &str, &str)] = &[("routing_configs", "slug", "routing config"), ("keys", "name", "key")];

/// Joins `documents`; without any, the result is an empty document.
pub(crate) fn merge(documents: Vec<Node>, files: &Files) -> Result<Node, Vec<Problem>> {
    let at = documents.first().map_or(Position { file: 0, line: 1, column: 1 }, |first| first.at);
    let mut merged: Vec<Entry> = Vec::new();
    let mut problems = Vec::new();
    for document in documents {
        let Content::Map(entries) = document.content else {
            problems.push(files.problem(document.at, "manifest", "", "a manifest is an object with `org`, `providers`, `projects`, …"));
            continue;
        };
        for entry in entries {
            match merged.iter_mut().find(|known| known.key == entry.key) {
                None => merged.push(entry),
                Some(known) => problems.extend(join(known, entry, files)),
            }
        }
    }
    let root = Node { at, content: Content::Map(merged) };
    problems.extend(refuse_doubles(&root, files));
    if problems.is_empty() { Ok(root) } else { Err(problems) }
}

fn join(known: &mut Entry, entry: Entry, files: &Files) -> Option<Problem> {
    match (&mut known.value.content, entry.value.content) {
        (Content::List(elements), Content::List(more)) => {
            elements.extend(more);
            None
        }
        (Content::Text(one), Content::Text(other)) if entry.key == "org" && *one == other => None,
        _ => {
            let message = match entry.key.as_str() {
                "org" => format!("one manifest is for one organization; {} names another", files.place(known.at)),
                _ => format!("is given already in {}", files.place(known.at)),
            };
            Some(files.problem(entry.at, "manifest", entry.key, message))
        }
    }
}

fn refuse_doubles(root: &Node, files: &Files) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (list, name, noun) in LISTS {
        find_doubles(root, (list, name, noun), "", files, &mut problems);
    }
    for project in root.get("projects").map(Node::elements).unwrap_or_default() {
        let prefix = format!("{}/", project.text_of("name").unwrap_or_default());
        for (list, name, noun) in LISTS_OF_A_PROJECT {
            find_doubles(project, (list, name, noun), &prefix, files, &mut problems);
        }
    }
    problems
}

fn find_doubles(of: &Node, (list, name, noun): (&str, &str, &str), prefix: &str, files: &Files, problems: &mut Vec<Problem>) {
    let mut seen: std::collections::HashMap<String, Position> = std::collections::HashMap::new();
    for element in of.get(list).map(Node::elements).unwrap_or_default() {
        let Some(entry) = element.entry(name) else { continue };
        let Some(text) = entry.value.text() else { continue };
        let same = if list == "members" { text.to_lowercase() } else { text.to_owned() };
        if let Some(first) = seen.insert(same, entry.at) {
            let message = format!("is defined already in {}", files.place(first));
            problems.push(files.problem(entry.at, format!("{noun} `{prefix}{text}`"), name, message));
        }
    }
}
