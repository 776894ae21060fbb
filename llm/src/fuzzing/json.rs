//! JSON as `serde_json` reads it: what our own reader is held against.

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Whether these bytes are JSON.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Whether these bytes are JSON and text, as a request must be.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && is_json(bytes)
}

/// The members of an object, in their order and as they are written, each as often as it stands there.
#[derive(Debug)]
pub(super) struct Object<'a>(pub(super) Vec<(String, &'a str)>);

impl<'a> Object<'a> {
    /// Reads one. `None` for what is none, and where a name or a text is half a pair of surrogates, which `serde_json` does not read.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// A member as it is written.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find_map(|(known, value)| (known == name).then_some(*value))
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// All members but those that `changes` names.
    pub(super) fn without(&self, changes: impl Fn(&str) -> bool) -> Vec<(&str, &'a str)> {
        self.0.iter().filter(|(name, _)| !changes(name)).map(|(name, value)| (name.as_str(), *value)).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, &'de str)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Self)
    }
}

/// The elements of an array as they are written.
pub(super) fn elements(json: &str) -> Vec<&str> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
    elements.into_iter().map(RawValue::get).collect()
}
