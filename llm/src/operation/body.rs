//! What a body that is passed through says that decides: the model, who it is for, how much may come back. Everything else is not looked at.
//!
//! A JSON body loses our own members and has the model replaced where it stands; a form has the model replaced. No other byte changes.

use std::borrow::Cow;
use std::ops::Range;

use super::{Family, Found, Names, Takes, form};
use crate::json::{Cursor, Kind, Value};
use crate::request::{Extensions, Field, Metadata, PREFIX, ReadRequestError, Removals};
use crate::splice::Edits;
use crate::stream::UsageEvents;
use crate::tokens::{PromptSizes, TokenEstimate, estimate};

/// No real request has more top-level members; it keeps the search for duplicates short.
const MEMBER_LIMIT: usize = 256;
/// Bytes of a model's name at most.
const MODEL_LIMIT: usize = 256;
/// How many answers may be asked for, in words.
const POSITIVE: &str = "a whole number from 1 to 4294967295";
/// Tokens that may be asked for, in words.
const COUNT: &str = "a whole number from 0 to 4294967295";
/// What Gemini's names of models begin with.
const MODELS: &str = "models/";
/// Asks for the usage of a stream of texts.
const ASK_FOR_USAGE: &[u8] = b"\"stream_options\":{\"include_usage\":true},";

/// Where batches of Gemini's name their model again.
const IN_BATCH: &[&[&str]] = &[&["model"]];
const IN_BATCHED: &[&[&str]] = &[&["inputConfig", "input_config"], &["requests"], &["requests"], EACH, &["request"], &["model"]];
/// Where batches of Anthropic's name theirs, below `requests`.
const IN_REQUESTS: &[&[&str]] = &[EACH, &["params"], &["model"]];
/// All elements of a list.
const EACH: &[&str] = &[];

/// What was read.
#[derive(Debug, Default)]
pub struct Asked<'a> {
    /// The model, without `models/` before it; absent where none is named.
    pub model: Option<Cow<'a, str>>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// How many answers are asked for, those to several prompts together; at least 1.
    pub choices: u32,
    /// The limit of the output of one answer, where there is one.
    pub output_limit: Option<u32>,
    /// The provider's own member for the end user.
    pub user: Option<Cow<'a, str>>,
    /// The fall-backs in `metadata`.
    pub metadata: Metadata<'a>,
    /// The `mlx:` members.
    pub extensions: Extensions<'a>,
    /// Whether it is a JSON object, whose texts can be looked at.
    pub is_json: bool,
    length: usize,
    /// Where the model is named.
    models: Vec<Range<usize>>,
    form: Form,
    removals: Vec<Range<usize>>,
    /// Where a wish for usage has to be put in, which the caller did not have.
    ask_for_usage: Option<usize>,
}

/// How the name of a model is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Form {
    /// As a string of JSON.
    #[default]
    Quoted,
    /// The same, with `models/` before it.
    Prefixed,
    /// As it is.
    Plain,
}

/// Members that do not decide, until all are read.
#[derive(Default)]
struct Counts {
    answers: Option<u32>,
    best_of: Option<u32>,
    prompts: Option<u32>,
    stream_options: bool,
}

impl<'a> Asked<'a> {
    /// Reads the body of `found`. `in_path` is the model that the path names, without its escapes.
    ///
    /// # Errors
    /// A body of another kind than the operation takes, or one that can't be read in one way only.
    pub fn read(found: &Found<'_>, in_path: Option<&'a str>, content_type: Option<&str>, body: &'a [u8]) -> Result<Self, ReadRequestError> {
        let mut asked = Self { choices: 1, length: body.len(), ..Self::default() };
        if found.operation.family == Family::Gemini {
            asked.form = Form::Prefixed;
        }
        if let Some(model) = in_path {
            asked.name(Cow::Borrowed(model))?;
        }
        let kind = content_type.map(|kind| kind.split(';').next().unwrap_or(kind).trim());
        let json = kind.is_none_or(|kind| kind.eq_ignore_ascii_case("application/json"));
        match found.operation.takes {
            Takes::Anything => {}
            _ if body.is_empty() => {}
            Takes::Nothing => return Err(ReadRequestError::NoBody),
            Takes::Json | Takes::JsonOrForm if json => asked.read_json(found, body)?,
            Takes::Form | Takes::JsonOrForm if !json => asked.read_form(found, content_type.unwrap_or_default(), body)?,
            Takes::Json => return Err(ReadRequestError::ContentType { expected: "`application/json`" }),
            Takes::Form | Takes::JsonOrForm => return Err(ReadRequestError::ContentType { expected: "`multipart/form-data`" }),
        }
        Ok(asked)
    }

    /// Input tokens, from the length of a body that is text.
    #[must_use]
    pub fn estimate(&self) -> TokenEstimate {
        let length = if self.is_json { u64::try_from(self.length).unwrap_or(u64::MAX) } else { 0 };
        estimate(&PromptSizes { other_bytes: length, ..PromptSizes::default() })
    }

    /// What to do with reports of usage in a stream.
    #[must_use]
    pub fn usage_events(&self) -> UsageEvents {
        if self.ask_for_usage.is_some() { UsageEvents::Withhold } else { UsageEvents::ForwardWhole }
    }

    /// The changes on the way up. Without a model, that which is named stays.
    #[must_use]
    pub fn edits(&self, model: Option<&str>) -> Edits<'static> {
        let mut edits = Edits::new(self.length);
        if let Some(at) = self.ask_for_usage {
            edits.insert(at, ASK_FOR_USAGE);
        }
        for range in &self.removals {
            edits.remove(range.clone());
        }
        if let Some(model) = model {
            let written = match self.form {
                Form::Plain => model.as_bytes().to_vec(),
                Form::Quoted => serde_json::Value::from(model).to_string().into_bytes(),
                Form::Prefixed => serde_json::Value::from(format!("{MODELS}{model}")).to_string().into_bytes(),
            };
            for place in &self.models {
                edits.replace(place.clone(), written.clone());
            }
        }
        edits
    }

    /// Takes the name of a model; there can be only one.
    fn name(&mut self, model: Cow<'a, str>) -> Result<(), ReadRequestError> {
        let model = match (self.form, model) {
            (Form::Prefixed, Cow::Borrowed(model)) => Cow::Borrowed(model.strip_prefix(MODELS).unwrap_or(model)),
            (Form::Prefixed, Cow::Owned(model)) => Cow::Owned(model.strip_prefix(MODELS).map(str::to_owned).unwrap_or(model)),
            (_, model) => model,
        };
        match &self.model {
            _ if model.len() > MODEL_LIMIT => {
                Err(ReadRequestError::WrongType { field: "model".to_owned(), expected: "at most 256 bytes long" })
            }
            Some(named) if *named != model => Err(ReadRequestError::SeveralModels),
            _ => {
                self.model = Some(model);
                Ok(())
            }
        }
    }

    fn read_json(&mut self, found: &Found<'_>, body: &'a [u8]) -> Result<(), ReadRequestError> {
        if let Err(error) = std::str::from_utf8(body) {
            return Err(ReadRequestError::NotUtf8 { at: error.valid_up_to() });
        }
        self.is_json = true;
        let mut cursor = Cursor::new(body);
        if cursor.kind()? != Kind::Object {
            cursor.value()?;
            cursor.end()?;
            return Err(ReadRequestError::NotAnObject);
        }
        let mut walk = cursor.begin_object()?;
        let open = cursor.position();
        let (mut names, mut removals, mut counts) = (Vec::with_capacity(16), Removals::default(), Counts::default());
        while let Some(key) = cursor.next_key(&mut walk)? {
            let (name, value) = (key.key_bytes(), cursor.value()?);
            let text = String::from_utf8_lossy(&name).into_owned();
            let field = Field::top(&text, value);
            if names.contains(&name) {
                return Err(field.duplicate());
            }
            if names.len() >= MEMBER_LIMIT {
                return Err(ReadRequestError::TooManyMembers { limit: MEMBER_LIMIT });
            }
            if name.starts_with(PREFIX) {
                self.extensions.take(&text, field)?;
                removals.take_out(&key, &value);
            } else {
                removals.keep_from(key.start());
                self.take(found, &text, value, &mut counts)?;
                removals.kept_to(value.end());
            }
            names.push(name);
        }
        cursor.end()?;
        self.removals = removals.ranges();
        self.settle(found, &counts, open);
        Ok(())
    }

    /// A member that stays.
    fn take(&mut self, found: &Found<'_>, name: &str, value: Value<'a>, counts: &mut Counts) -> Result<(), ReadRequestError> {
        let field = Field::top(name, value);
        let (names, texts) = (found.operation.names, found.operation.completes_text());
        match name {
            "model" if names != Names::Nothing => self.take_models(&value, value.start(), &[])?,
            "requests" if names == Names::EachRequest => self.take_models(&value, value.start(), IN_REQUESTS)?,
            "batch" if names == Names::Path => {
                self.take_models(&value, value.start(), IN_BATCH)?;
                self.take_models(&value, value.start(), IN_BATCHED)?;
            }
            "stream" => self.stream = field.flag()?,
            "stream_options" => counts.stream_options = true,
            "n" if found.operation.cost != super::Cost::Unknown => counts.answers = field.count(1, POSITIVE)?,
            "best_of" if texts => counts.best_of = field.count(1, POSITIVE)?,
            "max_tokens" if texts => self.output_limit = field.count(0, COUNT)?,
            "prompt" if texts => counts.prompts = Some(prompts(&value)?),
            "user" => self.user = value.as_str(),
            // Of other shapes are the provider's own, which are not for us to judge.
            "metadata" => self.metadata = Metadata::read(field).unwrap_or_default(),
            _ => {}
        }
        Ok(())
    }

    fn settle(&mut self, found: &Found<'_>, counts: &Counts, open: usize) {
        let answers = counts.answers.unwrap_or(1).max(counts.best_of.unwrap_or(1));
        self.choices = answers.saturating_mul(counts.prompts.unwrap_or(1).max(1));
        // `stream` is a member that stays, so that something follows the comma.
        let silent = self.stream && !counts.stream_options && found.operation.completes_text();
        self.ask_for_usage = silent.then_some(open);
    }

    /// Takes the names of models at `steps` below `value`, which begins at `at` in the body.
    fn take_models(&mut self, value: &Value<'a>, at: usize, steps: &[&[&str]]) -> Result<(), ReadRequestError> {
        let Some((step, rest)) = steps.split_first() else {
            if value.is_null() {
                return Ok(());
            }
            self.models.push(at..at.saturating_add(value.raw().len()));
            return self.name(Field::top("model", *value).text()?);
        };
        let mut cursor = Cursor::new(value.raw());
        match value.kind() {
            Kind::Array if step.is_empty() => {
                let mut walk = cursor.begin_array()?;
                while cursor.next_element(&mut walk)? {
                    let element = cursor.value()?;
                    self.take_models(&element, at.saturating_add(element.start()), rest)?;
                }
            }
            Kind::Object if !step.is_empty() => {
                let (mut walk, mut seen) = (cursor.begin_object()?, false);
                while let Some(key) = cursor.next_key(&mut walk)? {
                    let member = cursor.value()?;
                    if !step.iter().any(|name| key.is_text(name)) {
                        continue;
                    }
                    if std::mem::replace(&mut seen, true) {
                        return Err(Field::top(step.first().copied().unwrap_or_default(), member).duplicate());
                    }
                    self.take_models(&member, at.saturating_add(member.start()), rest)?;
                }
            }
            // What is of another shape is the provider's to refuse.
            _ => {}
        }
        Ok(())
    }

    fn read_form(&mut self, found: &Found<'_>, content_type: &str, body: &'a [u8]) -> Result<(), ReadRequestError> {
        let refuse = |problem| ReadRequestError::Form { problem };
        let parts = form::parts(body, form::boundary(content_type).map_err(refuse)?).map_err(refuse)?;
        self.form = Form::Plain;
        let names = found.operation.names != Names::Nothing;
        for part in parts {
            if part.name.as_bytes().starts_with(PREFIX) {
                return Err(refuse("what is meant for the gateway goes into headers where the body is a form"));
            }
            let text = || {
                let text = body.get(part.value.clone()).filter(|_| !part.opaque).and_then(|value| std::str::from_utf8(value).ok());
                text.ok_or(refuse("a part that has to be text is none"))
            };
            match part.name {
                "model" if names => {
                    if !self.models.is_empty() {
                        return Err(ReadRequestError::Duplicate { field: "model".to_owned() });
                    }
                    self.name(Cow::Borrowed(text()?))?;
                    self.models.push(part.value.clone());
                }
                "stream" => self.stream = matches!(text()?.trim(), "true" | "True" | "1"),
                "n" => self.choices = self.choices.max(text()?.trim().parse().map_err(|_| refuse("`n` is no whole number"))?),
                "user" => self.user = Some(Cow::Borrowed(text()?)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// How many texts are to be completed: one, unless there is a list of texts or of lists of tokens.
fn prompts(value: &Value<'_>) -> Result<u32, ReadRequestError> {
    if value.kind() != Kind::Array {
        return Ok(1);
    }
    let mut cursor = Cursor::new(value.raw());
    let (mut walk, mut count) = (cursor.begin_array()?, 0_u32);
    while cursor.next_element(&mut walk)? {
        if cursor.value()?.kind() == Kind::Number {
            return Ok(1);
        }
        count = count.saturating_add(1);
    }
    Ok(count)
}
