//! Options as both planes take them: keys of one TOML file, with flags and variables over them.
//!
//! A plane's options are one struct whose fields are flags, variables and keys at once, so that the three can't differ. One file may serve
//! both planes: whoever reads it leaves out the keys that only the other one has, and what neither knows is an error.
//!
//! Promises: an error names the key and its line, and shows nothing of the file but the key, since its values may be secrets. Leaves out:
//! opening the file, and the environment.

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// A key that can't be used, or a text that is no TOML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", display_line(.line))]
pub struct BadKey {
    /// Counted from 1; absent where it is not to be found.
    pub line: Option<usize>,
    /// The key, and what is wrong with it.
    pub problem: String,
}

fn display_line(line: &Option<usize>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}

/// What a file says.
#[derive(Debug, Clone)]
pub struct WrittenOptions<'t> {
    text: &'t str,
    keys: Table,
}

impl<'t> WrittenOptions<'t> {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it is no TOML.
    pub fn read(text: &'t str) -> Result<Self, BadKey> {
        let keys = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            BadKey { line: before.map(|before| before.matches('\n').count().saturating_add(1)), problem: error.message().to_owned() }
        })?;
        Ok(Self { text, keys })
    }

    /// Whether this key is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Whether this key with its value is one of the options `O`.
    #[must_use]
    pub fn is_of<O: DeserializeOwned>(&self, key: &str) -> bool {
        let alone = |value: &Value| Table::from_iter([(key.to_owned(), value.clone())]).try_into::<O>();
        self.keys.get(key).is_some_and(|value| alone(value).is_ok())
    }

    /// Without the keys that are `foreign`.
    #[must_use]
    pub fn without(mut self, foreign: impl Fn(&Self, &str) -> bool) -> Self {
        let foreign: Vec<String> = self.keys.keys().filter(|key| foreign(&self, key)).cloned().collect();
        for key in foreign {
            self.keys.remove(&key);
        }
        self
    }

    /// The options, with `flags` (and variables) over the keys.
    ///
    /// # Errors
    /// When a key is unknown or its value of the wrong kind.
    pub fn under<O: Serialize + DeserializeOwned>(mut self, flags: &O) -> Result<O, BadKey> {
        let given = Table::try_from(flags).map_err(|error| BadKey { line: None, problem: error.to_string() })?;
        self.keys.extend(given);
        self.into_options()
    }

    /// The options as the file has them.
    ///
    /// # Errors
    /// When a key is unknown or its value of the wrong kind.
    pub fn into_options<O: DeserializeOwned>(self) -> Result<O, BadKey> {
        let Self { text, keys } = self;
        serde_path_to_error::deserialize(Value::Table(keys)).map_err(|error| {
            let key = error.path().to_string();
            // The list of what is known would be that of one plane, and the key may be meant for the other.
            let message = error.inner().message();
            let unknown = message.starts_with("unknown field").then(|| message.split(", expected").next()).flatten();
            let problem = unknown.map_or_else(|| message.to_owned(), |unknown| format!("{unknown}; `--help` lists the options"));
            BadKey { line: line_of(text, &key), problem: format!("`{key}`: {problem}") }
        })
    }
}

/// The line on which a key, or a table of that name, begins.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let quote = |c: char| matches!(c, '"' | '\'');
    let begins = |line: &str| {
        let rest = line.trim_start().trim_start_matches('[').trim_start().trim_start_matches(quote).strip_prefix(key)?;
        rest.trim_start_matches(quote).trim_start().starts_with(['=', '.', ']']).then_some(())
    };
    text.lines().position(|line| begins(line).is_some()).map(|before| before.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Plane {
        #[serde(skip_serializing_if = "Option::is_none")]
        threads: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    }

    fn refused(text: &str) -> String {
        let refused = WrittenOptions::read(text).and_then(|written| written.under(&Plane::default()));
        refused.unwrap_err().to_string()
    }

    #[test]
    fn flags_win_over_keys_and_foreign_keys_are_left_out() {
        let written = WrittenOptions::read("threads = 1\nname = \"a\"\nother = 3\n").unwrap();
        let flags = Plane { threads: Some(2), name: None };
        let options = written.without(|_, key| key == "other").under(&flags).unwrap();
        assert_eq!(options, Plane { threads: Some(2), name: Some("a".to_owned()) });
    }

    #[test]
    fn what_can_not_be_used_is_named_with_its_line() {
        assert!(refused("# a\nthreads = \"two\"\n").starts_with("line 2: `threads`: invalid type: string \"two\", expected u64"));
        assert_eq!(refused("\n\nlabel = 'x'\n"), "line 3: `label`: unknown field `label`; `--help` lists the options");
        assert!(refused("[worker]\nthreads = 1\n").starts_with("line 1: `worker`: unknown field `worker`"));
    }

    #[test]
    fn a_text_that_is_no_toml_is_refused_by_line_and_is_not_repeated() {
        let message = refused("threads = 1\nname = hunter2\n");
        assert!(message.starts_with("line 2: ") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn a_key_belongs_to_whose_options_it_fits() {
        let written = WrittenOptions::read("threads = 1\nother = 3\n").unwrap();
        assert!(written.is_of::<Plane>("threads") && !written.is_of::<Plane>("other") && !written.is_of::<Plane>("absent"));
    }
}
