//! The pass itself: each top-level member goes to the slot that is for it.

use std::{borrow::Cow, ops::Range};

use super::{
    Addressed, Head, prompt,
    slot::{Prompt, Slot, required_prompt},
};
use crate::{
    dialect::Dialect,
    json::{Cursor, Kind, Value},
    request::{
        Extensions, Field, Layout, Metadata, PREFIX, ReadRequestError, Removals,
        layout::{LimitMember, Place, StreamOptions},
        length,
    },
    tokens::{self, PromptSizes},
};

/// No real request has more top-level members; it keeps the search for duplicates short.
const MEMBER_LIMIT: usize = 256;

/// Largest number of tokens that can be asked for, in words.
const COUNT: &str = "a whole number from 0 to 4294967295";
/// Numbers of answers that can be asked for, in words.
const POSITIVE: &str = "a whole number from 1 to 4294967295";

/// What was found so far.
struct Reader<'a> {
    model: Option<Cow<'a, str>>,
    stream: bool,
    include_usage: bool,
    choices: Option<u32>,
    user: Option<Cow<'a, str>>,
    safety_identifier: Option<Cow<'a, str>>,
    metadata: Metadata<'a>,
    has_prompt: bool,
    has_tools: bool,
    has_format: bool,
    provider_state: Option<&'static str>,
    provider_tool: Option<Cow<'a, str>>,
    stored: Option<bool>,
    background: bool,
    extensions: Extensions<'a>,
    sizes: PromptSizes,
    layout: Layout,
    /// Names that came; one that comes again is refused.
    names: Vec<Cow<'a, [u8]>>,
    removals: Removals,
}

pub(super) fn read<'a>(dialect: Dialect, body: &'a [u8], addressed: Option<Addressed<'a>>) -> Result<Head<'a>, ReadRequestError> {
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
    let mut reader = Reader::new(Layout::new(dialect, body.len(), cursor.position()));
    let mut count = 0_usize;
    while let Some(key) = cursor.next_key(&mut walk)? {
        count = count.saturating_add(1);
        if count > MEMBER_LIMIT {
            return Err(ReadRequestError::TooManyMembers { limit: MEMBER_LIMIT });
        }
        reader.member(&key, &mut cursor)?;
    }
    cursor.end()?;
    reader.finish(addressed)
}

impl<'a> Reader<'a> {
    fn new(layout: Layout) -> Self {
        Self {
            model: None,
            stream: false,
            include_usage: layout.dialect != Dialect::OpenAiChat,
            choices: None,
            user: None,
            safety_identifier: None,
            metadata: Metadata::default(),
            has_prompt: false,
            has_tools: false,
            has_format: false,
            provider_state: None,
            provider_tool: None,
            stored: None,
            background: false,
            extensions: Extensions::default(),
            sizes: PromptSizes::default(),
            layout,
            names: Vec::with_capacity(16),
            removals: Removals::default(),
        }
    }

    fn member(&mut self, key: &Value<'a>, cursor: &mut Cursor<'a>) -> Result<(), ReadRequestError> {
        let name = key.key_bytes();
        if self.names.contains(&name) {
            return Err(Field::top(&text(&name), *key).duplicate());
        }
        if name.starts_with(PREFIX) {
            self.extension(key, &name, cursor.value()?)?;
        } else {
            self.removals.keep_from(key.start());
            match Slot::of(self.layout.dialect, &name) {
                Slot::Prompt(prompt) => self.read_prompt(prompt, &name, cursor)?,
                Slot::Tools => {
                    let found = prompt::measure_tools(self.layout.dialect, cursor, &mut self.sizes)?;
                    self.has_tools |= found.any;
                    self.provider_tool = self.provider_tool.take().or(found.run_by_provider);
                }
                slot => self.take(slot, &name, cursor.value()?)?,
            }
            self.removals.kept_to(cursor.position());
        }
        self.names.push(name);
        Ok(())
    }

    fn read_prompt(&mut self, prompt: Prompt, name: &[u8], cursor: &mut Cursor<'a>) -> Result<(), ReadRequestError> {
        if !prompt.takes(cursor.kind()?) {
            return Err(ReadRequestError::WrongType { field: text(name).into_owned(), expected: prompt.expected() });
        }
        self.has_prompt = true;
        self.layout.embeds |= prompt.embeds();
        let found = prompt::measure(prompt, cursor, &mut self.sizes)?;
        self.provider_state = self.provider_state.or(found.reference.then_some("item_reference"));
        // One prompt beside another is for no provider; should one take it, no model is named that nobody decided on.
        self.layout.more_models.extend(found.models);
        Ok(())
    }

    /// A member that was passed over.
    fn take(&mut self, slot: Slot, name: &[u8], value: Value<'a>) -> Result<(), ReadRequestError> {
        let name = text(name);
        let field = Field::top(&name, value);
        match slot {
            Slot::Model => {
                self.layout.model = Some(value.range());
                self.model = Some(field.text()?);
            }
            Slot::Stream => self.stream = field.flag()?,
            Slot::StreamOptions => self.take_stream_options(&field, value)?,
            Slot::Limit => self.layout.limit = Some(LimitMember { range: value.range(), tokens: field.count(0, COUNT)? }),
            Slot::CompletionLimit => {
                self.layout.completion_limit = Some(LimitMember { range: value.range(), tokens: field.count(0, COUNT)? });
            }
            Slot::Config => self.take_config(&field, &name, value)?,
            Slot::Choices => self.choices = field.count(1, POSITIVE)?,
            Slot::User => self.user = field.optional_text()?,
            Slot::SafetyIdentifier => self.safety_identifier = field.optional_text()?,
            Slot::Metadata => self.metadata = Metadata::read(field)?,
            Slot::Thinking => self.take_thinking(&field, value)?,
            Slot::State(member) => {
                self.provider_state = self.provider_state.or((!value.is_null()).then_some(member));
                self.count_other(&value);
            }
            Slot::ProviderTool(member) => {
                if !value.is_null() {
                    self.provider_tool.get_or_insert(Cow::Borrowed(member));
                }
                self.count_other(&value);
            }
            Slot::Store => {
                self.stored = asked_for(&value);
                self.count_other(&value);
            }
            Slot::Background => {
                self.background = asked_for(&value) == Some(true);
                self.count_other(&value);
            }
            Slot::Format => {
                self.has_format |= !value.is_null();
                self.count_other(&value);
            }
            Slot::Silent => {}
            // Prompt and tools are entered before they get here.
            Slot::Other | Slot::Prompt(_) | Slot::Tools => self.count_other(&value),
        }
        Ok(())
    }

    fn count_other(&mut self, value: &Value<'a>) {
        if matches!(value.kind(), Kind::String | Kind::Array | Kind::Object) {
            self.sizes.other_bytes = self.sizes.other_bytes.saturating_add(length(value.start(), value.end()));
        }
    }

    fn take_stream_options(&mut self, field: &Field<'_, 'a>, value: Value<'a>) -> Result<(), ReadRequestError> {
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
        self.include_usage = asked.unwrap_or(false);
        self.layout.stream_options = match (asked, place) {
            (Some(true), _) => StreamOptions::On,
            (_, Some(place)) => StreamOptions::Off(place),
            _ => StreamOptions::Add(place_of(&value, members)),
        };
        Ok(())
    }

    /// The object with the limit of the output; the rest of it may reach the model (a schema for the answer).
    fn take_config(&mut self, field: &Field<'_, 'a>, parent: &str, value: Value<'a>) -> Result<(), ReadRequestError> {
        if self.layout.config != Place::Absent {
            return Err(field.duplicate());
        }
        let (mut limit, mut choices, mut members) = (None, None, 0_usize);
        field.members(|name, inner| {
            members = members.saturating_add(1);
            let member = Field::within(parent, name, inner);
            match name {
                "maxOutputTokens" | "max_output_tokens" | "maxTokens" => {
                    let tokens = member.count(0, COUNT)?;
                    member.keep(&mut limit, LimitMember { range: shifted(inner.range(), value.start()), tokens })
                }
                "candidateCount" | "candidate_count" => member.keep(&mut choices, member.count(1, POSITIVE)?),
                _ => Ok(()),
            }
        })?;
        self.layout.limit = limit;
        self.layout.config = place_of(&value, members);
        self.choices = choices.flatten();
        self.count_other(&value);
        Ok(())
    }

    fn take_thinking(&mut self, field: &Field<'_, 'a>, value: Value<'a>) -> Result<(), ReadRequestError> {
        let mut budget = None;
        field.members(|name, inner| {
            if name != "budget_tokens" {
                return Ok(());
            }
            let member = Field::within("thinking", "budget_tokens", inner);
            let tokens = member.count(0, COUNT)?;
            member.keep(&mut budget, LimitMember { range: shifted(inner.range(), value.start()), tokens })
        })?;
        self.layout.thinking = budget;
        Ok(())
    }

    fn extension(&mut self, key: &Value<'a>, name: &[u8], value: Value<'a>) -> Result<(), ReadRequestError> {
        let name = text(name);
        self.extensions.take(&name, Field::top(&name, value))?;
        self.removals.take_out(key, &value);
        Ok(())
    }

    fn finish(mut self, addressed: Option<Addressed<'a>>) -> Result<Head<'a>, ReadRequestError> {
        let dialect = self.layout.dialect;
        let model = addressed.map(|path| Cow::Borrowed(path.model)).or(self.model);
        let model = model.ok_or(ReadRequestError::Missing { field: "model", expected: "a string" })?;
        let (field, prompt) = required_prompt(dialect);
        // What the provider keeps may be all there is to say.
        let may_be_kept = dialect == Dialect::OpenAiResponses && self.provider_state.is_some();
        if !self.has_prompt && !may_be_kept {
            return Err(ReadRequestError::Missing { field, expected: prompt.expected() });
        }
        let stream = addressed.map_or(self.stream, |path| path.stream);
        self.layout.streams = stream;
        self.layout.removals = self.removals.ranges();
        let explained = self.has_tools || self.has_format;
        if explained && matches!(dialect, Dialect::AnthropicMessages | Dialect::BedrockConverse) {
            self.sizes.preamble = tokens::ANTHROPIC_PREAMBLE;
        }
        let stored = self.stored.unwrap_or(dialect == Dialect::OpenAiResponses);
        let repeatable = !stored && !self.background && self.provider_state.is_none() && self.provider_tool.is_none();
        let tokens = |member: &Option<LimitMember>| member.as_ref().and_then(|member| member.tokens);
        Ok(Head {
            dialect,
            model,
            stream,
            embeds: self.layout.embeds,
            include_usage: self.include_usage,
            output_limit: tokens(&self.layout.completion_limit).max(tokens(&self.layout.limit)),
            thinking_budget: tokens(&self.layout.thinking),
            choices: self.choices.unwrap_or(1),
            user: self.user.or(self.safety_identifier),
            metadata: self.metadata,
            has_tools: self.has_tools,
            provider_state: self.provider_state,
            provider_tool: self.provider_tool,
            repeatable,
            extensions: self.extensions,
            sizes: self.sizes,
            layout: self.layout,
        })
    }
}

/// What a flag says that only matters here for what it may do: whatever is not plainly no may be a yes.
fn asked_for(value: &Value<'_>) -> Option<bool> {
    (!value.is_null()).then(|| value.raw() != b"false")
}

/// A name, for messages; names were checked to be UTF-8 with the body.
fn text(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}

fn place_of(value: &Value<'_>, members: usize) -> Place {
    if value.is_null() {
        return Place::Null(value.range());
    }
    Place::Object { inside: value.start().saturating_add(1), empty: members == 0 }
}

fn shifted(range: Range<usize>, by: usize) -> Range<usize> {
    range.start.saturating_add(by)..range.end.saturating_add(by)
}
