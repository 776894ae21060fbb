//! Writing a request.

use super::{SIGNATURE_PATH, shared_by_responses};
use crate::{
    convert::{
        Conversation, Dropped, Feature, Format, Image, ImageSource, Media, Part, Role, Tool, ToolCall, ToolChoice, ToolResult, Turn,
        writing::{self, Array, Object},
    },
    dialect::{Dialect, openai_chat::answer::write_thought},
};

/// Writes the body of a request for `model`; names in `dropped` what has no place.
///
/// A stream always asks for its usage, so that it is known whatever the caller wants to see of it.
pub(crate) fn write_conversation(conversation: &Conversation<'_>, model: &str, dropped: &mut Dropped) -> Vec<u8> {
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member("model", model);
        body.array("messages", |messages| {
            if !conversation.system.is_empty() {
                write_spoken("system", None, &conversation.system.iter().collect::<Vec<_>>(), messages, dropped);
            }
            for turn in &conversation.turns {
                write_turn(turn, messages, dropped);
            }
        });
        write_tools(conversation, body, dropped);
        write_settings(conversation, body, dropped);
        write_format(&conversation.format, body);
        write_others(conversation, body, dropped);
    });
    out
}

fn write_turn(turn: &Turn<'_>, messages: &mut Array<'_>, dropped: &mut Dropped) {
    match turn.role {
        Role::System => write_spoken("system", turn.name.as_deref(), &turn.parts.iter().collect::<Vec<_>>(), messages, dropped),
        Role::Assistant => write_assistant(turn, messages, dropped),
        Role::User => {
            let mut said = Vec::new();
            for part in &turn.parts {
                match part {
                    // Results must follow the calls at once. A picture among them has no place in a `tool` message: the user shows it.
                    Part::ToolResult(result) => {
                        write_result(result, messages, dropped);
                        said.extend(result.parts.iter().filter(|part| matches!(part, Part::Image(_) | Part::Media(_))));
                    }
                    part => said.push(part),
                }
            }
            if !said.is_empty() {
                write_spoken("user", turn.name.as_deref(), &said, messages, dropped);
            }
        }
    }
}

fn write_spoken(role: &str, name: Option<&str>, parts: &[&Part<'_>], messages: &mut Array<'_>, dropped: &mut Dropped) {
    let placed = placed(parts.iter().copied(), dropped);
    // Servers refuse a list of nothing.
    if placed.is_empty() && !parts.is_empty() {
        return;
    }
    messages.object(|message| {
        message.member("role", role).optional("name", name);
        write_content(&placed, message, dropped);
    });
}

fn write_result(result: &ToolResult<'_>, messages: &mut Array<'_>, dropped: &mut Dropped) {
    if result.is_error {
        dropped.note(Feature::ToolResultError);
    }
    note_cache(result.cache.is_some(), dropped);
    let shown = |part: &&Part<'_>| !matches!(part, Part::Image(_) | Part::Media(_));
    let placed = placed(result.parts.iter().filter(shown), dropped);
    messages.object(|message| {
        message.member("role", "tool").member("tool_call_id", &*result.call_id);
        write_content(&placed, message, dropped);
    });
}

fn write_assistant(turn: &Turn<'_>, messages: &mut Array<'_>, dropped: &mut Dropped) {
    let is_said = |part: &&Part<'_>| !matches!(part, Part::ToolCall(_) | Part::Thinking { .. } | Part::Refusal { .. });
    let said = placed(turn.parts.iter().filter(is_said), dropped);
    let calls: Vec<&ToolCall<'_>> =
        turn.parts.iter().filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None }).collect();
    let refusals: Vec<&str> =
        turn.parts.iter().filter_map(|part| if let Part::Refusal { text } = part { Some(&**text) } else { None }).collect();
    let thoughts: Vec<&Part<'_>> = turn.parts.iter().filter(|part| keeps_thought(part, dropped)).collect();
    messages.object(|message| {
        message.member("role", "assistant").optional("name", turn.name.as_deref());
        if said.is_empty() {
            message.member("content", None::<&str>);
        } else {
            write_content(&said, message, dropped);
        }
        message.optional("refusal", (!refusals.is_empty()).then(|| refusals.concat()));
        if !thoughts.is_empty() {
            message.array("reasoning_details", |details| {
                for (index, part) in thoughts.iter().enumerate() {
                    if let Part::Thinking { text, signature } = part {
                        write_thought(index, text, signature.as_ref(), details);
                    }
                }
            });
        }
        if !calls.is_empty() {
            message.array("tool_calls", |list| calls.iter().for_each(|call| write_call(call, list, dropped)));
        }
    });
}

/// Only thoughts that this dialect signed go back to it; OpenAI itself takes no others.
fn keeps_thought(part: &Part<'_>, dropped: &mut Dropped) -> bool {
    let Part::Thinking { signature, .. } = part else { return false };
    match signature {
        Some(signature) if signature.origin == Dialect::OpenAiChat => return true,
        Some(_) => dropped.note(Feature::ThoughtSignature),
        None => dropped.note(Feature::Thought),
    }
    false
}

fn write_call(call: &ToolCall<'_>, list: &mut Array<'_>, dropped: &mut Dropped) {
    note_cache(call.cache.is_some(), dropped);
    let arguments = if call.arguments.is_empty() { "{}" } else { &*call.arguments };
    list.object(|item| {
        item.member("id", &*call.id).member("type", "function").object("function", |function| {
            function.member("name", &*call.name).member("arguments", arguments);
        });
        match &call.signature {
            Some(signature) if signature.origin == Dialect::OpenAiChat => {
                let [outer, inner, name] = SIGNATURE_PATH;
                item.object(outer, |extra| {
                    extra.object(inner, |google| {
                        google.member(name, &*signature.value);
                    });
                });
            }
            Some(_) => dropped.note(Feature::CallSignature),
            None => {}
        }
    });
}

/// The parts that have a place in a message; the others are named.
fn placed<'p>(parts: impl Iterator<Item = &'p Part<'p>>, dropped: &mut Dropped) -> Vec<&'p Part<'p>> {
    let has_place = |part: &&Part<'_>| {
        match part {
            Part::Text { .. } | Part::Refusal { .. } | Part::Opaque { dialect: Dialect::OpenAiChat, .. } => return true,
            Part::Image(Image { source: ImageSource::File(_), .. }) => dropped.note(Feature::UploadedImage),
            Part::Media(Media { source: ImageSource::Url(_), .. }) => dropped.note(Feature::LinkedFile),
            Part::Image(_) | Part::Media(_) => return true,
            Part::Opaque { json, .. } => dropped.note_part(json),
            Part::Thinking { .. } => dropped.note(Feature::Thought),
            Part::ToolCall(_) => dropped.note(Feature::ToolCall),
            Part::ToolResult(_) => dropped.note(Feature::ToolResult),
        }
        false
    };
    parts.filter(has_place).collect()
}

/// One text is written as text, which every server takes; anything else as a list.
fn write_content(parts: &[&Part<'_>], message: &mut Object<'_>, dropped: &mut Dropped) {
    match parts {
        [] => message.member("content", ""),
        [Part::Text { text, cache }] => {
            note_cache(cache.is_some(), dropped);
            message.member("content", &**text)
        }
        _ => message.array("content", |list| parts.iter().for_each(|part| write_part(part, list, dropped))),
    };
}

fn write_part(part: &Part<'_>, list: &mut Array<'_>, dropped: &mut Dropped) {
    match part {
        Part::Text { text, cache } => {
            note_cache(cache.is_some(), dropped);
            list.object(|item| {
                item.member("type", "text").member("text", &**text);
            });
        }
        Part::Refusal { text } => {
            list.object(|item| {
                item.member("type", "refusal").member("refusal", &**text);
            });
        }
        Part::Image(image) => write_image(image, list, dropped),
        Part::Media(media) => write_media(media, list, dropped),
        Part::Opaque { json, .. } => {
            list.element(json);
        }
        // None of them has a place here.
        Part::Thinking { .. } | Part::ToolCall(_) | Part::ToolResult(_) => {}
    }
}

fn write_image(image: &Image<'_>, list: &mut Array<'_>, dropped: &mut Dropped) {
    note_cache(image.cache.is_some(), dropped);
    let Some(url) = image.source.url() else { return };
    list.object(|item| {
        item.member("type", "image_url").object("image_url", |inner| {
            inner.member("url", &*url).optional("detail", image.detail.as_deref());
        });
    });
}

fn write_media(media: &Media<'_>, list: &mut Array<'_>, dropped: &mut Dropped) {
    note_cache(media.cache.is_some(), dropped);
    match &media.source {
        ImageSource::Inline { media_type, data } if media_type.starts_with("audio/") => {
            let format = media_type.strip_prefix("audio/").unwrap_or_default();
            let format = if format == "mpeg" { "mp3" } else { format };
            list.object(|item| {
                item.member("type", "input_audio").object("input_audio", |audio| {
                    audio.member("data", &**data).member("format", format);
                });
            });
        }
        ImageSource::Inline { .. } => {
            list.object(|item| {
                item.member("type", "file").object("file", |file| {
                    file.member("filename", media.name.as_deref().unwrap_or("file")).optional("file_data", media.source.url());
                });
            });
        }
        ImageSource::File(id) => {
            list.object(|item| {
                item.member("type", "file").object("file", |file| {
                    file.member("file_id", &**id);
                });
            });
        }
        ImageSource::Url(_) => {}
    }
}

fn write_tools(conversation: &Conversation<'_>, body: &mut Object<'_>, dropped: &mut Dropped) {
    let tools = conversation.tools_in(Dialect::OpenAiChat, dropped);
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
                choice.member("type", "function").object("function", |function| {
                    function.member("name", &**name);
                });
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
                item.member("type", "function").object("function", |function| {
                    function.member("name", &**name).optional("description", description.as_deref());
                    function.optional("parameters", parameters.as_ref()).optional("strict", *strict);
                });
            });
        }
        Tool::Opaque { json, .. } => {
            list.element(json);
        }
    }
}

fn write_settings(conversation: &Conversation<'_>, body: &mut Object<'_>, dropped: &mut Dropped) {
    let sampling = &conversation.sampling;
    body.optional("max_completion_tokens", conversation.output_limit)
        .optional("temperature", sampling.temperature.as_ref())
        .optional("top_p", sampling.top_p.as_ref())
        .optional("seed", sampling.seed.as_ref())
        .optional("presence_penalty", sampling.presence_penalty.as_ref())
        .optional("frequency_penalty", sampling.frequency_penalty.as_ref())
        .optional("user", conversation.end_user.as_deref())
        .optional("reasoning_effort", conversation.reasoning.effort_in_words().map(|effort| effort.name()));
    if sampling.top_k.is_some() {
        dropped.note(Feature::TopK);
    }
    if !conversation.stop.is_empty() {
        body.member("stop", &conversation.stop);
    }
    if let Some(alternatives) = conversation.logprobs {
        body.member("logprobs", true).optional("top_logprobs", (alternatives > 0).then_some(alternatives));
    }
    if conversation.choices > 1 {
        body.member("n", conversation.choices);
    }
    if conversation.stream {
        body.member("stream", true).object("stream_options", |options| {
            options.member("include_usage", true);
        });
    }
}

fn write_format(format: &Format<'_>, body: &mut Object<'_>) {
    match format {
        Format::Text => {}
        Format::Json => {
            body.object("response_format", |format| {
                format.member("type", "json_object");
            });
        }
        Format::Schema(schema) => {
            body.object("response_format", |format| {
                format.member("type", "json_schema").object("json_schema", |inner| {
                    inner.member("name", schema.name.as_deref().unwrap_or("response"));
                    inner.optional("description", schema.description.as_deref());
                    inner.member("schema", &schema.schema).optional("strict", schema.strict);
                });
            });
        }
    }
}

/// OpenAI's two dialects share some members, by the same name or another; all else is named as dropped.
fn write_others(conversation: &Conversation<'_>, body: &mut Object<'_>, dropped: &mut Dropped) {
    for (name, value) in &conversation.others {
        let own = match conversation.origin {
            Some(Dialect::OpenAiResponses) => shared_by_responses(name),
            _ => None,
        };
        match own {
            Some(own) => {
                body.member(own, value);
            }
            None => dropped.note_member(name),
        }
    }
}

fn note_cache(present: bool, dropped: &mut Dropped) {
    if present {
        dropped.note(Feature::CacheMark);
    }
}
