//! JSON written straight into a buffer, member by member, without a tree in between.
//!
//! Promises: what is written is well-formed whatever comes in; raw JSON goes out as it was read, so that no number passes through a
//! float and no key changes its place. Leaves out: knowing what the members mean.

use serde::Serialize;

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

/// An array that is being written.
pub(crate) struct Array<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

/// Writes an object.
pub(crate) fn object(out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    write(&mut Object { out, empty: true });
    out.push(b'}');
}

/// Makes the JSON that was written since `from` one line, as an event has to be: a line break in raw JSON is white space.
pub(crate) fn keep_in_line(out: &mut [u8], from: usize) {
    let written = out.get_mut(from..).unwrap_or_default();
    if memchr::memchr2(b'\n', b'\r', written).is_some() {
        written.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
}

impl Object<'_> {
    /// A member.
    pub(crate) fn member(&mut self, name: &str, value: impl Serialize) -> &mut Self {
        self.key(name);
        json(self.out, &value);
        self
    }

    /// A member, if there is one.
    pub(crate) fn optional(&mut self, name: &str, value: Option<impl Serialize>) -> &mut Self {
        if let Some(value) = value {
            self.member(name, value);
        }
        self
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        self.key(name);
        object(self.out, write);
        self
    }

    /// A member that is an array.
    pub(crate) fn array(&mut self, name: &str, write: impl FnOnce(&mut Array<'_>)) -> &mut Self {
        self.key(name);
        self.out.push(b'[');
        write(&mut Array { out: self.out, empty: true });
        self.out.push(b']');
        self
    }

    /// A member that was written before, by [`object`].
    pub(crate) fn written(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.key(name);
        self.out.extend_from_slice(value);
        self
    }

    fn key(&mut self, name: &str) {
        separate(self.out, &mut self.empty);
        json(self.out, &name);
        self.out.push(b':');
    }
}

impl Array<'_> {
    /// An element.
    pub(crate) fn element(&mut self, value: impl Serialize) -> &mut Self {
        separate(self.out, &mut self.empty);
        json(self.out, &value);
        self
    }

    /// An element that is an object.
    pub(crate) fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        separate(self.out, &mut self.empty);
        object(self.out, write);
        self
    }

    /// An element that was written before, by [`object`].
    pub(crate) fn written(&mut self, value: &[u8]) -> &mut Self {
        separate(self.out, &mut self.empty);
        self.out.extend_from_slice(value);
        self
    }
}

fn separate(out: &mut Vec<u8>, empty: &mut bool) {
    if !std::mem::take(empty) {
        out.push(b',');
    }
}

/// Text, numbers, booleans and raw JSON can always be written; should anything else not, `null` is still JSON.
fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn members_come_out_in_order_and_raw_json_as_it_was() {
        let raw: &RawValue = serde_json::from_str("{\"b\": 1.10, \"a\":9007199254740993}").unwrap();
        let mut out = Vec::new();
        object(&mut out, |body| {
            body.member("type", "a \"b\"").optional("none", None::<u32>).member("raw", raw);
            body.array("list", |list| {
                list.element(1_u32).object(|item| {
                    item.member("deep", true);
                });
            });
            body.object("empty", |_| {});
        });
        let expected = r#"{"type":"a \"b\"","raw":{"b": 1.10, "a":9007199254740993},"list":[1,{"deep":true}],"empty":{}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
