//! The master key: 32 bytes in base 64, from a file that only its owner reads, or from configuration.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::seal::KEY_LEN;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Not 32 bytes in base 64.
    #[error("the master key is not {KEY_LEN} bytes in base 64")]
    Malformed,
    /// The file holds no such key.
    #[error("the master key in `{path}` is not {KEY_LEN} bytes in base 64")]
    MalformedFile {
        /// Which file.
        path: PathBuf,
    },
    /// The file can't be read or made.
    #[error("can't read or create the master key `{path}`")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The system has no randomness to give.
    #[error("no randomness for a new master key")]
    Random,
}

/// Wraps data keys. Known by an id that says nothing of the key.
#[derive(Clone)]
pub struct MasterKey {
    id: String,
    bytes: Zeroizing<[u8; KEY_LEN]>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl MasterKey {
    /// From base 64, as configuration has it; white space around it is ignored.
    ///
    /// # Errors
    /// When it is not 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, MasterKeyError> {
        let decoded = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| MasterKeyError::Malformed)?);
        let bytes: [u8; KEY_LEN] = decoded.as_slice().try_into().map_err(|_| MasterKeyError::Malformed)?;
        Ok(Self::from_bytes(bytes))
    }

    /// From the file at `path`, which is made with a new key and mode 0600 where there is none.
    ///
    /// # Errors
    /// When the file can't be read or made, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        let file_error = |source| MasterKeyError::File { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_base64(&Zeroizing::new(text)).map_err(|_| MasterKeyError::MalformedFile { path: path.to_owned() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = [0_u8; KEY_LEN];
                SystemRandom::new().fill(&mut bytes).map_err(|_| MasterKeyError::Random)?;
                let text = Zeroizing::new(BASE64.encode(bytes));
                create_whole(path, text.as_bytes()).map_err(file_error)?;
                // Where two processes start at once, one file wins; both read that one.
                let text = Zeroizing::new(std::fs::read_to_string(path).map_err(file_error)?);
                Self::from_base64(&text).map_err(|_| MasterKeyError::MalformedFile { path: path.to_owned() })
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// A name for the key that is stored beside what it wrapped.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &bytes);
        let mut id = super::random::hex(ring::hmac::sign(&key, b"modelux-master-key-id-v1").as_ref());
        id.truncate(16);
        Self { id, bytes: Zeroizing::new(bytes) }
    }
}

/// The file appears whole or not at all, and one that is there is left alone.
fn create_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        },
    }
}
