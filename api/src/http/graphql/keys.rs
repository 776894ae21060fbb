//! JSON in which a key stands twice: two readers could take it for two different requests, so it is none.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The path of the first key that stands twice in its object, such as `variables.input.name`. What is no JSON at all has none: whoever
/// reads it says so.
pub(super) fn find_repeated(json: &[u8]) -> Option<String> {
    let mut walk = Walk { path: Vec::new(), repeated: false };
    let walked = Value(&mut walk).deserialize(&mut serde_json::Deserializer::from_slice(json));
    (walked.is_err() && walk.repeated).then(|| walk.path.concat())
}

struct Walk {
    /// From the outside to where the walk is.
    path: Vec<String>,
    repeated: bool,
}

struct Value<'w>(&'w mut Walk);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(walk) = self;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            walk.path.push(if walk.path.is_empty() { key.clone() } else { format!(".{key}") });
            if !seen.insert(key) {
                walk.repeated = true;
                return Err(A::Error::custom("a key stands twice"));
            }
            map.next_value_seed(Value(walk))?;
            walk.path.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self(walk) = self;
        for place in 0_usize.. {
            walk.path.push(format!("[{place}]"));
            if list.next_element_seed(Value(walk))?.is_none() {
                break;
            }
            walk.path.pop();
        }
        walk.path.pop();
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_found_by_its_path() {
        for (json, path) in [
            (r#"{"query": "", "query": ""}"#, "query"),
            (r#"{"variables": {"input": {"name": 1, "rpm": {"a": 2}, "name": 2}}}"#, "variables.input.name"),
            (r#"{"variables": {"list": [{"a": 1}, [1.5, true], {"b": null, "b": -1}]}}"#, "variables.list[2].b"),
            (r#"{"a": 1, "\u0061": 2}"#, "a"),
        ] {
            assert_eq!(find_repeated(json.as_bytes()).as_deref(), Some(path), "{json}");
        }
    }

    #[test]
    fn the_same_key_in_two_objects_and_what_is_no_json_are_no_repetition() {
        for json in [r#"{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}"#, "[]", "", r#"{"a": 1, "a"#, "[[[[", "7"] {
            assert_eq!(find_repeated(json.as_bytes()), None, "{json}");
        }
    }
}
