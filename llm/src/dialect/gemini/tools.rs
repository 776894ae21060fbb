//! `tools` and `toolConfig`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{content::object_of, fields::Fields, schema::to_json_schema};
use crate::{
    convert::{Conversation, Dropped, Feature, Json, Tool, ToolChoice},
    dialect::Dialect,
    request::ReadRequestError,
};

/// Reads `tools`: functions one by one, and each tool that Google hosts by its name.
pub(super) fn read_tools<'a>(tools: Vec<&'a RawValue>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    for (number, tool) in tools.into_iter().enumerate() {
        let mut fields = Fields::read(&format!("tools[{number}]"), tool)?;
        for (place, function) in fields.list("functionDeclarations")?.into_iter().enumerate() {
            let path = fields.field(&format!("functionDeclarations[{place}]"));
            read_function(Fields::read(&path, function)?, conversation)?;
        }
        for (path, definition) in fields.rest() {
            let name = path.rsplit('.').next().unwrap_or_default().to_owned();
            let json = object_of(&[(&name, definition.get().to_owned())]);
            conversation.tools.push(Tool::Opaque { dialect: Dialect::Gemini, name: Cow::Owned(name), json });
        }
    }
    Ok(())
}

fn read_function<'a>(mut function: Fields<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    let name = function.required_text("name")?;
    let description = function.text("description")?;
    let own = function.take("parameters")?;
    let json_schema = function.take("parametersJsonSchema")?;
    let parameters = json_schema.map(Cow::Borrowed).or_else(|| own.map(to_json_schema));
    for (path, value) in function.rest() {
        let name = path.rsplit('.').next().unwrap_or_default();
        conversation.others.push((Cow::Owned(format!("tools.functionDeclarations.{name}")), Cow::Borrowed(value)));
    }
    conversation.tools.push(Tool::Function { name, description, parameters, strict: None, cache: None });
    Ok(())
}

/// Reads `toolConfig`.
pub(super) fn read_tool_config<'a>(mut config: Fields<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadRequestError> {
    if let Some(mut calling) = config.object("functionCallingConfig")? {
        let names = calling.take("allowedFunctionNames")?;
        let allowed: Option<Vec<Cow<'a, str>>> = names
            .map(|names| serde_json::from_str(names.get()).map_err(|_| calling.wrong("allowedFunctionNames", "an array of strings")))
            .transpose()?;
        let mode = calling.text("mode")?.map(|mode| mode.to_ascii_uppercase());
        let (choice, all_said) = match (mode.as_deref(), allowed.as_deref()) {
            (None | Some("MODE_UNSPECIFIED"), None | Some([])) => (None, true),
            (None | Some("MODE_UNSPECIFIED" | "AUTO" | "VALIDATED"), allowed) => {
                (Some(ToolChoice::Auto), allowed.is_none_or(<[_]>::is_empty))
            }
            (Some("NONE"), _) => (Some(ToolChoice::None), true),
            (Some("ANY"), Some([only])) => (Some(ToolChoice::Function(only.clone())), true),
            (Some("ANY"), allowed) => (Some(ToolChoice::Required), allowed.is_none_or(<[_]>::is_empty)),
            (Some(_), _) => return Err(calling.wrong("mode", "`AUTO`, `ANY`, `NONE` or `VALIDATED`")),
        };
        conversation.tool_choice = choice;
        if let Some(names) = names.filter(|_| !all_said) {
            conversation.others.push((Cow::Owned(calling.field("allowedFunctionNames")), Cow::Borrowed(names)));
        }
        keep_rest(calling, conversation);
    }
    keep_rest(config, conversation);
    Ok(())
}

fn keep_rest<'a>(fields: Fields<'a>, conversation: &mut Conversation<'a>) {
    conversation.others.extend(fields.rest().map(|(name, value)| (name, Cow::Borrowed(value))));
}

/// An element of `tools`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ToolBody<'a> {
    /// All functions.
    #[serde(rename_all = "camelCase")]
    Functions { function_declarations: Vec<FunctionBody<'a>> },
    /// One that Google hosts.
    Opaque(&'a RawValue),
}

/// A function.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionBody<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Json<'a>>,
}

/// Writes the tools.
pub(super) fn write_tools<'a>(conversation: &'a Conversation<'_>, dropped: &mut Dropped) -> Vec<ToolBody<'a>> {
    let (mut functions, mut bodies) = (Vec::new(), Vec::new());
    for tool in &conversation.tools {
        match tool {
            Tool::Function { name, description, parameters, strict, cache } => {
                if *strict == Some(true) {
                    dropped.note(Feature::ToolStrict);
                }
                if cache.is_some() {
                    dropped.note(Feature::CacheMark);
                }
                let description = description.as_deref();
                functions.push(FunctionBody { name, description, parameters_json_schema: parameters.as_ref() });
            }
            Tool::Opaque { dialect: Dialect::Gemini, json, .. } => bodies.push(ToolBody::Opaque(json)),
            Tool::Opaque { name, .. } => dropped.note_tool(name),
        }
    }
    if !functions.is_empty() {
        bodies.insert(0, ToolBody::Functions { function_declarations: functions });
    }
    bodies
}

/// `toolConfig`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfigBody<'a> {
    function_calling_config: CallingBody<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CallingBody<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

impl<'a> ToolConfigBody<'a> {
    /// Writes the choice.
    pub(super) fn new(choice: &'a ToolChoice<'_>) -> Self {
        let (mode, allowed_function_names) = match choice {
            ToolChoice::Auto => ("AUTO", None),
            ToolChoice::None => ("NONE", None),
            ToolChoice::Required => ("ANY", None),
            ToolChoice::Function(name) => ("ANY", Some([&**name])),
        };
        Self { function_calling_config: CallingBody { mode, allowed_function_names } }
    }
}
