//! Writing a request.

use super::super::output::write_reasoning;
use crate::{
    convert::{
        Conversation, Dropped, Feature, Format, Image, ImageSource, Media, Members, Part, Role, Tool, ToolCall, ToolChoice, ToolResult,
        Turn,
        writing::{self, Array, Object},
    },
    dialect::{Dialect, openai_chat},
};

/// Writes the body of a request for `model`; names in `dropped` what has no place.
///
/// Nothing is stored at the provider unless the caller asked for it, and reasoning comes encrypted, so that it can go back with the next
/// request as the only state there is.
pub(crate) fn write_conversation(conversation: &Conversation<'_>, model: &str, dropped: &mut Dropped) -> Vec<u8> {
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member("model", model);
        write_instructions(&conversation.system, body, dropped);
        body.array("input", |input| conversation.turns.iter().for_each(|turn| write_turn(turn, input, dropped)));
        write_tools(conversation, body, dropped);
        write_settings(conversation, body, dropped);
        write_text(conversation, body);
        write_others(conversation, body, dropped);
    });
    out
}

fn write_instructions(system: &[Part<'_>], body: &mut Object<'_>, dropped: &mut Dropped) {
    let mut texts = Vec::with_capacity(system.len());
    for part in system {
        match part {
            Part::Text { text, cache } => {
                note_cache(cache.is_some(), dropped);
                texts.push(&**text);
            }
            Part::Opaque { json, .. } => dropped.note_part(json),
            _ => dropped.note(Feature::SystemContent),
        }
    }
    body.optional("instructions", (!texts.is_empty()).then(|| texts.join("\n\n")));
}

fn write_turn(turn: &Turn<'_>, input: &mut Array<'_>, dropped: &mut Dropped) {
    if turn.name.is_some() {
        dropped.note(Feature::TurnName);
    }
    let role = match turn.role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
    };
    let mut said: Vec<&Part<'_>> = Vec::new();
    for part in &turn.parts {
        if is_content(part, turn.role) {
            said.push(part);
            continue;
        }
        write_message(role, &mut said, input, dropped);
        match part {
            Part::ToolCall(call) => write_call(call, input, dropped),
            Part::ToolResult(result) => write_result(result, input, dropped),
            Part::Thinking { text, signature } => match signature {
                Some(signature) if signature.origin == Dialect::OpenAiResponses => {
                    input.object(|item| write_reasoning(None, text, Some(&signature.value), item));
                }
                Some(_) => dropped.note(Feature::ThoughtSignature),
                None => dropped.note(Feature::Thought),
            },
            Part::Opaque { dialect: Dialect::OpenAiResponses, json } => {
                input.element(json);
            }
            Part::Opaque { json, .. } => dropped.note_part(json),
            Part::Text { .. } | Part::Image(_) | Part::Media(_) | Part::Refusal { .. } => {}
        }
    }
    write_message(role, &mut said, input, dropped);
}

/// Whether a part stands within a message; all others are items of their own.
fn is_content(part: &Part<'_>, role: Role) -> bool {
    match part {
        Part::Text { .. } | Part::Image(_) | Part::Media(_) | Part::Refusal { .. } => true,
        Part::Opaque { dialect: Dialect::OpenAiResponses, json } if role == Role::User => {
            let kind = Members::read("", json.get().as_bytes()).ok().and_then(|mut part| part.text("type").ok().flatten());
            !kind.is_some_and(|kind| kind.ends_with("_output"))
        }
        Part::Opaque { .. } | Part::Thinking { .. } | Part::ToolCall(_) | Part::ToolResult(_) => false,
    }
}

fn write_message(role: &str, said: &mut Vec<&Part<'_>>, input: &mut Array<'_>, dropped: &mut Dropped) {
    if said.is_empty() {
        return;
    }
    input.object(|item| {
        item.member("type", "message").member("role", role);
        item.array("content", |list| said.iter().for_each(|part| write_part(part, role, list, dropped)));
    });
    said.clear();
}

fn write_part(part: &Part<'_>, role: &str, list: &mut Array<'_>, dropped: &mut Dropped) {
    let text_kind = if role == "assistant" { "output_text" } else { "input_text" };
    match part {
        Part::Text { text, cache } => {
            note_cache(cache.is_some(), dropped);
            list.object(|item| {
                item.member("type", text_kind).member("text", &**text);
            });
        }
        Part::Refusal { text } => {
            list.object(|item| {
                item.member("type", "refusal").member("refusal", &**text);
            });
        }
        Part::Image(image) => write_image(image, list, dropped),
        Part::Media(media) => write_media(media, list, dropped),
        Part::Opaque { dialect: Dialect::OpenAiResponses, json } => {
            list.element(json);
        }
        Part::Opaque { json, .. } => dropped.note_part(json),
        Part::Thinking { .. } => dropped.note(Feature::Thought),
        Part::ToolCall(_) => dropped.note(Feature::ToolCall),
        Part::ToolResult(_) => dropped.note(Feature::ToolResult),
    }
}

fn write_image(image: &Image<'_>, list: &mut Array<'_>, dropped: &mut Dropped) {
    note_cache(image.cache.is_some(), dropped);
    list.object(|item| {
        item.member("type", "input_image");
        if let ImageSource::File(id) = &image.source {
            item.member("file_id", &**id);
        }
        item.optional("image_url", image.source.url()).member("detail", image.detail.as_deref().unwrap_or("auto"));
    });
}

fn write_media(media: &Media<'_>, list: &mut Array<'_>, dropped: &mut Dropped) {
    note_cache(media.cache.is_some(), dropped);
    if let ImageSource::Inline { media_type, data } = &media.source
        && let Some(format) = media_type.strip_prefix("audio/")
    {
        list.object(|item| {
            item.member("type", "input_audio").object("input_audio", |audio| {
                audio.member("data", &**data).member("format", if format == "mpeg" { "mp3" } else { format });
            });
        });
        return;
    }
    list.object(|item| {
        item.member("type", "input_file");
        match &media.source {
            ImageSource::Inline { .. } => {
                item.member("filename", media.name.as_deref().unwrap_or("file")).optional("file_data", media.source.url());
            }
            ImageSource::Url(url) => {
                item.member("file_url", &**url);
            }
            ImageSource::File(id) => {
                item.member("file_id", &**id);
            }
        }
    });
}

fn write_call(call: &ToolCall<'_>, input: &mut Array<'_>, dropped: &mut Dropped) {
    note_cache(call.cache.is_some(), dropped);
    if call.signature.is_some() {
        dropped.note(Feature::CallSignature);
    }
    let arguments = if call.arguments.is_empty() { "{}" } else { &*call.arguments };
    input.object(|item| {
        item.member("type", "function_call").member("call_id", &*call.id).member("name", &*call.name).member("arguments", arguments);
    });
}

fn write_result(result: &ToolResult<'_>, input: &mut Array<'_>, dropped: &mut Dropped) {
    note_cache(result.cache.is_some(), dropped);
    if result.is_error {
        dropped.note(Feature::ToolResultError);
    }
    input.object(|item| {
        item.member("type", "function_call_output").member("call_id", &*result.call_id);
        match &*result.parts {
            [] => item.member("output", ""),
            [Part::Text { text, cache }] => {
                note_cache(cache.is_some(), dropped);
                item.member("output", &**text)
            }
            parts => item.array("output", |list| parts.iter().for_each(|part| write_part(part, "user", list, dropped))),
        };
    });
}

fn write_tools(conversation: &Conversation<'_>, body: &mut Object<'_>, dropped: &mut Dropped) {
    let tools = conversation.tools_in(Dialect::OpenAiResponses, dropped);
    if tools.is_empty() {
        return;
    }
    body.array("tools", |list| tools.iter().for_each(|tool| write_tool(tool, list, dropped)));
    match &conversation.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => choose("auto", body),
        Some(ToolChoice::None) => choose("none", body),
        Some(ToolChoice::Required) => choose("required", body),
        Some(ToolChoice::Function(name)) => {
            body.object("tool_choice", |choice| {
                choice.member("type", "function").member("name", &**name);
            });
        }
    }
    body.optional("parallel_tool_calls", conversation.parallel_tool_calls);
}

fn choose(word: &str, body: &mut Object<'_>) {
    body.member("tool_choice", word);
}

fn write_tool(tool: &Tool<'_>, list: &mut Array<'_>, dropped: &mut Dropped) {
    match tool {
        Tool::Function { name, description, parameters, strict, cache } => {
            note_cache(cache.is_some(), dropped);
            list.object(|item| {
                item.member("type", "function").member("name", &**name).optional("description", description.as_deref());
                // Left out, it would be strict here, which it is nowhere else.
                item.member("parameters", parameters.as_ref()).member("strict", strict.unwrap_or(false));
            });
        }
        Tool::Opaque { json, .. } => {
            list.element(json);
        }
    }
}

fn write_settings(conversation: &Conversation<'_>, body: &mut Object<'_>, dropped: &mut Dropped) {
    let sampling = &conversation.sampling;
    body.optional("max_output_tokens", conversation.output_limit)
        .optional("temperature", sampling.temperature.as_ref())
        .optional("top_p", sampling.top_p.as_ref())
        .optional("user", conversation.end_user.as_deref());
    let absent = [
        (Feature::TopK, sampling.top_k.is_some()),
        (Feature::Seed, sampling.seed.is_some()),
        (Feature::PresencePenalty, sampling.presence_penalty.is_some()),
        (Feature::FrequencyPenalty, sampling.frequency_penalty.is_some()),
        (Feature::Stop, !conversation.stop.is_empty()),
        (Feature::Choices, conversation.choices > 1),
    ];
    absent.into_iter().filter(|(_, given)| *given).for_each(|(feature, _)| dropped.note(feature));
    let (effort, shown) = (conversation.reasoning.effort_in_words(), conversation.reasoning.shown == Some(true));
    if effort.is_some() || shown {
        body.object("reasoning", |reasoning| {
            reasoning.optional("effort", effort.map(|effort| effort.name())).optional("summary", shown.then_some("auto"));
        });
    }
    body.optional("top_logprobs", conversation.logprobs.filter(|alternatives| *alternatives > 0));
    // Models that do not reason refuse to be asked for encrypted reasoning.
    let include = [
        (effort.is_some() || shown || has_own_thoughts(conversation), "reasoning.encrypted_content"),
        (conversation.logprobs.is_some(), "message.output_text.logprobs"),
    ];
    let include: Vec<&str> = include.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect();
    if !include.is_empty() {
        body.member("include", include);
    }
    if conversation.stream {
        body.member("stream", true);
    }
}

fn has_own_thoughts(conversation: &Conversation<'_>) -> bool {
    let own =
        |part: &Part<'_>| matches!(part, Part::Thinking { signature: Some(signature), .. } if signature.origin == Dialect::OpenAiResponses);
    conversation.turns.iter().flat_map(|turn| &turn.parts).any(own)
}

fn write_text(conversation: &Conversation<'_>, body: &mut Object<'_>) {
    let verbosity = conversation.others.iter().find(|(name, _)| own_name(conversation, name) == Some(VERBOSITY));
    if matches!(conversation.format, Format::Text) && verbosity.is_none() {
        return;
    }
    body.object("text", |text| {
        match &conversation.format {
            Format::Text => {}
            Format::Json => {
                text.object("format", |format| {
                    format.member("type", "json_object");
                });
            }
            Format::Schema(schema) => {
                text.object("format", |format| {
                    format.member("type", "json_schema").member("name", schema.name.as_deref().unwrap_or("response"));
                    format.optional("description", schema.description.as_deref());
                    format.member("schema", &schema.schema).member("strict", schema.strict.unwrap_or(false));
                });
            }
        }
        text.optional("verbosity", verbosity.map(|(_, value)| value));
    });
}

/// The one shared member that stands within another.
const VERBOSITY: &str = "text.verbosity";

/// OpenAI's two dialects share some members, by the same name or another; all else is named as dropped.
fn write_others(conversation: &Conversation<'_>, body: &mut Object<'_>, dropped: &mut Dropped) {
    let mut stores = false;
    for (name, value) in &conversation.others {
        match own_name(conversation, name) {
            Some(VERBOSITY) => {}
            Some(own) => {
                stores |= own == "store";
                body.member(own, value);
            }
            None => dropped.note_member(name),
        }
    }
    if !stores {
        body.member("store", false);
    }
}

fn own_name(conversation: &Conversation<'_>, name: &str) -> Option<&'static str> {
    match conversation.origin {
        Some(Dialect::OpenAiChat) => openai_chat::shared_with_responses(name),
        _ => None,
    }
}

fn note_cache(present: bool, dropped: &mut Dropped) {
    if present {
        dropped.note(Feature::CacheMark);
    }
}
