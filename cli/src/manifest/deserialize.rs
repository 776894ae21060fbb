//! From [`Node`]s to the types of the policy source, with errors that know their place.
//!
//! Serde's derives know nothing of lines. Each error is given the position of the innermost value that was being read, and the path
//! to it as the calls return.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::{Content, Entry, Node, Position, Step};

/// A value that does not fit, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Where; none until the value that was being read is known.
    pub(crate) at: Option<Position>,
    /// From the outside in.
    pub(crate) path: Vec<Step>,
    /// Why.
    pub(crate) message: String,
}

impl Misfit {
    /// The same error at `node`, unless its place is known already.
    pub(crate) fn at(mut self, node: &Node) -> Self {
        if self.at.is_none() {
            // A message about a member of this very map is better placed at that member.
            let named = self.message.split('`').skip(1).step_by(2).find_map(|name| node.entry(name));
            if let (Some(entry), true) = (named, self.path.is_empty()) {
                self.path.push(Step::Key(entry.key.clone()));
            }
            self.at = Some(named.map_or(node.at, |entry| entry.at));
        }
        self
    }

    fn inside(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { at: None, path: Vec::new(), message: message.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { at: None, path: vec![Step::Key(field.to_owned())], message: "is missing".to_owned() }
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Negative(value) => visitor.visit_i64(*value),
            Content::Whole(value) => visitor.visit_u64(*value),
            Content::Float(value) => visitor.visit_f64(*value),
            Content::Text(text) => visitor.visit_borrowed_str(text),
            Content::List(elements) => visitor.visit_seq(Elements { rest: elements.iter(), next: 0 }),
            Content::Map(entries) => visitor.visit_map(Members { rest: entries.iter(), value: None }),
        }
        .map_err(|error| error.at(self))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.content == Content::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        match &self.content {
            Content::Text(text) => {
                let unit: StrDeserializer<'_, Misfit> = text.as_str().into_deserializer();
                visitor.visit_enum(unit)
            }
            Content::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { entry }).map_err(|error| error.inside(Step::Key(entry.key.clone()))),
                _ => Err(Misfit::custom("expected a word, or an object with one member")),
            },
            Content::Null | Content::Bool(_) | Content::Negative(_) | Content::Whole(_) | Content::Float(_) | Content::List(_) => {
                Err(Misfit::custom("expected a word, or an object with one member"))
            }
        }
        .map_err(|error| error.at(self))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

struct Elements<'de> {
    rest: std::slice::Iter<'de, Node>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        let index = self.next;
        self.next = index.saturating_add(1);
        seed.deserialize(node).map(Some).map_err(|error| error.at(node).inside(Step::Index(index)))
    }
}

struct Members<'de> {
    rest: std::slice::Iter<'de, Entry>,
    value: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, Misfit> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| {
            let error = Misfit { at: error.at.or(Some(entry.at)), ..error };
            error.inside(Step::Key(entry.key.clone()))
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some(entry) = self.value.take() else { return Err(Misfit::custom("a value was read before its key")) };
        seed.deserialize(&entry.value).map_err(|error| error.at(&entry.value).inside(Step::Key(entry.key.clone())))
    }
}

struct Variant<'de> {
    entry: &'de Entry,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Misfit;
    type Variant = &'de Node;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Misfit> {
        let name: StrDeserializer<'_, Misfit> = self.entry.key.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|error| Misfit { at: error.at.or(Some(self.entry.at)), ..error })?;
        Ok((variant, &self.entry.value))
    }
}

impl<'de> VariantAccess<'de> for &'de Node {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.content {
            Content::Null => Ok(()),
            _ => Err(Misfit::custom("takes no value; write it as a word").at(self)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        if !matches!(self.content, Content::Map(_)) {
            return Err(Misfit::invalid_type(Unexpected::Other("a plain value"), &"an object").at(self));
        }
        self.deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use policy::source::{Budget, Manifest};
    use serde::Deserialize as _;

    use super::super::node::render_path;
    use super::super::yaml::read_yaml;

    fn misfit(text: &str) -> (usize, String, String) {
        let node = read_yaml(text, 0).unwrap().remove(0);
        let error = Manifest::deserialize(&node).unwrap_err();
        (error.at.unwrap().line, render_path(&error.path), error.message)
    }

    #[test]
    fn an_unknown_field_is_refused_at_its_line() {
        let (line, path, message) = misfit("org: default\nproviders:\n  - name: a\n    vendor: openai\n    base_ur: x\n");
        assert_eq!((line, path.as_str()), (5, "providers[0].base_ur"));
        assert!(message.starts_with("unknown field `base_ur`"), "{message}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_at_its_line() {
        let (line, path, message) = misfit("org: default\nprojects:\n  - name: p\n    keys:\n      - {name: k,\n         rpm: many}\n");
        assert_eq!((line, path.as_str()), (6, "projects[0].keys[0].rpm"));
        assert!(message.contains("invalid type"), "{message}");
    }

    #[test]
    fn a_missing_field_is_named() {
        let (line, path, message) = misfit("org: default\nbudgets:\n  - name: b\n    scope: organization\n    cap_usd: 1\n");
        assert_eq!((line, path.as_str(), message.as_str()), (3, "budgets[0].period", "is missing"));
    }

    #[test]
    fn budgets_read_words_and_objects_alike() {
        let text = "{name: b, scope: {tag: team}, period: daily, cap_usd: 0.1, at_cap: {downgrade: '@cheap'}, thresholds: [0.5]}";
        let node = read_yaml(text, 0).unwrap().remove(0);
        let budget = Budget::deserialize(&node).unwrap();
        assert_eq!(serde_json::to_value(&budget).unwrap()["cap_usd"], "0.10");
        assert_eq!(serde_json::to_value(&budget).unwrap()["at_cap"]["downgrade"], "@cheap");
        let (line, path, _) =
            misfit("org: default\nbudgets:\n- {name: b, scope: organization, period: daily, cap_usd: 1,\n   at_cap: {downgrad: x}}\n");
        assert_eq!((line, path.as_str()), (4, "budgets[0].at_cap.downgrad"));
    }
}
