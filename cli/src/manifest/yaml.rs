//! Reads YAML and JSON into [`Node`]s. JSON is read as the YAML it is, after a strict reader has found it to be JSON.
//!
//! Promises: YAML 1.2 with its core schema, so that `no` and `2027-01-01` are text; a key given twice, a tag, a merge key and a key
//! that is not a scalar are errors with their line; depth and number of values are bounded, aliases counted as often as they are used.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::node::{Content, Entry, Node, Position};

const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 1_000_000;

/// A text that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Where.
    pub(crate) at: Position,
    /// Why.
    pub(crate) message: String,
}

/// All documents of a YAML text, empty ones left out.
pub(crate) fn read_yaml(text: &str, file: usize) -> Result<Vec<Node>, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { parser: Parser::new_from_str(text), file, anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    while let Some((event, at)) = reader.next()? {
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            event => {
                let node = reader.node(event, at, 0)?;
                if node.content != Content::Null {
                    documents.push(node);
                }
            }
        }
    }
    Ok(documents)
}

/// The one value of a JSON text.
pub(crate) fn read_json(text: &str, file: usize) -> Result<Vec<Node>, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|error| Unreadable { at: Position { file, line: error.line(), column: error.column() }, message: error.to_string() })?;
    read_yaml(&join_surrogates(text), file)
}

/// `"\ud83d\ude00"` is one character in JSON and two wrong ones in YAML. Lines stay as they are.
fn join_surrogates(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        joined.push_str(before);
        let escape = |from: &str| u16::from_str_radix(from.strip_prefix("\\u")?.get(..4)?, 16).ok();
        let pair = escape(from).zip(from.get(6..).and_then(escape));
        let character = pair.and_then(|(high, low)| char::decode_utf16([high, low]).next()?.ok().filter(|c| u32::from(*c) > 0xffff));
        let length = if character.is_some() { 12 } else { 2 };
        match character {
            Some(character) => joined.push(character),
            None => joined.push_str(from.get(..length).unwrap_or(from)),
        }
        rest = from.get(length..).unwrap_or_default();
    }
    joined.push_str(rest);
    joined
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    file: usize,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Position)>, Unreadable> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, self.position(&span.start)))),
            Some(Err(error)) => Err(self.scan_error(&error)),
        }
    }

    fn position(&self, marker: &Marker) -> Position {
        Position { file: self.file, line: marker.line(), column: marker.col().saturating_add(1) }
    }

    fn scan_error(&self, error: &ScanError) -> Unreadable {
        Unreadable { at: self.position(error.marker()), message: error.info().to_owned() }
    }

    fn some_next(&mut self, at: Position) -> Result<(Event<'t>, Position), Unreadable> {
        self.next()?.ok_or_else(|| unreadable(at, "the text ends in the middle of this value"))
    }

    fn node(&mut self, event: Event<'t>, at: Position, depth: usize) -> Result<Node, Unreadable> {
        self.count(1, at)?;
        if depth > MAX_DEPTH {
            return Err(unreadable(at, format!("nested deeper than {MAX_DEPTH}")));
        }
        let (content, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref(), at)?, anchor),
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                (self.list(at, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                (self.map(at, depth)?, anchor)
            }
            _ => return Err(unreadable(at, "a value is missing here")),
        };
        let node = Node { at, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, at: Position, depth: usize) -> Result<Content, Unreadable> {
        let mut elements = Vec::new();
        loop {
            match self.some_next(at)? {
                (Event::SequenceEnd, _) => return Ok(Content::List(elements)),
                (event, at) => elements.push(self.node(event, at, depth.saturating_add(1))?),
            }
        }
    }

    fn map(&mut self, at: Position, depth: usize) -> Result<Content, Unreadable> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (key, key_at) = match self.some_next(at)? {
                (Event::MappingEnd, _) => return Ok(Content::Map(entries)),
                (Event::Scalar(key, ..), at) => (key.into_owned(), at),
                (_, at) => return Err(unreadable(at, "a key must be a plain text")),
            };
            if key == "<<" {
                return Err(unreadable(key_at, "merge keys (`<<`) are not supported; write the fields out"));
            }
            if let Some(first) = lines.insert(key.clone(), key_at.line) {
                return Err(unreadable(key_at, format!("`{key}` is given twice; the first time on line {first}")));
            }
            let (event, value_at) = self.some_next(key_at)?;
            let value = self.node(event, value_at, depth.saturating_add(1))?;
            entries.push(Entry { at: key_at, key, value });
        }
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<Node, Unreadable> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(unreadable(at, "an alias must not be inside of what it stands for"));
        };
        self.count(size(&node), at)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, at: Position) -> Result<(), Unreadable> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES { Err(unreadable(at, format!("more than {MAX_NODES} values"))) } else { Ok(()) }
    }
}

fn size(node: &Node) -> usize {
    match &node.content {
        Content::List(elements) => elements.iter().map(size).fold(1, usize::saturating_add),
        Content::Map(entries) => entries.iter().map(|entry| size(&entry.value)).fold(1, usize::saturating_add),
        _ => 1,
    }
}

fn unreadable(at: Position, message: impl Into<String>) -> Unreadable {
    Unreadable { at, message: message.into() }
}

fn refuse_tag(tag: Option<&Tag>, at: Position) -> Result<(), Unreadable> {
    match tag {
        Some(tag) => Err(unreadable(at, format!("the tag `{tag}` is not supported"))),
        None => Ok(()),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Result<Content, Unreadable> {
    let said_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if !said_text {
        refuse_tag(tag, at)?;
    }
    if said_text || style != ScalarStyle::Plain {
        return Ok(Content::Text(text.to_owned()));
    }
    Ok(plain_scalar(text))
}

/// The core schema of YAML 1.2.
fn plain_scalar(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => return Content::Bool(true),
        "false" | "False" | "FALSE" => return Content::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if let Ok(whole) = text.parse() {
            return Content::Whole(whole);
        }
        if let Ok(negative) = text.parse() {
            return Content::Negative(negative);
        }
    }
    let looks_like_a_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(number) if looks_like_a_number => Content::Float(number),
        _ => Content::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Node {
        read_yaml(text, 0).unwrap().remove(0)
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, content) in [
            ("no", Content::Text("no".to_owned())),
            ("2027-01-01", Content::Text("2027-01-01".to_owned())),
            ("127.0.0.1", Content::Text("127.0.0.1".to_owned())),
            ("'600'", Content::Text("600".to_owned())),
            ("!!str 600", Content::Text("600".to_owned())),
            ("600", Content::Whole(600)),
            ("-3", Content::Negative(-3)),
            ("0.8", Content::Float(0.8)),
            ("true", Content::Bool(true)),
            ("inf", Content::Text("inf".to_owned())),
        ] {
            assert_eq!(only(text).content, content, "{text}");
        }
    }

    #[test]
    fn values_and_keys_know_their_lines() {
        let node = only("org: default\nproviders:\n  - name: a\n    vendor: b\n");
        let provider = &node.get("providers").unwrap().elements()[0];
        assert_eq!(provider.at.line, 3);
        assert_eq!(provider.entry("vendor").unwrap().at, Position { file: 0, line: 4, column: 5 });
    }

    #[test]
    fn a_key_given_twice_is_refused_with_both_lines() {
        let error = read_yaml("org: a\nsettings: {}\norg: b\n", 0).unwrap_err();
        assert_eq!((error.at.line, error.message.as_str()), (3, "`org` is given twice; the first time on line 1"));
    }

    #[test]
    fn json_keeps_its_lines_and_its_characters() {
        let node = read_json("{\n\t\"a\": \"\\ud83d\\ude00\\\\u00e9\\/\",\n\t\"b\": [1, -2.5e1]\n}", 3).unwrap().remove(0);
        assert_eq!(node.text_of("a"), Some("😀\\u00e9/"));
        assert_eq!(node.entry("b").unwrap().at.line, 3);
        assert_eq!(node.get("b").unwrap().elements()[1].content, Content::Float(-25.0));
        assert_eq!(read_json("{\n\"a\": 1,\n}", 0).unwrap_err().at.line, 3);
    }

    #[test]
    fn a_text_that_would_unfold_without_end_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let previous = format!("*a{}, ", level - 1).repeat(9);
            text.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert!(read_yaml(&text, 0).unwrap_err().message.contains("more than"));
        assert!(read_yaml(&"[".repeat(10_000), 0).is_err());
    }

    #[test]
    fn every_document_of_a_text_is_read_and_empty_ones_are_not() {
        assert_eq!(read_yaml("a: 1\n---\n---\nb: 2\n", 0).unwrap().len(), 2);
        assert!(read_yaml("# nothing\n", 0).unwrap().is_empty());
    }
}
