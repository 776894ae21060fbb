//! The files of a manifest: one, or all of a directory in the order of their names.

use std::path::{Path, PathBuf};

use super::Problem;
use super::node::{Node, Position};
use super::yaml::{read_json, read_yaml};

/// Larger files are not manifests.
const MAX_BYTES: u64 = 16 << 20;

/// Which files were read, by index.
#[derive(Debug, Default)]
pub(crate) struct Files {
    paths: Vec<PathBuf>,
}

impl Files {
    /// A problem at `at`.
    pub(crate) fn problem(
        &self,
        at: Position,
        resource: impl Into<String>,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Problem {
        let file = self.path(at).map(Path::to_owned).unwrap_or_default();
        Problem { file, line: at.line, column: at.column, resource: resource.into(), field: field.into(), message: message.into() }
    }

    /// Where relative paths in the file of `at` start.
    pub(crate) fn directory(&self, at: Position) -> &Path {
        self.path(at).and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// `file:line` of `at`.
    pub(crate) fn place(&self, at: Position) -> String {
        format!("{}:{}", self.path(at).unwrap_or(Path::new("")).display(), at.line)
    }

    fn path(&self, at: Position) -> Option<&Path> {
        self.paths.get(at.file).map(PathBuf::as_path)
    }
}

/// All documents of the file, or of the directory, at `path`.
pub(crate) fn read_files(path: &Path) -> Result<(Files, Vec<Node>), Vec<Problem>> {
    let unreadable = |path: &Path, error: String| vec![Problem::of_file(path, error)];
    let files = Files { paths: list_files(path).map_err(|error| unreadable(path, error))? };
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for (index, path) in files.paths.iter().enumerate() {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) => {
                problems.extend(unreadable(path, error));
                continue;
            }
        };
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        match if is_json { read_json(&text, index) } else { read_yaml(&text, index) } {
            Ok(found) => documents.extend(found),
            Err(error) => problems.push(files.problem(error.at, "", "", error.message)),
        }
    }
    if problems.is_empty() { Ok((files, documents)) } else { Err(problems) }
}

fn read_text(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_BYTES {
        return Err(format!("the file has {length} bytes; a manifest has at most {MAX_BYTES}"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn list_files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !std::fs::metadata(path).map_err(|error| error.to_string())?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let known = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json");
        if known && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err("the directory holds no .yaml, .yml or .json file".to_owned());
    }
    Ok(paths)
}
