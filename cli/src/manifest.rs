//! Manifests: the files of `plan`, `apply` and `policy check`.
//!
//! Promises: YAML or JSON, one file or a directory; unknown fields, double definitions and unusable values are errors that name file,
//! line, resource and field, and all that can be found at once are reported at once. Secrets are resolved here.
//!
//! Leaves out: whether the names that a manifest uses exist. The control plane knows that, and its answer is given a line by
//! [`Source::problem`].

mod deserialize;
mod draft;
mod files;
mod merge;
mod node;
mod secrets;
mod yaml;

use std::fmt;
use std::path::{Path, PathBuf};

use policy::compile::Rejection;
use policy::source::{Manifest, RoutingDocument};
use serde::Deserialize as _;

use deserialize::Misfit;
use files::Files;
use node::{Content, Node, Step};

pub(crate) use secrets::Secrets;

/// One thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// In which file.
    pub(crate) file: PathBuf,
    /// On which line; 0 for the file as a whole.
    pub(crate) line: usize,
    /// In which column.
    pub(crate) column: usize,
    /// Kind and name; empty where the text itself can't be read.
    pub(crate) resource: String,
    /// Path of the field inside of the resource; may be empty.
    pub(crate) field: String,
    /// What is wrong and what would be right.
    pub(crate) message: String,
}

impl Problem {
    fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, resource: String::new(), field: String::new(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        match (self.resource.as_str(), self.field.as_str()) {
            ("", _) => write!(f, " {}", self.message),
            (resource, "") => write!(f, " {resource}: {}", self.message),
            (resource, field) => write!(f, " {resource}, field `{field}`: {}", self.message),
        }
    }
}

/// A manifest with the places of its parts.
#[derive(Debug)]
pub(crate) struct Source {
    /// What was declared.
    pub(crate) manifest: Manifest,
    root: Node,
    files: Files,
}

impl Source {
    /// Reads the manifest in the file or directory at `path`.
    pub(crate) fn read(path: &Path, secrets: &Secrets<'_>) -> Result<Self, Vec<Problem>> {
        let (files, documents) = files::read_files(path)?;
        if documents.is_empty() {
            return Err(vec![Problem::of_file(path, "there is no manifest in it")]);
        }
        let mut root = merge::merge(documents, &files)?;
        let mut problems = secrets::resolve_secrets(&mut root, &files, secrets);
        problems.extend(misfits_of_configs(&root).iter().map(|misfit| problem_of(misfit, &root, &files)));
        if !problems.is_empty() {
            return Err(problems);
        }
        match Manifest::deserialize(&root) {
            Ok(manifest) => Ok(Self { manifest, root, files }),
            Err(misfit) => Err(vec![problem_of(&misfit, &root, &files)]),
        }
    }

    /// Compiles what was declared, and nothing else, as a whole organization.
    pub(crate) fn compile(&self) -> Result<policy::bundle::v1::Bundle, Vec<Problem>> {
        policy::compile::compile(&draft::draft_organization(&self.manifest)).map_err(|rejections| {
            let problem = |rejection: &Rejection| self.problem(rejection.resource, &rejection.name, &rejection.field, &rejection.message);
            let mut problems: Vec<Problem> = rejections.iter().map(problem).collect();
            problems.sort_by(|one, other| (&one.file, one.line, one.column).cmp(&(&other.file, other.line, other.column)));
            problems
        })
    }

    /// What somebody else found wrong with a resource, at the line where it was declared.
    pub(crate) fn problem(&self, resource: &str, name: &str, field: &str, message: &str) -> Problem {
        let path = node::parse_path(field);
        let at = match resource {
            "settings" => {
                self.root.entry("settings").map_or(self.root.at, |entry| if path.is_empty() { entry.at } else { entry.value.follow(&path) })
            }
            _ => find_resource(&self.root, resource, name).map_or(self.root.at, |node| node.follow(&path)),
        };
        let label = if name.is_empty() { resource.to_owned() } else { format!("{} `{name}`", resource.replace('_', " ")) };
        self.files.problem(at, label, field, message)
    }

    /// What somebody else found wrong at a path of the whole manifest, such as `projects[1].keys[0]`.
    pub(crate) fn problem_at(&self, path: &str, message: &str) -> Problem {
        let path = node::parse_path(path);
        let (resource, field) = name_resource(&self.root, &path);
        self.files.problem(self.root.follow(&path), resource, node::render_path(&field), message)
    }
}

/// Routing configs are read by a derive of their own, without the slug beside them, because the whole manifest's reader only knows
/// where a config begins, and not which of its rules is wrong.
fn misfits_of_configs(root: &Node) -> Vec<Misfit> {
    let key = |key: &str| Step::Key(key.to_owned());
    let mut misfits = check_configs(root.get("routing_configs"), &[key("routing_configs")]);
    for (index, project) in root.get("projects").map(Node::elements).unwrap_or_default().iter().enumerate() {
        let path = [key("projects"), Step::Index(index), key("routing_configs")];
        misfits.extend(check_configs(project.get("routing_configs"), &path));
    }
    misfits
}

fn check_configs(configs: Option<&Node>, path: &[Step]) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    for (index, config) in configs.map(Node::elements).unwrap_or_default().iter().enumerate() {
        let Content::Map(entries) = &config.content else { continue };
        let document = entries.iter().filter(|entry| entry.key != "slug").cloned().collect();
        let document = Node { at: config.at, content: Content::Map(document) };
        if let Err(misfit) = RoutingDocument::deserialize(&document).map_err(|misfit| misfit.at(&document)) {
            let path = path.iter().cloned().chain([Step::Index(index)]).chain(misfit.path).collect();
            misfits.push(Misfit { path, ..misfit });
        }
    }
    misfits
}

fn problem_of(misfit: &Misfit, root: &Node, files: &Files) -> Problem {
    let at = misfit.at.unwrap_or(root.at);
    let (resource, field) = name_resource(root, &misfit.path);
    files.problem(at, resource, node::render_path(&field), misfit.message.clone())
}

/// What is at `path` in words, and the rest of the path inside of it.
fn name_resource(root: &Node, path: &[Step]) -> (String, Vec<Step>) {
    let named = |node: Option<&Node>, field: &str, index: usize| {
        node.and_then(|node| node.text_of(field)).map_or_else(|| format!("number {}", index.saturating_add(1)), str::to_owned)
    };
    let [Step::Key(list), rest @ ..] = path else { return ("manifest".to_owned(), path.to_vec()) };
    if list == "settings" {
        return ("settings".to_owned(), rest.to_vec());
    }
    let [Step::Index(index), field @ ..] = rest else { return ("manifest".to_owned(), path.to_vec()) };
    let element = root.get(list).and_then(|list| list.elements().get(*index));
    let (noun, name_field) = match list.as_str() {
        "providers" => ("provider", "name"),
        "models" => ("model", "model"),
        "routing_configs" => ("routing config", "slug"),
        "budgets" => ("budget", "name"),
        "members" => ("member", "email"),
        "projects" => ("project", "name"),
        _ => return ("manifest".to_owned(), path.to_vec()),
    };
    let name = named(element, name_field, *index);
    if let ("projects", [Step::Key(inner), Step::Index(inner_index), field @ ..]) = (list.as_str(), field) {
        let element = element.and_then(|project| project.get(inner)).and_then(|list| list.elements().get(*inner_index));
        match inner.as_str() {
            "keys" => return (format!("key `{name}/{}`", named(element, "name", *inner_index)), field.to_vec()),
            "routing_configs" => return (format!("routing config `{name}/{}`", named(element, "slug", *inner_index)), field.to_vec()),
            _ => {}
        }
    }
    (format!("{noun} `{name}`"), field.to_vec())
}

/// The resource that the control plane calls `resource` and `name`; `project/name` or the name alone for parts of projects.
fn find_resource<'n>(root: &'n Node, resource: &str, name: &str) -> Option<&'n Node> {
    let find = |of: &'n Node, list: &str, field: &str, name: &str| {
        of.get(list).map(Node::elements).unwrap_or_default().iter().find(|element| element.text_of(field) == Some(name))
    };
    let find_in_projects = |list: &str, field: &str| {
        let mut projects = root.get("projects").map(Node::elements).unwrap_or_default().iter();
        projects.find_map(|project| {
            let own = name.strip_prefix(project.text_of("name")?).and_then(|rest| rest.strip_prefix('/'));
            find(project, list, field, own.unwrap_or(name))
        })
    };
    match resource {
        "provider" => find(root, "providers", "name", name),
        "model" => find(root, "models", "model", name),
        "routing_config" => find(root, "routing_configs", "slug", name).or_else(|| find_in_projects("routing_configs", "slug")),
        "project" => find(root, "projects", "name", name),
        "key" | "proxy_key" => find_in_projects("keys", "name"),
        "budget" => find(root, "budgets", "name", name),
        "member" | "membership" => find(root, "members", "email", name),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
