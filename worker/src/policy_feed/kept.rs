//! The last good bundle of each organization, on disk. Their signatures are checked again when they are read.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use policy::bundle::Envelope;

/// The directory with the bundles.
pub(super) struct Kept {
    dir: PathBuf,
}

impl Kept {
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// Everything that is there and readable.
    pub(super) fn read_all(&self) -> Vec<Envelope> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let files =
            entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
        let read = |path: PathBuf| {
            let bytes = std::fs::read(&path).map_err(|error| error.to_string());
            let envelope = bytes.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
            envelope.inspect_err(|error| tracing::warn!(file = %path.display(), error, "kept bundle can't be read")).ok()
        };
        files.filter_map(read).collect()
    }

    /// Keeps `envelope` instead of the one before. Blocks.
    pub(super) fn write(&self, envelope: &Envelope) -> io::Result<()> {
        write_atomically(&self.file(&envelope.org_id)?, &serde_json::to_vec(envelope)?)
    }

    pub(super) fn remove(&self, org_id: &str) -> io::Result<()> {
        std::fs::remove_file(self.file(org_id)?)
    }

    fn file(&self, org_id: &str) -> io::Result<PathBuf> {
        // An id is letters, digits and an underscore; anything else does not become a path.
        let plain = org_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain || org_id.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an organization id"));
        }
        Ok(self.dir.join(format!("{org_id}.json")))
    }
}

/// Writes the whole file or nothing: readable by this user only, on the disk before it takes its place. Blocks.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = super::beside(path);
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&beside, path)
}
