//! `credentials.json`: what `modelux up` tells whoever may read its data directory.
//!
//! Promises: mode 0600; it appears whole or not at all; written on the first start and kept on later ones, except for
//! the two addresses, which follow the listeners.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "credentials.json";

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// The file is not there or not readable.
    #[error("`{}` can't be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("`{}` is not a credentials file", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// It can't be written.
    #[error("`{}` can't be written", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Addresses and secrets of one `modelux up`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// Control plane.
    #[serde(with = "address")]
    pub(crate) api_url: Url,
    /// Data plane.
    #[serde(with = "address")]
    pub(crate) proxy_url: Url,
    /// Organization's slug.
    pub(crate) org: String,
    /// `mlx_mk_…`
    pub(crate) management_key: String,
    /// `mlx_wk_…`
    pub(crate) worker_token: String,
    /// Who owns the organization.
    pub(crate) owner_email: String,
    /// With which password.
    pub(crate) owner_password: String,
    /// The demo project; absent with `--no-demo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) demo: Option<Demo>,
}

/// The demo project.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Demo {
    /// Its name.
    pub(crate) project: String,
    /// `mlx_sk_…`
    pub(crate) proxy_key: String,
}

impl Credentials {
    /// Reads the file of `directory`.
    pub(crate) fn read(directory: &Path) -> Result<Self, CredentialsError> {
        let path = directory.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| CredentialsError::Unreadable { path: path.clone(), source })?;
        serde_json::from_str(&text).map_err(|source| CredentialsError::Malformed { path, source })
    }

    /// Writes the file of `directory`.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), CredentialsError> {
        let path = directory.join(FILE);
        let unwritable = |source| CredentialsError::Unwritable { path: path.clone(), source };
        let mut text = serde_json::to_string(self).map_err(|error| unwritable(error.into()))?;
        text.push('\n');
        let draft = directory.join(format!("{FILE}.draft"));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(unwritable)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritable)?;
        std::fs::rename(&draft, &path).map_err(unwritable)
    }
}

/// An address without the `/` that the URL type puts behind it.
mod address {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str().trim_end_matches('/'))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        Url::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_has_the_shape_of_the_contract_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"{"api_url":"http://127.0.0.1:5100","proxy_url":"http://127.0.0.1:8080","org":"default","management_key":"mlx_mk_a","worker_token":"mlx_wk_b","owner_email":"owner@localhost","owner_password":"c","demo":{"project":"demo","proxy_key":"mlx_sk_d"}}"#;
        let credentials: Credentials = serde_json::from_str(text).unwrap();
        credentials.write(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim_end(), text);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Credentials::read(directory.path()).unwrap() == credentials);
    }
}
