//! Reading a request.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::item::Items;
use crate::{
    convert::{Conversation, Effort, Feature, Format, Members, Part, Role, Schema, Tool, ToolChoice, Turn, text_of},
    dialect::Dialect,
    request::{PREFIX, ReadRequestError},
};

/// What `include` asks for where log probabilities are wanted.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Members by which a request builds on what the provider keeps.
const STATE: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Reads the body of a request.
pub(crate) fn read_conversation(body: &[u8]) -> Result<Conversation<'_>, ReadRequestError> {
    let mut body = Members::read("", body)?;
    body.take("model");
    let mut items = Items::default();
    if let Some(text) = body.text("instructions")? {
        items.conversation.system.push(Part::Text { text, cache: None });
    }
    read_input(&mut body, &mut items)?;
    let mut conversation = items.conversation;
    conversation.choices = 1;
    conversation.tools = read_tools(&mut body)?;
    conversation.parallel_tool_calls = body.flag("parallel_tool_calls")?;
    conversation.output_limit = body.count("max_output_tokens")?;
    conversation.sampling.temperature = body.number("temperature")?;
    conversation.sampling.top_p = body.number("top_p")?;
    let (identifier, user) = (body.text("safety_identifier")?, body.text("user")?);
    if identifier.is_some() {
        conversation.written_as.push((Feature::EndUser, "safety_identifier"));
    }
    conversation.end_user = identifier.or(user);
    conversation.stream = body.flag("stream")?.unwrap_or(false);
    // Here a stream always ends with its usage.
    conversation.include_usage = true;
    for name in STATE {
        if body.take(name).is_some() {
            conversation.state = Some(name);
        }
    }
    read_include(&mut body, &mut conversation)?;
    read_tool_choice(&mut body, &mut conversation)?;
    read_reasoning(&mut body, &mut conversation)?;
    read_text_format(&mut body, &mut conversation)?;
    let others = body.rest().filter(|(name, value)| says_something(name, value));
    conversation.others.extend(others.map(|(name, value)| (name, Cow::Borrowed(value))));
    Ok(conversation)
}

/// Not to store an answer is what happens anyway; so is not to truncate and not to run in the background.
fn says_something(name: &str, value: &RawValue) -> bool {
    let is_default = matches!(
        (name, value.get()),
        (_, "null") | ("store" | "background", "false") | ("truncation", "\"disabled\"") | ("service_tier", "\"auto\"")
    );
    !is_default && !name.as_bytes().starts_with(PREFIX)
}

fn read_input<'a>(body: &mut Members<'a>, items: &mut Items<'a>) -> Result<(), ReadRequestError> {
    let Some(input) = body.take("input") else { return Ok(()) };
    if let Some(text) = text_of(input) {
        items.conversation.turns.push(Turn { role: Role::User, name: None, parts: vec![Part::Text { text, cache: None }] });
        return Ok(());
    }
    let list: Vec<&RawValue> = serde_json::from_str(input.get()).map_err(|_| body.wrong("input", "a string or an array of items"))?;
    list.into_iter().enumerate().try_for_each(|(index, item)| items.read(&format!("input[{index}]"), item))
}

/// What `include` asks for is given anyway (encrypted reasoning) or is a setting (log probabilities); the rest is named.
fn read_include<'a>(body: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let alternatives = body.count("top_logprobs")?;
    conversation.logprobs = alternatives.filter(|alternatives| *alternatives > 0);
    for raw in body.array("include")?.unwrap_or_default() {
        let name = text_of(raw).ok_or_else(|| body.wrong("include", "an array of strings"))?;
        match &*name {
            "reasoning.encrypted_content" => {}
            LOGPROBS => {
                conversation.logprobs = Some(alternatives.unwrap_or(0));
                if alternatives.is_none() {
                    conversation.written_as.push((Feature::Logprobs, "include.message.output_text.logprobs"));
                }
            }
            _ => conversation.others.push((format!("include.{name}").into(), Cow::Borrowed(raw))),
        }
    }
    Ok(())
}

fn read_tools<'a>(body: &mut Members<'a>) -> Result<Vec<Tool<'a>>, ReadRequestError> {
    let read = |(index, json): (usize, &'a RawValue)| {
        let mut tool = Members::read(&format!("tools[{index}]"), json.get().as_bytes())?;
        let name = tool.required_text("type")?;
        if name != "function" {
            return Ok(Tool::Opaque { dialect: Dialect::OpenAiResponses, name, json: Cow::Borrowed(json) });
        }
        Ok(Tool::Function {
            name: tool.required_text("name")?,
            description: tool.text("description")?,
            parameters: tool.take("parameters").map(Cow::Borrowed),
            strict: tool.flag("strict")?,
            cache: None,
        })
    };
    body.array("tools")?.unwrap_or_default().into_iter().enumerate().map(read).collect()
}

fn read_tool_choice<'a>(body: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let Some(json) = body.take("tool_choice") else { return Ok(()) };
    conversation.tool_choice = match text_of(json).as_deref() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("none") => Some(ToolChoice::None),
        Some("required") => Some(ToolChoice::Required),
        Some(_) => return Err(body.wrong("tool_choice", "`auto`, `none`, `required` or an object")),
        None => {
            let mut choice = Members::read("tool_choice", json.get().as_bytes())?;
            if choice.required_text("type")? == "function" {
                Some(ToolChoice::Function(choice.required_text("name")?))
            } else {
                conversation.others.push(("tool_choice".into(), Cow::Borrowed(json)));
                None
            }
        }
    };
    Ok(())
}

fn read_reasoning<'a>(body: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let Some(mut reasoning) = body.object("reasoning")? else { return Ok(()) };
    if let Some(effort) = reasoning.take("effort") {
        match text_of(effort).and_then(|name| Effort::named(&name)) {
            Some(effort) => conversation.reasoning.effort = Some(effort),
            None => conversation.others.push(("reasoning.effort".into(), Cow::Borrowed(effort))),
        }
    }
    let summary = reasoning.take("summary").or(reasoning.take("generate_summary"));
    conversation.reasoning.shown = summary.map(|word| word.get() != "\"none\"");
    let unknown = reasoning.rest().filter(|(_, value)| value.get() != "null");
    conversation.others.extend(unknown.map(|(name, value)| (name, Cow::Borrowed(value))));
    Ok(())
}

fn read_text_format<'a>(body: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let Some(mut text) = body.object("text")? else { return Ok(()) };
    if let Some(json) = text.take("format") {
        let mut format = Members::read("text.format", json.get().as_bytes())?;
        conversation.format = match &*format.required_text("type")? {
            "text" => Format::Text,
            "json_object" => Format::Json,
            "json_schema" => Format::Schema(Schema {
                name: format.text("name")?,
                description: format.text("description")?,
                strict: format.flag("strict")?,
                schema: format.take("schema").map(Cow::Borrowed).ok_or_else(|| format.wrong("schema", "a JSON schema"))?,
            }),
            _ => {
                conversation.others.push(("text.format".into(), Cow::Borrowed(json)));
                Format::Text
            }
        };
    }
    let unknown = text.rest().filter(|(_, value)| value.get() != "null");
    conversation.others.extend(unknown.map(|(name, value)| (name, Cow::Borrowed(value))));
    Ok(())
}
