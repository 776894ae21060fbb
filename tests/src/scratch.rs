//! The directory of one test, or of one program in it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Removed at the end, kept when the test fails.
#[derive(Debug)]
pub struct Scratch(Option<TempDir>);

impl Scratch {
    /// An empty directory, its name beginning with `name`.
    pub fn new(name: &str) -> Self {
        Self(Some(tempfile::Builder::new().prefix(&format!("modelux-{name}-")).tempdir().expect("a temporary directory")))
    }

    /// Where.
    pub fn path(&self) -> &Path {
        self.0.as_ref().expect("present until dropped").path()
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(directory) = self.0.take()
        {
            eprintln!("kept: {}", directory.keep().display());
        }
    }
}
