//! Secrets in a manifest: `${ENV_NAME}` or `{file: path}`, resolved where the manifest is read so that only values travel.
//!
//! Promises: nothing but the fields listed here is ever looked up, so that a text with `${…}` in a rule or a name is a text. A secret
//! that can't be found is an error that names the variable or the file, never an empty value.

use std::path::{Path, PathBuf};

use super::Problem;
use super::files::Files;
use super::node::{Content, Node, Position};

/// Where secrets stand: section, the word for an element of it, and the path from there.
const SECRETS: [(&str, &str, &[&str]); 2] =
    [("providers", "provider", &["api_key"]), ("projects", "project", &["settings", "guardrails", "webhook", "secret"])];

/// Where secrets come from.
pub(crate) enum Secrets<'a> {
    /// From the environment, read through this function, and from files.
    Resolve(&'a dyn Fn(&str) -> Option<String>),
    /// From nowhere: their form is checked and they stay unknown.
    Leave,
}

/// Puts values in the place of references.
pub(crate) fn resolve_secrets(root: &mut Node, files: &Files, secrets: &Secrets<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (section, resource, path) in SECRETS {
        for element in root.get_mut(section).into_iter().flat_map(Node::elements_mut) {
            let name = element.text_of("name").unwrap_or_default().to_owned();
            let Some(value) = path.iter().try_fold(element, |node, field| node.get_mut(field)) else { continue };
            match resolve(value, files, secrets) {
                Ok(Some(secret)) => value.content = Content::Text(secret),
                Ok(None) => {}
                Err(message) => problems.push(files.problem(value.at, format!("{resource} `{name}`"), path.join("."), message)),
            }
        }
    }
    problems
}

/// The secret that `value` refers to; none where it is not a reference, which the type of the field then judges.
fn resolve(value: &Node, files: &Files, secrets: &Secrets<'_>) -> Result<Option<String>, String> {
    match &value.content {
        Content::Text(text) => match variable_name(text)? {
            Some(name) => from_variable(name, secrets).map(Some),
            None => Ok(None),
        },
        Content::Map(entries) => match entries.as_slice() {
            [entry] if entry.key == "file" => match entry.value.text() {
                Some(path) => from_file(Path::new(path), value.at, files, secrets).map(Some),
                None => Err("`file` takes a path".to_owned()),
            },
            _ => Err("a secret is a text, `${ENV_NAME}` or `{file: path}`".to_owned()),
        },
        _ => Ok(None),
    }
}

/// The name in `${NAME}`; none for a text that is no reference.
fn variable_name(text: &str) -> Result<Option<&str>, String> {
    let Some(rest) = text.strip_prefix("${") else {
        return match text.contains("${") {
            true => Err("a secret is one `${ENV_NAME}` and nothing around it".to_owned()),
            false => Ok(None),
        };
    };
    let name = rest.strip_suffix('}').unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err("a secret is one `${ENV_NAME}` and nothing around it".to_owned());
    }
    Ok(Some(name))
}

fn from_variable(name: &str, secrets: &Secrets<'_>) -> Result<String, String> {
    match secrets {
        Secrets::Leave => Ok("unresolved".to_owned()),
        Secrets::Resolve(variable) => match variable(name) {
            None => Err(format!("environment variable `{name}` is not set")),
            Some(value) if value.is_empty() => Err(format!("environment variable `{name}` is empty")),
            Some(value) => Ok(value),
        },
    }
}

/// A relative path is relative to the manifest it stands in. The line break at the end of a file is not part of the secret.
fn from_file(path: &Path, at: Position, files: &Files, secrets: &Secrets<'_>) -> Result<String, String> {
    if matches!(secrets, Secrets::Leave) {
        return Ok("unresolved".to_owned());
    }
    let path: PathBuf = files.directory(at).join(path);
    let content = std::fs::read_to_string(&path).map_err(|error| format!("file `{}` can't be read: {error}", path.display()))?;
    let secret = content.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!("file `{}` is empty", path.display()));
    }
    Ok(secret.to_owned())
}
