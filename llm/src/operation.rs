//! What vendors' interfaces have beside the surfaces that are read and written here: files, batches, pictures, sound, stored answers and the
//! like. They are passed through, not modelled, so this knows of each operation only what governing it takes.
//!
//! One explicit table ([`all`], [`find`]): method and path, what the body is, where a model is named, and what is known of the cost. A path
//! that is not in it is not passed through. [`Asked`] reads out of a body what decides, [`usage`] what an answer says was consumed.
//!
//! Promises: the parts of a path that a caller chooses can't lead to another path; a body that two readers could understand in two ways is
//! refused. Leaves out: realtime, administration of the vendor's account, and who may do any of it.

mod body;
mod form;
mod table;
pub mod usage;

#[cfg(test)]
mod tests;

pub use body::Asked;

use table::{ANTHROPIC, GEMINI, OPENAI};

/// Bytes of an id in a path at most.
const ID_LIMIT: usize = 256;

/// Whose interface an operation is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI's, and that of the many who speak it.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
}

impl Family {
    /// What may stand before any of its paths.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::OpenAi => "/openai",
            Self::Anthropic => "/anthropic",
            Self::Gemini => "/gemini",
        }
    }

    fn table(self) -> &'static [Operation] {
        match self {
            Self::OpenAi => OPENAI,
            Self::Anthropic => ANTHROPIC,
            Self::Gemini => GEMINI,
        }
    }
}

/// The methods that operations have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Get, Self::Post, Self::Patch, Self::Delete];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// There is none.
    Nothing,
    /// A JSON object, or nothing.
    Json,
    /// `multipart/form-data`.
    Form,
    /// Either.
    JsonOrForm,
    /// Whatever its `Content-Type` says: it is kept, not read.
    Anything,
}

/// Where a request names the model that is to work for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Nowhere: it has to do with none, or with some that only the provider knows of.
    Nothing,
    /// `model` in the body, which may be left out.
    Body,
    /// In the path, and here and there in the body again.
    Path,
    /// `params.model` in each of the body's `requests`.
    EachRequest,
}

/// What is known of the cost before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Nothing.
    Free,
    /// Nothing at OpenAI itself; others who have it charge for tokens.
    FreeAtOpenAi,
    /// The tokens of the model that is named; how many of input at most, the body's length tells.
    Tokens,
    /// The same, but what is sent is not text: no length tells.
    TokensOfMedia,
    /// Something that no request tells: other units than tokens, work that is done later, storage.
    Unknown,
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Whose.
    pub family: Family,
    /// Its method.
    pub verb: Verb,
    /// Below the family's prefix. `{id}` is one segment of plain characters, `{model}` a model's name.
    pub path: &'static str,
    /// Its body.
    pub takes: Takes,
    /// Where its model is.
    pub names: Names,
    /// What it costs.
    pub cost: Cost,
}

impl Operation {
    /// The name in rules, traces and documents: method and path, with the family's prefix.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}{}", self.verb.as_str(), self.family.prefix(), self.path)
    }

    /// Whether what is generated are pictures, so that output that a report does not tell apart is taken for these.
    #[must_use]
    pub fn draws(&self) -> bool {
        self.path.starts_with("/v1/images/")
    }

    /// Whether it begins an upload or goes on with one, at an address that the provider's answer names.
    #[must_use]
    pub fn uploads(&self) -> bool {
        self.path.starts_with("/upload/")
    }

    /// Whether it is the completion of a text, whose streams report usage only where that is asked for.
    #[must_use]
    pub fn completes_text(&self) -> bool {
        self.family == Family::OpenAi && self.path == "/v1/completions"
    }
}

/// Every operation.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    [Family::OpenAi, Family::Anthropic, Family::Gemini].into_iter().flat_map(Family::table)
}

/// An operation and what a path says for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'p> {
    /// Which.
    pub operation: &'static Operation,
    /// The path below the family's prefix, up to the model where it names one.
    pub before: &'p str,
    /// The model, as it stands there.
    pub model: Option<&'p str>,
    /// The path behind the model.
    pub behind: &'p str,
}

/// Methods that a path has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verbs(u8);

impl Verbs {
    fn add(&mut self, verb: Verb) {
        self.0 |= Self::bit(verb);
    }

    fn bit(verb: Verb) -> u8 {
        match verb {
            Verb::Get => 1,
            Verb::Post => 2,
            Verb::Patch => 4,
            Verb::Delete => 8,
        }
    }

    /// Which.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.0 & Self::bit(*verb) != 0)
    }
}

impl From<Verb> for Verbs {
    fn from(verb: Verb) -> Self {
        Self(Self::bit(verb))
    }
}

impl std::fmt::Display for Verbs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, verb) in self.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " or " })?;
            f.write_str(verb.as_str())?;
        }
        Ok(())
    }
}

/// What there is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'p> {
    /// This operation.
    Operation(Found<'p>),
    /// Others, with these methods.
    Other(Verbs),
    /// Nothing.
    Nothing,
}

/// Finds the operation at `path`. Two vendors have a few paths in common: `anthropic` says that it is Anthropic's client who asks.
#[must_use]
pub fn find<'p>(method: &str, path: &'p str, anthropic: bool) -> Lookup<'p> {
    let mut verbs = Verbs::default();
    for (family, path) in places(path, anthropic).into_iter().flatten() {
        for operation in family.table() {
            let Some(found) = operation.at(path) else { continue };
            if operation.verb.as_str() == method {
                return Lookup::Operation(found);
            }
            verbs.add(operation.verb);
        }
        if verbs != Verbs::default() {
            return Lookup::Other(verbs);
        }
    }
    Lookup::Nothing
}

/// The families to look into, in this order, and the path that it is there.
fn places(path: &str, anthropic: bool) -> [Option<(Family, &str)>; 2] {
    for family in [Family::OpenAi, Family::Anthropic, Family::Gemini] {
        if let Some(rest) = path.strip_prefix(family.prefix()).filter(|rest| rest.starts_with('/')) {
            return [Some((family, rest)), None];
        }
    }
    let (openai, anthropics) = ((Family::OpenAi, path), (Family::Anthropic, path));
    match (path.starts_with("/v1/"), anthropic) {
        (true, false) => [Some(openai), Some(anthropics)],
        (true, true) => [Some(anthropics), Some(openai)],
        (false, _) => [Some((Family::Gemini, path)), None],
    }
}

impl Operation {
    /// What `path` says for this operation, if it is its path.
    fn at<'p>(&'static self, path: &'p str) -> Option<Found<'p>> {
        let Some((before, behind)) = self.path.split_once("{model}") else {
            return matches(self.path, path).then_some(Found { operation: self, before: path, model: None, behind: "" });
        };
        let rest = path.strip_prefix(before)?;
        let (model, behind) = match behind.split_once("{id}") {
            None => rest.split_at_checked(rest.strip_suffix(behind)?.len())?,
            Some((between, _)) => {
                let at = rest.rfind(between)?;
                let id = rest.get(at.saturating_add(between.len())..)?;
                is_plain(id).then(|| rest.split_at_checked(at))??
            }
        };
        let fits = !model.is_empty() && model.len() <= ID_LIMIT;
        fits.then_some(Found { operation: self, before: path.get(..before.len())?, model: Some(model), behind })
    }
}

/// Whether `path` is one of `pattern`, whose segments are fixed but for ids.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) => {
                let fits = match wanted.strip_prefix("{id}") {
                    None => wanted == given,
                    Some(method) => given.strip_suffix(method).is_some_and(is_plain),
                };
                if !fits {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Whether a segment is nothing but a name: no escape, no dots that lead elsewhere.
fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= ID_LIMIT && id.bytes().all(plain) && !id.bytes().all(|byte| byte == b'.')
}
