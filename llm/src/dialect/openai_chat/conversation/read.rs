//! Reading a request.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::message::{read_assistant, read_content};
use crate::{
    convert::{Conversation, Effort, Feature, Format, Members, Part, Role, Sampling, Schema, Tool, ToolChoice, ToolResult, Turn, text_of},
    dialect::Dialect,
    request::{PREFIX, ReadRequestError},
};

/// Reads the body of a request.
pub(crate) fn read_conversation(body: &[u8]) -> Result<Conversation<'_>, ReadRequestError> {
    let mut body = Members::read("", body)?;
    body.take("model");
    let mut conversation = Conversation {
        tools: read_tools(&mut body)?,
        parallel_tool_calls: body.flag("parallel_tool_calls")?,
        output_limit: body.count("max_completion_tokens")?.or(body.count("max_tokens")?),
        sampling: read_sampling(&mut body)?,
        stop: read_stop(&mut body)?,
        logprobs: read_logprobs(&mut body)?,
        choices: body.count("n")?.unwrap_or(1),
        stream: body.flag("stream")?.unwrap_or(false),
        ..Conversation::default()
    };
    read_end_user(&mut body, &mut conversation)?;
    read_messages(&mut body, &mut conversation)?;
    read_tool_choice(&mut body, &mut conversation)?;
    read_format(&mut body, &mut conversation)?;
    if let Some(mut options) = body.object("stream_options")? {
        conversation.include_usage = options.flag("include_usage")?.unwrap_or(false);
        conversation.others.extend(options.rest().map(|(name, value)| (name, Cow::Borrowed(value))));
    }
    if let Some(effort) = body.take("reasoning_effort") {
        match text_of(effort).and_then(|name| Effort::named(&name)) {
            Some(effort) => conversation.reasoning.effort = Some(effort),
            None => conversation.others.push(("reasoning_effort".into(), Cow::Borrowed(effort))),
        }
    }
    let ours = |name: &str| name.as_bytes().starts_with(PREFIX);
    let others = body.rest().filter(|(name, value)| !ours(name) && value.get() != "null");
    conversation.others.extend(others.map(|(name, value)| (name, Cow::Borrowed(value))));
    Ok(conversation)
}

fn read_end_user<'a>(body: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let (identifier, user) = (body.text("safety_identifier")?, body.text("user")?);
    if identifier.is_some() {
        conversation.written_as.push((Feature::EndUser, "safety_identifier"));
    }
    conversation.end_user = identifier.or(user);
    Ok(())
}

fn read_messages<'a>(body: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let messages = body.array("messages")?.ok_or(ReadRequestError::Missing { field: "messages", expected: "an array" })?;
    for (index, message) in messages.into_iter().enumerate() {
        let mut message = Members::read(&format!("messages[{index}]"), message.get().as_bytes())?;
        read_message(&mut message, conversation)?;
        let says_something = |value: &RawValue| !matches!(value.get(), "null" | "[]");
        let unknown = message.rest().filter(|(_, value)| says_something(value));
        let named = unknown.map(|(name, value)| (format!("messages.{}", name.rsplit('.').next().unwrap_or_default()).into(), value));
        conversation.others.extend(named.map(|(name, value)| (name, Cow::Borrowed(value))));
    }
    Ok(())
}

fn read_message<'a>(message: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let role = message.required_text("role")?;
    let turn = match &*role {
        "system" | "developer" => {
            let parts = read_content(message)?;
            if conversation.turns.is_empty() {
                conversation.system.extend(parts);
                return Ok(());
            }
            Turn { role: Role::System, name: message.text("name")?, parts }
        }
        "user" => Turn { role: Role::User, name: message.text("name")?, parts: read_content(message)? },
        "assistant" => Turn { role: Role::Assistant, name: message.text("name")?, parts: read_assistant(message)? },
        "tool" | "function" => {
            let name = message.text("name")?;
            let call_id = match message.text("tool_call_id")? {
                Some(id) => id,
                None => name.clone().ok_or_else(|| message.wrong("tool_call_id", "a string"))?,
            };
            let parts = read_content(message)?;
            push_result(conversation, ToolResult { call_id, name, parts, is_error: false, cache: None });
            return Ok(());
        }
        _ => return Err(message.wrong("role", "`system`, `developer`, `user`, `assistant` or `tool`")),
    };
    conversation.turns.push(turn);
    Ok(())
}

/// Results of one round of calls are one turn.
fn push_result<'a>(conversation: &mut Conversation<'a>, result: ToolResult<'a>) {
    let part = Part::ToolResult(result);
    match conversation.turns.last_mut() {
        Some(turn) if turn.role == Role::User && matches!(turn.parts.last(), Some(Part::ToolResult(_))) => turn.parts.push(part),
        _ => conversation.turns.push(Turn { role: Role::User, name: None, parts: vec![part] }),
    }
}

fn read_tools<'a>(body: &mut Members<'a>) -> Result<Vec<Tool<'a>>, ReadRequestError> {
    let read = |(index, json): (usize, &'a RawValue)| {
        let mut tool = Members::read(&format!("tools[{index}]"), json.get().as_bytes())?;
        let name = tool.required_text("type")?;
        if name != "function" {
            return Ok(Tool::Opaque { dialect: Dialect::OpenAiChat, name, json: Cow::Borrowed(json) });
        }
        let cache = tool.take("cache_control").map(Cow::Borrowed);
        let mut function = tool.object("function")?.ok_or_else(|| tool.wrong("function", "an object"))?;
        Ok(Tool::Function {
            name: function.required_text("name")?,
            description: function.text("description")?,
            parameters: function.take("parameters").map(Cow::Borrowed),
            strict: function.flag("strict")?,
            cache,
        })
    };
    body.array("tools")?.unwrap_or_default().into_iter().enumerate().map(read).collect()
}

fn read_tool_choice<'a>(body: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let Some(json) = body.take("tool_choice") else { return Ok(()) };
    conversation.tool_choice = match text_of(json).as_deref() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("none") => Some(ToolChoice::None),
        Some("required" | "any") => Some(ToolChoice::Required),
        Some(_) => return Err(body.wrong("tool_choice", "`auto`, `none`, `required` or an object")),
        None => {
            let mut choice = Members::read("tool_choice", json.get().as_bytes())?;
            match choice.object("function")? {
                Some(mut function) => Some(ToolChoice::Function(function.required_text("name")?)),
                None => {
                    conversation.others.push(("tool_choice".into(), Cow::Borrowed(json)));
                    None
                }
            }
        }
    };
    Ok(())
}

fn read_sampling<'a>(body: &mut Members<'a>) -> Result<Sampling<'a>, ReadRequestError> {
    Ok(Sampling {
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.number("top_k")?,
        seed: body.number("seed")?,
        presence_penalty: body.number("presence_penalty")?,
        frequency_penalty: body.number("frequency_penalty")?,
    })
}

fn read_stop<'a>(body: &mut Members<'a>) -> Result<Vec<Cow<'a, str>>, ReadRequestError> {
    let Some(stop) = body.take("stop") else { return Ok(Vec::new()) };
    if let Some(text) = text_of(stop) {
        return Ok(vec![text]);
    }
    let wrong = || body.wrong("stop", "a string or an array of strings");
    let texts: Vec<&RawValue> = serde_json::from_str(stop.get()).map_err(|_| wrong())?;
    texts.into_iter().map(|text| text_of(text).ok_or_else(wrong)).collect()
}

fn read_logprobs(body: &mut Members<'_>) -> Result<Option<u32>, ReadRequestError> {
    let alternatives = body.count("top_logprobs")?;
    let wanted = body.flag("logprobs")?.unwrap_or(false);
    Ok(wanted.then(|| alternatives.unwrap_or(0)))
}

fn read_format<'a>(body: &mut Members<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let Some(json) = body.take("response_format") else { return Ok(()) };
    let mut format = Members::read("response_format", json.get().as_bytes())?;
    conversation.format = match &*format.required_text("type")? {
        "text" => Format::Text,
        "json_object" => Format::Json,
        "json_schema" => {
            let mut schema = format.object("json_schema")?.ok_or_else(|| format.wrong("json_schema", "an object"))?;
            Format::Schema(Schema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                strict: schema.flag("strict")?,
                schema: schema.take("schema").map(Cow::Borrowed).ok_or_else(|| schema.wrong("schema", "a JSON schema"))?,
            })
        }
        _ => {
            conversation.others.push(("response_format".into(), Cow::Borrowed(json)));
            Format::Text
        }
    };
    Ok(())
}
