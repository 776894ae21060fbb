//! The `mlx:` members of a body and the caller's `metadata`, as contract 2.2 has them.

use std::borrow::Cow;

use super::{Field, ReadRequestError};

/// How our own members of a body begin.
pub(crate) const PREFIX: &[u8] = b"mlx:";

/// Our body extensions. All of them are taken out before the upstream sees the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions<'a> {
    /// `mlx:tags`, in the caller's order, each key once.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// `mlx:end_user`
    pub end_user: Option<Cow<'a, str>>,
    /// `mlx:cache` is `{"skip": true}`: neither read nor write the response cache.
    pub skip_cache: bool,
    /// `mlx:trace` is `true`: put the decision trace into the answer.
    pub trace: bool,
}

impl<'a> Extensions<'a> {
    /// Takes one `mlx:` member. That it comes only once is the caller's business.
    pub(crate) fn take(&mut self, name: &str, field: Field<'_, 'a>) -> Result<(), ReadRequestError> {
        match name {
            "mlx:tags" => self.take_tags(field),
            "mlx:end_user" => {
                self.end_user = field.optional_text()?;
                Ok(())
            }
            "mlx:cache" => self.take_cache(field),
            "mlx:trace" => {
                self.trace = field.flag()?;
                Ok(())
            }
            _ => Err(field.unknown_extension()),
        }
    }

    fn take_tags(&mut self, field: Field<'_, 'a>) -> Result<(), ReadRequestError> {
        field.members(|name, value| {
            let tag = Field::within("mlx:tags", name, value);
            let text = tag.text()?;
            if self.tags.iter().any(|(known, _)| known == name) {
                return Err(tag.duplicate());
            }
            self.tags.push((Cow::Owned(name.to_owned()), text));
            Ok(())
        })
    }

    fn take_cache(&mut self, field: Field<'_, 'a>) -> Result<(), ReadRequestError> {
        let mut skip = None;
        field.members(|name, value| {
            let member = Field::within("mlx:cache", name, value);
            match name {
                "skip" => member.keep(&mut skip, member.flag()?),
                _ => Err(member.unknown_extension()),
            }
        })?;
        self.skip_cache = skip.unwrap_or(false);
        Ok(())
    }
}

/// The fall-backs in the caller's `metadata`. Its other members are the provider's and are not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// `metadata.trace_id`: the agent run.
    pub trace_id: Option<Cow<'a, str>>,
    /// `metadata.conversation_id`: the thread.
    pub conversation_id: Option<Cow<'a, str>>,
    /// `metadata.user_id`: the end user.
    pub user_id: Option<Cow<'a, str>>,
}

impl<'a> Metadata<'a> {
    pub(crate) fn read(field: Field<'_, 'a>) -> Result<Self, ReadRequestError> {
        let (mut trace_id, mut conversation_id, mut user_id) = (None, None, None);
        field.members(|name, value| {
            let slot = match name {
                "trace_id" => &mut trace_id,
                "conversation_id" => &mut conversation_id,
                "user_id" => &mut user_id,
                _ => return Ok(()),
            };
            let member = Field::within("metadata", name, value);
            member.keep(slot, member.optional_text()?)
        })?;
        Ok(Self { trace_id: trace_id.flatten(), conversation_id: conversation_id.flatten(), user_id: user_id.flatten() })
    }
}
