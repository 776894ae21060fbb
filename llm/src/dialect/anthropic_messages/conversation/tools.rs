//! The tools of a request, and whether they must be called.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    convert::{Conversation, Dropped, Feature, Members, Tool, ToolChoice},
    dialect::Dialect,
};

/// A tool.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ToolBody<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: SchemaBody<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    Opaque(&'a RawValue),
}

/// A schema of arguments, which must be one of an object and say so.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::dialect) enum SchemaBody<'a> {
    Given(&'a RawValue),
    Typed(Box<RawValue>),
    Open { r#type: &'static str, properties: Nothing },
}

#[derive(Debug, Serialize)]
pub(in crate::dialect) struct Nothing {}

impl<'a> SchemaBody<'a> {
    /// Any object.
    pub(in crate::dialect) const OPEN: Self = Self::Open { r#type: "object", properties: Nothing {} };

    /// The schema as it was given, with a type where it has none.
    pub(in crate::dialect) fn of(parameters: Option<&'a RawValue>) -> Self {
        let Some(given) = parameters else { return Self::OPEN };
        let Ok(mut members) = Members::read("", given.get().as_bytes()) else { return Self::Given(given) };
        if members.take("type").is_some() {
            return Self::Given(given);
        }
        let rest = members.rest().filter(|(name, _)| name != "type");
        let typed = rest.fold(r#"{"type":"object""#.to_owned(), |typed, (name, value)| {
            format!("{typed},{}:{}", serde_json::Value::from(name.into_owned()), value.get())
        });
        RawValue::from_string(typed + "}").map_or(Self::Given(given), Self::Typed)
    }
}

/// `tool_choice`
#[derive(Debug, Serialize)]
pub(super) struct ChoiceBody<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

/// What may be called and what must.
#[derive(Debug, Default)]
pub(super) struct Calling<'a> {
    pub(super) tools: Vec<ToolBody<'a>>,
    pub(super) choice: Option<ChoiceBody<'a>>,
}

impl<'a> Calling<'a> {
    /// Of this conversation, in which these tools were `called`. Calls of tools that aren't there any more are refused, so tools
    /// that were called are declared, and not to be called again.
    pub(super) fn of(conversation: &'a Conversation<'_>, called: &[&'a str], strict: bool, dropped: &mut Dropped) -> Self {
        let tools: Vec<_> = conversation.tools.iter().filter_map(|tool| write_tool(tool, strict, dropped)).collect();
        if !tools.is_empty() {
            return Self { tools, choice: write_choice(conversation) };
        }
        if matches!(conversation.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_))) {
            dropped.note(Feature::ToolChoice);
        }
        let declare = |name: &&'a str| ToolBody::Function {
            name,
            description: None,
            input_schema: SchemaBody::OPEN,
            strict: None,
            cache_control: None,
        };
        let none = ChoiceBody { r#type: "none", name: None, disable_parallel_tool_use: None };
        Self { tools: called.iter().map(declare).collect(), choice: (!called.is_empty()).then_some(none) }
    }
}

fn write_tool<'a>(tool: &'a Tool<'_>, keeps_to_schemas: bool, dropped: &mut Dropped) -> Option<ToolBody<'a>> {
    match tool {
        Tool::Function { name, description, parameters, strict, cache } => {
            let strict = strict.filter(|strict| *strict);
            if strict.is_some() && !keeps_to_schemas {
                dropped.note(Feature::ToolStrict);
            }
            Some(ToolBody::Function {
                name,
                description: description.as_deref(),
                input_schema: SchemaBody::of(parameters.as_deref()),
                strict: strict.filter(|_| keeps_to_schemas),
                cache_control: cache.as_deref(),
            })
        }
        Tool::Opaque { dialect: Dialect::AnthropicMessages, json, .. } => Some(ToolBody::Opaque(json)),
        Tool::Opaque { name, .. } => {
            dropped.note_tool(name);
            None
        }
    }
}

/// Without a choice there is no place for "one at a time", so `auto` is written out for it.
fn write_choice<'a>(conversation: &'a Conversation<'_>) -> Option<ChoiceBody<'a>> {
    let parallel = conversation.parallel_tool_calls;
    let (kind, name) = match &conversation.tool_choice {
        None if parallel.is_none() => return None,
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => return Some(ChoiceBody { r#type: "none", name: None, disable_parallel_tool_use: None }),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Function(name)) => ("tool", Some(&**name)),
    };
    Some(ChoiceBody { r#type: kind, name, disable_parallel_tool_use: parallel.map(|parallel| !parallel) })
}
