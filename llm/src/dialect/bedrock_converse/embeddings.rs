//! Models that embed, invoked in their own words: Amazon's Titan and Cohere's Embed. `Converse` takes neither.
//!
//! Whose words a model takes is known by its name, as a base model, an inference profile of AWS's or the ARN of either; the name of a profile
//! that a customer made does not say. An answer says itself whose it is.
//!
//! Cohere wants to know what vectors are for and has no default. A caller says so by Cohere's own `input_type` in OpenAI's dialect, and by
//! `taskType` in Gemini's; for who says nothing, texts are embedded as such that will be searched.
//!
//! Leaves out: pictures, and vectors of other numbers than floats.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    convert::{
        Dropped, Feature, Members, ReadAnswerError,
        embeddings::{EmbeddingAnswer, EmbeddingRequest, Vector, VectorError},
        text_of, writing,
    },
    dialect::Dialect,
    request::ReadRequestError,
    usage::Usage,
};

/// What texts are embedded for where nobody says.
const TO_BE_SEARCHED: &str = "search_document";

/// What a request of several texts would have to be for a model that takes one.
const ONE_TEXT: &str = "one text, because this model embeds one at a time; send a request for each, or choose another model";

/// Whose words a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    Titan,
    Cohere,
}

impl Words {
    fn of(model: &str) -> Option<Self> {
        let known = [("titan-embed", Self::Titan), ("cohere.embed", Self::Cohere)];
        known.into_iter().find_map(|(part, words)| model.contains(part).then_some(words))
    }

    /// The member by which the model takes the length of vectors; the first of each kind have one length.
    fn dimensions(self, model: &str) -> Option<&'static str> {
        match self {
            Self::Titan => model.contains("titan-embed-text-v2").then_some("dimensions"),
            Self::Cohere => (!model.contains("-v3")).then_some("output_dimension"),
        }
    }
}

/// How long vectors shall be: member and number.
type Dimensions = Option<(&'static str, u32)>;

/// Whether the model of this name makes vectors, as far as its name says.
#[must_use]
pub fn embeds(model: &str) -> bool {
    Words::of(model).is_some()
}

/// Writes the request body for `model` on behalf of a caller who speaks `from`; `None` where its words are not known.
pub(crate) fn write_request(
    request: &mut EmbeddingRequest<'_>,
    from: Dialect,
    model: &str,
    dropped: &mut Dropped,
) -> Option<Result<Vec<u8>, ReadRequestError>> {
    let words = Words::of(model)?;
    if request.end_user.is_some() {
        dropped.note(Feature::EndUser);
    }
    let dimensions = words.dimensions(model).zip(request.dimensions);
    if dimensions.is_none() && request.dimensions.is_some() {
        dropped.note(Feature::Dimensions);
    }
    Some(match words {
        Words::Titan => write_titan(request, from, dimensions),
        Words::Cohere => Ok(write_cohere(request, from, dimensions)),
    })
}

fn write_titan(request: &EmbeddingRequest<'_>, from: Dialect, dimensions: Dimensions) -> Result<Vec<u8>, ReadRequestError> {
    let [text] = request.inputs.as_slice() else {
        let field = if from == Dialect::Gemini { "requests" } else { "input" };
        return Err(ReadRequestError::WrongType { field: field.to_owned(), expected: ONE_TEXT });
    };
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member("inputText", text);
        if let Some((member, number)) = dimensions {
            body.member(member, number);
        }
    });
    Ok(out)
}

fn write_cohere(request: &mut EmbeddingRequest<'_>, from: Dialect, dimensions: Dimensions) -> Vec<u8> {
    let purpose = take_purpose(request, from).unwrap_or(Cow::Borrowed(TO_BE_SEARCHED));
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member("texts", &request.inputs).member("input_type", &*purpose);
        if let Some((member, number)) = dimensions {
            body.member(member, number);
        }
    });
    out
}

/// Takes out what the vectors are for, in Cohere's words. One request has one purpose: where the requests of a batch differ, none is taken.
fn take_purpose(request: &mut EmbeddingRequest<'_>, from: Dialect) -> Option<Cow<'static, str>> {
    let (member, times) = if from == Dialect::Gemini { ("taskType", request.inputs.len()) } else { ("input_type", 1) };
    let said = request.others.iter().filter(|(name, _)| *name == member);
    let said: Vec<Cow<'_, str>> = said.filter_map(|(_, value)| text_of(value)).collect();
    let first = said.first().filter(|first| said.len() == times && said.iter().all(|word| word == *first))?;
    let purpose = if from == Dialect::Gemini { Cow::Borrowed(purpose_of(first)?) } else { Cow::Owned(first.to_string()) };
    request.others.retain(|(name, _)| *name != member);
    Some(purpose)
}

/// Cohere's word for a task of Gemini's.
fn purpose_of(task: &str) -> Option<&'static str> {
    Some(match task {
        "RETRIEVAL_DOCUMENT" => TO_BE_SEARCHED,
        "RETRIEVAL_QUERY" | "QUESTION_ANSWERING" | "FACT_VERIFICATION" | "CODE_RETRIEVAL_QUERY" => "search_query",
        "CLASSIFICATION" => "classification",
        "CLUSTERING" => "clustering",
        _ => return None,
    })
}

/// Reads an answer: one vector of Titan's, or Cohere's list of them. Only Titan's says how many tokens went in; the head of either may.
pub(crate) fn read_answer(body: &[u8]) -> Result<EmbeddingAnswer<'_>, ReadAnswerError> {
    let mut members = Members::read("", body)?;
    if let Some(vector) = members.take("embedding") {
        let vector = read_vector(vector).ok_or_else(|| members.wrong("embedding", VectorError::EXPECTED))?;
        let usage = members.count("inputTextTokenCount")?.map(|tokens| Usage::of_input(tokens.into()));
        return Ok(EmbeddingAnswer { vectors: vec![vector], usage });
    }
    let listed = members.take("embeddings").ok_or_else(|| members.wrong("embeddings", "an array"))?;
    let vectors = read_list(listed)?.into_iter().map(read_vector).collect::<Option<Vec<_>>>();
    let vectors = vectors.filter(|vectors| !vectors.is_empty()).ok_or_else(|| members.wrong("embeddings", "an array of vectors"))?;
    Ok(EmbeddingAnswer { vectors, usage: None })
}

/// A list, or lists by what their numbers are.
fn read_list(listed: &RawValue) -> Result<Vec<&RawValue>, ReadRequestError> {
    if listed.get().starts_with('{') {
        let mut kinds = Members::read("embeddings", listed.get().as_bytes())?;
        return kinds.array("float")?.ok_or_else(|| kinds.wrong("float", "an array"));
    }
    let expected = "an array, or an object with arrays";
    serde_json::from_str(listed.get()).map_err(|_| ReadRequestError::WrongType { field: "embeddings".to_owned(), expected })
}

/// Neither of the two writes vectors in base64.
fn read_vector(json: &RawValue) -> Option<Vector<'_>> {
    Vector::read(json).filter(|vector| matches!(vector, Vector::Numbers(_)))
}
