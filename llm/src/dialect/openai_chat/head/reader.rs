//! The pass itself: each top-level member goes to the slot that is for it.

use std::{borrow::Cow, ops::Range};

use super::{ChatHead, Layout, OutputMember, StreamOptions, messages};
use crate::{
    json::{Cursor, Kind, Value},
    request::{Extensions, Field, Metadata, PREFIX, ReadRequestError},
    tokens::PromptSizes,
};

/// No real request has more top-level members; it keeps the search for duplicates short.
const MEMBER_LIMIT: usize = 256;

/// Largest number of tokens that can be asked for, in words.
const COUNT: &str = "a whole number from 0 to 4294967295";

/// What was found so far. Options tell first from second: a member that comes again is refused.
#[derive(Default)]
struct Reader<'a> {
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    include_usage: Option<bool>,
    max_tokens: Option<Option<u32>>,
    max_completion_tokens: Option<Option<u32>>,
    choices: Option<Option<u32>>,
    user: Option<Option<Cow<'a, str>>>,
    metadata: Option<Metadata<'a>>,
    messages: Option<()>,
    has_tools: bool,
    extensions: Extensions<'a>,
    sizes: PromptSizes,
    layout: Layout,
    /// Names that have no slot of their own.
    others: Vec<Cow<'a, [u8]>>,
    removal: Removal,
}

/// What to take out together with a member, so that the commas around it come out right.
#[derive(Default)]
struct Removal {
    /// End of the member before this one.
    previous_end: usize,
    /// Whether a member that stays was seen.
    kept: bool,
    /// Begin and end of members at the front that go; the comma behind the last belongs to them.
    front: Option<Range<usize>>,
}

pub(super) fn read(body: &[u8]) -> Result<ChatHead<'_>, ReadRequestError> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(ReadRequestError::NotUtf8 { at: error.valid_up_to() });
    }
    let mut cursor = Cursor::new(body);
    if cursor.kind()? != Kind::Object {
        cursor.value()?;
        cursor.end()?;
        return Err(ReadRequestError::NotAnObject);
    }
    let mut walk = cursor.begin_object()?;
    let mut reader = Reader::default();
    reader.layout.open = cursor.position();
    reader.layout.length = body.len();
    let mut count = 0_usize;
    while let Some(key) = cursor.next_key(&mut walk)? {
        count = count.saturating_add(1);
        if count > MEMBER_LIMIT {
            return Err(ReadRequestError::TooManyMembers { limit: MEMBER_LIMIT });
        }
        reader.member(&key, &mut cursor)?;
    }
    cursor.end()?;
    reader.finish()
}

impl<'a> Reader<'a> {
    fn member(&mut self, key: &Value<'a>, cursor: &mut Cursor<'a>) -> Result<(), ReadRequestError> {
        let name = key.key_bytes();
        if name.starts_with(PREFIX) {
            return self.extension(key, cursor.value()?);
        }
        self.settle_front(key.start());
        if *name == *b"messages" {
            self.read_messages(cursor)?;
        } else {
            self.take(name, cursor.value()?)?;
        }
        self.removal.previous_end = cursor.position();
        Ok(())
    }

    fn read_messages(&mut self, cursor: &mut Cursor<'a>) -> Result<(), ReadRequestError> {
        if self.messages.is_some() {
            return Err(ReadRequestError::Duplicate { field: "messages".to_owned() });
        }
        if cursor.kind()? != Kind::Array {
            return Err(ReadRequestError::WrongType { field: "messages".to_owned(), expected: "an array" });
        }
        self.messages = Some(());
        Ok(messages::measure(cursor, &mut self.sizes)?)
    }

    /// A member of the provider's, other than the messages.
    fn take(&mut self, name: Cow<'a, [u8]>, value: Value<'a>) -> Result<(), ReadRequestError> {
        match &*name {
            b"model" => {
                let field = Field::top("model", value);
                self.layout.model = value.range();
                field.keep(&mut self.model, field.text()?)
            }
            b"stream" => {
                let field = Field::top("stream", value);
                field.keep(&mut self.stream, field.flag()?)
            }
            b"stream_options" => self.take_stream_options(value),
            b"max_tokens" => {
                let field = Field::top("max_tokens", value);
                let tokens = field.count(0, COUNT)?;
                self.layout.max_tokens = Some(OutputMember { range: value.range(), tokens });
                field.keep(&mut self.max_tokens, tokens)
            }
            b"max_completion_tokens" => {
                let field = Field::top("max_completion_tokens", value);
                let tokens = field.count(0, COUNT)?;
                self.layout.max_completion_tokens = Some(OutputMember { range: value.range(), tokens });
                field.keep(&mut self.max_completion_tokens, tokens)
            }
            b"n" => {
                let field = Field::top("n", value);
                field.keep(&mut self.choices, field.count(1, "a whole number from 1 to 4294967295")?)
            }
            b"user" => {
                let field = Field::top("user", value);
                field.keep(&mut self.user, field.optional_text()?)
            }
            b"metadata" => {
                let field = Field::top("metadata", value);
                field.keep(&mut self.metadata, Metadata::read(field)?)
            }
            _ => self.take_other(name, value),
        }
    }

    fn take_other(&mut self, name: Cow<'a, [u8]>, value: Value<'a>) -> Result<(), ReadRequestError> {
        self.once(name.clone(), value)?;
        let bytes = messages::length(value.start(), value.end());
        match &*name {
            b"tools" | b"functions" => {
                self.has_tools |= has_elements(&value);
                self.sizes.tool_bytes = self.sizes.tool_bytes.saturating_add(bytes);
            }
            b"logit_bias" | b"stop" => {}
            _ if matches!(value.kind(), Kind::String | Kind::Array | Kind::Object) => {
                self.sizes.other_bytes = self.sizes.other_bytes.saturating_add(bytes);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_stream_options(&mut self, value: Value<'a>) -> Result<(), ReadRequestError> {
        let field = Field::top("stream_options", value);
        if self.layout.stream_options != StreamOptions::Absent {
            return Err(field.duplicate());
        }
        let (mut asked, mut place, mut members) = (None, None, 0_usize);
        field.members(|name, inner| {
            members = members.saturating_add(1);
            if name == "include_usage" {
                let member = Field::within("stream_options", "include_usage", inner);
                member.keep(&mut asked, member.flag()?)?;
                place = Some(shifted(inner.range(), value.start()));
            }
            Ok(())
        })?;
        self.include_usage = asked;
        self.layout.stream_options = match (asked, place) {
            _ if value.is_null() => StreamOptions::Null(value.range()),
            (Some(true), _) => StreamOptions::On,
            (_, Some(place)) => StreamOptions::Off(place),
            _ => StreamOptions::Object { inside: value.start().saturating_add(1), empty: members == 0 },
        };
        Ok(())
    }

    fn extension(&mut self, key: &Value<'a>, value: Value<'a>) -> Result<(), ReadRequestError> {
        let name = key.key_bytes();
        self.once(name.clone(), value)?;
        let text = String::from_utf8_lossy(&name);
        self.extensions.take(&text, Field::top(&text, value))?;
        if self.removal.kept {
            self.layout.removals.push(self.removal.previous_end..value.end());
        } else {
            let start = self.removal.front.as_ref().map_or(key.start(), |front| front.start);
            self.removal.front = Some(start..value.end());
        }
        self.removal.previous_end = value.end();
        Ok(())
    }

    /// The first member that stays ends what is taken out before it.
    fn settle_front(&mut self, key_start: usize) {
        self.removal.kept = true;
        if let Some(front) = self.removal.front.take() {
            self.layout.removals.push(front.start..key_start);
        }
    }

    fn once(&mut self, name: Cow<'a, [u8]>, value: Value<'a>) -> Result<(), ReadRequestError> {
        if self.others.contains(&name) {
            let text = String::from_utf8_lossy(&name);
            return Err(Field::top(&text, value).duplicate());
        }
        self.others.push(name);
        Ok(())
    }

    fn finish(mut self) -> Result<ChatHead<'a>, ReadRequestError> {
        let model = self.model.ok_or(ReadRequestError::Missing { field: "model", expected: "a string" })?;
        self.messages.ok_or(ReadRequestError::Missing { field: "messages", expected: "an array" })?;
        let stream = self.stream.unwrap_or(false);
        self.layout.streams = stream;
        Ok(ChatHead {
            model,
            stream,
            include_usage: self.include_usage.unwrap_or(false),
            max_tokens: self.max_tokens.flatten(),
            max_completion_tokens: self.max_completion_tokens.flatten(),
            choices: self.choices.flatten().unwrap_or(1),
            user: self.user.flatten(),
            metadata: self.metadata.unwrap_or_default(),
            has_tools: self.has_tools,
            extensions: self.extensions,
            sizes: self.sizes,
            layout: self.layout,
        })
    }
}

fn has_elements(value: &Value<'_>) -> bool {
    let inside = value.raw().get(1..).unwrap_or_default();
    let first = inside.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(value.kind(), Kind::Array | Kind::Object) && !matches!(first, Some(b']' | b'}'))
}

fn shifted(range: Range<usize>, by: usize) -> Range<usize> {
    range.start.saturating_add(by)..range.end.saturating_add(by)
}
