//! Reading a request.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::block::{Others, cache_of, read_content};
use crate::{
    convert::{Conversation, Effort, Feature, Format, Members, Reasoning, Role, Sampling, Schema, Tool, ToolChoice, Turn, text_of},
    dialect::Dialect,
    request::{PREFIX, ReadRequestError},
};

/// Reads the body of a request, for an answer or for a count of its tokens (which has no `max_tokens`).
pub(crate) fn read_conversation(body: &[u8]) -> Result<Conversation<'_>, ReadRequestError> {
    let mut members = Members::read("", body)?;
    let mut others = Others::new();
    members.take("model");
    let system = match members.take("system") {
        Some(system) => read_content("system", system, &mut others)?,
        None => Vec::new(),
    };
    let messages = members.array("messages")?.ok_or(ReadRequestError::Missing { field: "messages", expected: "an array" })?;
    let turns = read_turns(messages, &mut others)?;
    let tools = read_tools(members.array("tools")?.unwrap_or_default(), &mut others)?;
    let (tool_choice, parallel_tool_calls) = read_tool_choice(members.object("tool_choice")?, &mut others)?;
    let mut conversation = Conversation {
        system,
        turns,
        tools,
        tool_choice,
        parallel_tool_calls,
        output_limit: members.count("max_tokens")?,
        sampling: Sampling {
            temperature: members.number("temperature")?,
            top_p: members.number("top_p")?,
            top_k: members.number("top_k")?,
            ..Sampling::default()
        },
        stop: read_stop(&mut members)?,
        choices: 1,
        stream: members.flag("stream")?.unwrap_or(false),
        include_usage: true,
        ..Conversation::default()
    };
    if let Some(mut metadata) = members.object("metadata")? {
        conversation.end_user = metadata.text("user_id")?;
        leave(metadata, &mut others);
    }
    conversation.reasoning = read_thinking(members.object("thinking")?, &mut others)?;
    read_output_config(&mut members, &mut conversation, &mut others)?;
    let rest = members.rest().filter(|(name, value)| !name.as_bytes().starts_with(PREFIX) && value.get() != "null");
    others.extend(rest.map(|(name, value)| (name, Cow::Borrowed(value))));
    conversation.others = others;
    Ok(conversation)
}

fn leave<'a>(members: Members<'a>, others: &mut Others<'a>) {
    let rest = members.rest().filter(|(_, value)| value.get() != "null");
    others.extend(rest.map(|(name, value)| (name, Cow::Borrowed(value))));
}

fn read_turns<'a>(messages: Vec<&'a RawValue>, others: &mut Others<'a>) -> Result<Vec<Turn<'a>>, ReadRequestError> {
    let mut turns = Vec::with_capacity(messages.len());
    for (place, message) in messages.into_iter().enumerate() {
        let mut message = Members::read(&format!("messages[{place}]"), message.get().as_bytes())?;
        let role = match &*message.required_text("role")? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(message.wrong("role", "`user` or `assistant`")),
        };
        let content = message.take("content").ok_or_else(|| message.wrong("content", "a string or an array of blocks"))?;
        turns.push(Turn { role, name: None, parts: read_content(&message.field("content"), content, others)? });
    }
    Ok(turns)
}

fn read_tools<'a>(tools: Vec<&'a RawValue>, others: &mut Others<'a>) -> Result<Vec<Tool<'a>>, ReadRequestError> {
    let mut read = Vec::with_capacity(tools.len());
    for (place, json) in tools.into_iter().enumerate() {
        let mut tool = Members::read(&format!("tools[{place}]"), json.get().as_bytes())?;
        let kind = tool.text("type")?.unwrap_or(Cow::Borrowed("custom"));
        if kind != "custom" {
            read.push(Tool::Opaque { dialect: Dialect::AnthropicMessages, name: kind, json: Cow::Borrowed(json) });
            continue;
        }
        read.push(Tool::Function {
            name: tool.required_text("name")?,
            description: tool.text("description")?,
            parameters: tool.take("input_schema").map(Cow::Borrowed),
            strict: tool.flag("strict")?,
            cache: cache_of(&mut tool),
        });
        let path = tool.field("");
        let rest = tool.rest().filter(|(_, value)| value.get() != "null");
        others.extend(rest.map(|(name, value)| {
            let member = name.strip_prefix(&path).unwrap_or(&name);
            (format!("tools.{member}").into(), Cow::Borrowed(value))
        }));
    }
    Ok(read)
}

/// Which tool must be called, and whether several may be.
type Calling<'a> = (Option<ToolChoice<'a>>, Option<bool>);

fn read_tool_choice<'a>(choice: Option<Members<'a>>, others: &mut Others<'a>) -> Result<Calling<'a>, ReadRequestError> {
    let Some(mut choice) = choice else { return Ok((None, None)) };
    let which = match &*choice.required_text("type")? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Function(choice.required_text("name")?),
        _ => return Err(choice.wrong("type", "`auto`, `any`, `tool` or `none`")),
    };
    let parallel = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    leave(choice, others);
    Ok((Some(which), parallel))
}

fn read_stop<'a>(members: &mut Members<'a>) -> Result<Vec<Cow<'a, str>>, ReadRequestError> {
    let texts = members.array("stop_sequences")?.unwrap_or_default();
    texts.into_iter().map(|text| text_of(text).ok_or_else(|| members.wrong("stop_sequences", "an array of strings"))).collect()
}

/// `adaptive` leaves it to the model, so it says neither how much nor in what words; only that thoughts are shown.
fn read_thinking<'a>(thinking: Option<Members<'a>>, others: &mut Others<'a>) -> Result<Reasoning, ReadRequestError> {
    let Some(mut thinking) = thinking else { return Ok(Reasoning::default()) };
    let shown = Some(thinking.text("display")?.as_deref() != Some("omitted"));
    let reasoning = match &*thinking.required_text("type")? {
        "enabled" => {
            let budget = thinking.count("budget_tokens")?.ok_or_else(|| thinking.wrong("budget_tokens", "a whole number from 1024"))?;
            Reasoning { effort: None, budget_tokens: Some(budget), shown }
        }
        "disabled" => Reasoning { effort: Some(Effort::None), budget_tokens: Some(0), shown: None },
        "adaptive" => Reasoning { effort: None, budget_tokens: None, shown },
        _ => return Err(thinking.wrong("type", "`enabled`, `adaptive` or `disabled`")),
    };
    leave(thinking, others);
    Ok(reasoning)
}

fn read_output_config<'a>(
    members: &mut Members<'a>,
    conversation: &mut Conversation<'a>,
    others: &mut Others<'a>,
) -> Result<(), ReadRequestError> {
    // Once a member of its own, in the beta of structured outputs.
    let mut format = members.object("output_format")?;
    if format.is_some() {
        conversation.written_as.push((Feature::SchemaFormat, "output_format"));
    }
    if let Some(mut config) = members.object("output_config")? {
        format = config.object("format")?.or(format);
        let effort = config.take("effort");
        leave(config, others);
        if let Some(effort) = effort {
            match text_of(effort).as_deref().and_then(super::thinking::effort_named) {
                Some(named) if conversation.reasoning.effort.is_none() => conversation.reasoning.effort = Some(named),
                _ => others.push(("output_config.effort".into(), Cow::Borrowed(effort))),
            }
        }
    }
    let Some(mut format) = format else { return Ok(()) };
    if format.required_text("type")? != "json_schema" {
        return Err(format.wrong("type", "`json_schema`"));
    }
    let schema = format.take("schema").ok_or_else(|| format.wrong("schema", "an object"))?;
    conversation.format =
        Format::Schema(Schema { name: format.text("name")?, description: None, schema: Cow::Borrowed(schema), strict: Some(true) });
    leave(format, others);
    Ok(())
}
