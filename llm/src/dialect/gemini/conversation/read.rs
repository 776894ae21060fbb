//! Reading a request.

use std::borrow::Cow;

use super::super::{
    content::{Piece, PieceReader},
    fields::Fields,
    generation::read_generation,
    tools::{read_tool_config, read_tools},
};
use crate::{
    convert::{Conversation, Role, Turn},
    request::{PREFIX, ReadRequestError},
};

/// Reads a request. The usage of a stream always comes here, so it counts as asked for.
pub(crate) fn read_conversation(body: &[u8]) -> Result<Conversation<'_>, ReadRequestError> {
    let mut fields = Fields::read_body(body)?;
    let mut conversation = Conversation { choices: 1, include_usage: true, ..Conversation::default() };
    // Some clients repeat the path's model here.
    fields.take("model")?;
    let mut pieces = PieceReader::default();
    if let Some(mut system) = fields.object("systemInstruction")? {
        conversation.system = pieces.read_parts(&mut system)?.into_iter().map(Piece::into_part).collect();
    }
    for (number, content) in fields.list("contents")?.into_iter().enumerate() {
        let mut content = Fields::read(&format!("contents[{number}]"), content)?;
        let role = read_role(&mut content)?;
        let parts = pieces.read_parts(&mut content)?.into_iter().map(Piece::into_part).collect();
        conversation.turns.push(Turn { role, name: None, parts });
    }
    read_tools(fields.list("tools")?, &mut conversation)?;
    if let Some(config) = fields.object("toolConfig")? {
        read_tool_config(config, &mut conversation)?;
    }
    if let Some(config) = fields.object("generationConfig")? {
        read_generation(config, &mut conversation)?;
    }
    conversation.others.append(&mut pieces.others);
    let rest = fields.rest().filter(|(name, _)| !name.as_bytes().starts_with(PREFIX));
    conversation.others.extend(rest.map(|(name, value)| (name, Cow::Borrowed(value))));
    Ok(conversation)
}

/// The request that stands within one to count (`countTokens`), with its instructions and tools; `None` where there are contents alone.
pub(crate) fn counted_part(body: &[u8]) -> Result<Option<&[u8]>, ReadRequestError> {
    let mut fields = Fields::read_body(body)?;
    let Some(request) = fields.take("generateContentRequest")? else { return Ok(None) };
    if fields.take("contents")?.is_some() {
        return Err(fields.wrong("contents", "left out where `generateContentRequest` is given"));
    }
    Ok(Some(request.get().as_bytes()))
}

/// `function` is how older clients give results.
fn read_role(content: &mut Fields<'_>) -> Result<Role, ReadRequestError> {
    match content.text("role")?.as_deref() {
        None | Some("" | "user" | "function" | "tool") => Ok(Role::User),
        Some("model") => Ok(Role::Assistant),
        Some(_) => Err(content.wrong("role", "`user` or `model`")),
    }
}
