//! The tools of a request, and whether they must be called.

use serde::Serialize;

use super::messages::CachePoint;
use crate::{
    convert::{Conversation, Dropped, Feature, Tool, ToolChoice},
    dialect::anthropic_messages::conversation::tools::{Nothing, SchemaBody},
};

/// `toolConfig`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfigBody<'a> {
    tools: Vec<ToolBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ChoiceBody<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ToolBody<'a> {
    ToolSpec {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: InputSchema<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
    CachePoint(CachePoint<'a>),
}

#[derive(Debug, Serialize)]
struct InputSchema<'a> {
    json: SchemaBody<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ChoiceBody<'a> {
    Auto(Nothing),
    Any(Nothing),
    Tool { name: &'a str },
}

impl<'a> ToolConfigBody<'a> {
    /// Of this conversation, in which these tools were `called`: what was called must be declared, gone or not. There is no choice of
    /// none; where it is asked for, tools are left out altogether if nothing was called yet, and else the choice is named as dropped.
    pub(super) fn of(conversation: &'a Conversation<'_>, called: &[&'a str], strict: bool, dropped: &mut Dropped) -> Option<Self> {
        let none = conversation.tool_choice == Some(ToolChoice::None);
        if none && called.is_empty() {
            return None;
        }
        let mut tools = Vec::new();
        for tool in &conversation.tools {
            write_tool(tool, strict, &mut tools, dropped);
        }
        let tool_choice = match &conversation.tool_choice {
            _ if tools.is_empty() => None,
            None | Some(ToolChoice::None) => None,
            Some(ToolChoice::Auto) => Some(ChoiceBody::Auto(Nothing {})),
            Some(ToolChoice::Required) => Some(ChoiceBody::Any(Nothing {})),
            Some(ToolChoice::Function(name)) => Some(ChoiceBody::Tool { name }),
        };
        if none || (tool_choice.is_none() && matches!(conversation.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_)))) {
            dropped.note(Feature::ToolChoice);
        }
        if tools.is_empty() {
            let declare = |name: &&'a str| ToolBody::ToolSpec {
                name,
                description: None,
                input_schema: InputSchema { json: SchemaBody::OPEN },
                strict: None,
            };
            tools.extend(called.iter().map(declare));
        }
        (!tools.is_empty()).then_some(Self { tools, tool_choice })
    }
}

fn write_tool<'a>(tool: &'a Tool<'_>, keeps_to_schemas: bool, tools: &mut Vec<ToolBody<'a>>, dropped: &mut Dropped) {
    let (name, description, parameters, strict, cache) = match tool {
        Tool::Function { name, description, parameters, strict, cache } => (name, description, parameters, strict, cache),
        Tool::Opaque { name, .. } => return dropped.note_tool(name),
    };
    let strict = strict.filter(|strict| *strict);
    if strict.is_some() && !keeps_to_schemas {
        dropped.note(Feature::ToolStrict);
    }
    tools.push(ToolBody::ToolSpec {
        name,
        description: description.as_deref().filter(|description| !description.is_empty()),
        input_schema: InputSchema { json: SchemaBody::of(parameters.as_deref()) },
        strict: strict.filter(|_| keeps_to_schemas),
    });
    if let Some(cache) = cache {
        tools.push(ToolBody::CachePoint(CachePoint::of(cache)));
    }
}
