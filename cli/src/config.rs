//! What the commands are started with beyond their flags: the one place of the crate that sees the environment.
//!
//! Promises: flags win over variables, variables over the file, the file over the credentials that lie in the default directory. A
//! management key from a file or from credentials is only ever sent to the address that stands beside it.

mod credentials;

use std::path::{Path, PathBuf};

use api::config::ApiOptions;
use policy::options::{BadKey, WrittenOptions};
use serde::Deserialize;
use url::Url;
use worker::config::WorkerOptions;

pub(crate) use credentials::{Credentials, CredentialsError, Demo, FILE as CREDENTIALS};

use crate::arguments::TargetArguments;

/// Where `modelux up` keeps everything unless told otherwise.
pub(crate) const DATA_DIR: &str = "modelux-data";

/// Why the environment is not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file is not there or not readable.
    #[error("config file `{}` can't be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No TOML, an unknown key, or a value of the wrong kind.
    #[error("config file `{}` can't be used", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Where in it, and why.
        source: BadKey,
    },
    /// A variable that can't be read.
    #[error("environment variable `{name}` is not usable: {message}")]
    Variable {
        /// Which.
        name: &'static str,
        /// Why.
        message: String,
    },
    /// One without the other.
    #[error("{0}")]
    Incomplete(&'static str),
    /// Nothing is named, and there is nothing where `up` would have left it.
    #[error("no control plane is named: give --url and --token (MODELUX_URL and MODELUX_TOKEN), or --data-dir of a `modelux up`")]
    Nowhere(#[source] CredentialsError),
    /// The credentials that were named.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Keys of the TOML file that the asking commands have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigFile {
    url: Option<Url>,
    token: Option<String>,
    data_dir: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the file at `path`, or at `MODELUX_CONFIG`; without either, nothing is configured.
    fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let from_variable = variable("MODELUX_CONFIG").map(PathBuf::from);
        let Some(path) = path.map(Path::to_owned).or(from_variable) else { return Ok(Self::default()) };
        Self::parse(&read_text(&path)?).map_err(|source| ConfigError::Unusable { path, source })
    }

    /// The same file may hold the options of both planes; what neither of them nor this tool knows is an error.
    fn parse(text: &str) -> Result<Self, BadKey> {
        let foreign = |written: &WrittenOptions<'_>, key: &str| {
            let ours = matches!(key, "url" | "token" | "data_dir");
            !ours && (written.is_of::<ApiOptions>(key) || written.is_of::<WorkerOptions>(key))
        };
        WrittenOptions::read(text)?.without(foreign).into_options()
    }
}

/// Whether the TOML file at `path` has this key.
pub(crate) fn file_has(path: Option<&Path>, key: &str) -> Result<bool, ConfigError> {
    let Some(path) = path else { return Ok(false) };
    // A text that is no TOML is refused by who reads it as a whole.
    Ok(WrittenOptions::read(&read_text(path)?).is_ok_and(|written| written.has(key)))
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// A control plane and a key for it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Address.
    pub(crate) url: Url,
    /// Management key.
    pub(crate) token: String,
}

/// The variables that say where and who.
#[derive(Debug, Default)]
struct Variables {
    url: Option<Url>,
    token: Option<String>,
    data_dir: Option<PathBuf>,
}

impl Target {
    /// What the flags, the environment and the files say.
    pub(crate) fn find(arguments: &TargetArguments) -> Result<Self, ConfigError> {
        let url = variable("MODELUX_URL").map(|text| {
            text.parse().map_err(|error: url::ParseError| ConfigError::Variable { name: "MODELUX_URL", message: error.to_string() })
        });
        let variables = Variables {
            url: url.transpose()?,
            token: variable("MODELUX_TOKEN"),
            data_dir: variable("MODELUX_DATA_DIR").map(PathBuf::from),
        };
        Self::choose(arguments, variables, ConfigFile::read(arguments.config.as_deref())?)
    }

    fn choose(arguments: &TargetArguments, variables: Variables, file: ConfigFile) -> Result<Self, ConfigError> {
        let TargetArguments { url, token, data_dir, config: _ } = arguments.clone();
        if let Some(directory) = data_dir {
            let credentials = Self::from(Credentials::read(&directory)?);
            return Ok(Self { url: url.unwrap_or(credentials.url), token: token.unwrap_or(credentials.token) });
        }
        match (url.or(variables.url), token.or(variables.token)) {
            (Some(url), Some(token)) => Ok(Self { url, token }),
            (Some(_), None) => Err(ConfigError::Incomplete("an address is given and no key: add --token or MODELUX_TOKEN")),
            (None, Some(_)) => Err(ConfigError::Incomplete("a key is given and no address: add --url or MODELUX_URL")),
            (None, None) => Self::from_file(file, variables.data_dir),
        }
    }

    fn from_file(file: ConfigFile, data_dir: Option<PathBuf>) -> Result<Self, ConfigError> {
        match (file.url, file.token) {
            (Some(url), Some(token)) => Ok(Self { url, token }),
            (None, None) => match data_dir.or(file.data_dir) {
                Some(directory) => Ok(Credentials::read(&directory)?.into()),
                None => Credentials::read(Path::new(DATA_DIR)).map(Self::from).map_err(ConfigError::Nowhere),
            },
            _ => Err(ConfigError::Incomplete("the config file has one of `url` and `token` and not the other")),
        }
    }
}

impl From<Credentials> for Target {
    fn from(credentials: Credentials) -> Self {
        Self { url: credentials.api_url, token: credentials.management_key }
    }
}

/// A variable of the environment, as secrets in manifests name them; none where it is not set or not text.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Option<Url> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn flags_win_over_variables_and_variables_over_the_file() {
        let variables = || Variables { url: url("http://variable/"), token: Some("v".to_owned()), data_dir: None };
        let file = || ConfigFile { url: url("http://file/"), token: Some("f".to_owned()), ..ConfigFile::default() };
        let flags = TargetArguments { url: url("http://flag/"), ..TargetArguments::default() };
        let chosen = Target::choose(&flags, variables(), file()).unwrap();
        assert_eq!((chosen.url.as_str(), chosen.token.as_str()), ("http://flag/", "v"));
        let chosen = Target::choose(&TargetArguments::default(), variables(), file()).unwrap();
        assert_eq!(chosen.url.as_str(), "http://variable/");
        let chosen = Target::choose(&TargetArguments::default(), Variables::default(), file()).unwrap();
        assert_eq!(chosen.url.as_str(), "http://file/");
    }

    #[test]
    fn a_key_is_not_sent_to_an_address_it_was_not_given_with() {
        let file = ConfigFile { url: url("http://file/"), token: Some("f".to_owned()), ..ConfigFile::default() };
        let variables = Variables { url: url("http://variable/"), token: None, data_dir: None };
        assert!(matches!(Target::choose(&TargetArguments::default(), variables, file), Err(ConfigError::Incomplete(_))));
    }

    #[test]
    fn unknown_keys_of_the_file_are_errors() {
        assert!(ConfigFile::parse("data_dir = \"x\"\nno_demo = true\nthreads = 2\n").is_ok());
        assert!(ConfigFile::parse("datadir = \"x\"\n").unwrap_err().to_string().contains("datadir"));
    }
}
