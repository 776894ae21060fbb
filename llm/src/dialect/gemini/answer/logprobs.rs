//! Log probabilities: Gemini's `logprobsResult` and OpenAI's list of tokens. Numbers stay as written.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::convert::Json;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiResult<'a> {
    #[serde(borrow, default, alias = "chosen_candidates")]
    chosen_candidates: Vec<GeminiToken<'a>>,
    #[serde(borrow, default, alias = "top_candidates")]
    top_candidates: Vec<GeminiTop<'a>>,
}

#[derive(Default, Deserialize, Serialize)]
struct GeminiTop<'a> {
    #[serde(borrow, default)]
    candidates: Vec<GeminiToken<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiToken<'a> {
    #[serde(borrow, default)]
    token: Cow<'a, str>,
    #[serde(borrow, alias = "log_probability")]
    log_probability: &'a RawValue,
}

#[derive(Deserialize, Serialize)]
struct OpenAiResult<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<OpenAiToken<'a>>>,
}

#[derive(Deserialize, Serialize)]
struct OpenAiToken<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    logprob: &'a RawValue,
    #[serde(skip_deserializing)]
    bytes: Vec<u8>,
    #[serde(borrow, default)]
    top_logprobs: Vec<OpenAiAlternative<'a>>,
}

#[derive(Deserialize, Serialize)]
struct OpenAiAlternative<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    logprob: &'a RawValue,
    #[serde(skip_deserializing)]
    bytes: Vec<u8>,
}

/// As OpenAI says it; `None` where there is nothing to say.
pub(in crate::dialect::gemini) fn to_openai(result: &RawValue) -> Option<Json<'static>> {
    let result: GeminiResult<'_> = serde_json::from_str(result.get()).ok()?;
    let mut tops = result.top_candidates.into_iter();
    let content: Vec<OpenAiToken<'_>> = result
        .chosen_candidates
        .into_iter()
        .map(|GeminiToken { token, log_probability }| OpenAiToken {
            bytes: token.as_bytes().to_vec(),
            token,
            logprob: log_probability,
            top_logprobs: tops.next().unwrap_or_default().candidates.into_iter().map(to_alternative).collect(),
        })
        .collect();
    if content.is_empty() {
        return None;
    }
    to_raw_value(&OpenAiResult { content: Some(content) }).ok().map(Cow::Owned)
}

fn to_alternative(GeminiToken { token, log_probability }: GeminiToken<'_>) -> OpenAiAlternative<'_> {
    OpenAiAlternative { bytes: token.as_bytes().to_vec(), token, logprob: log_probability }
}

/// As Gemini says it; `None` where there is nothing to say.
pub(in crate::dialect::gemini) fn from_openai(result: &RawValue) -> Option<Box<RawValue>> {
    let result: OpenAiResult<'_> = serde_json::from_str(result.get()).ok()?;
    let (mut chosen_candidates, mut top_candidates) = (Vec::new(), Vec::new());
    for OpenAiToken { token, logprob, top_logprobs, .. } in result.content? {
        chosen_candidates.push(GeminiToken { token, log_probability: logprob });
        let candidates = top_logprobs.into_iter().map(|top| GeminiToken { token: top.token, log_probability: top.logprob });
        top_candidates.push(GeminiTop { candidates: candidates.collect() });
    }
    to_raw_value(&GeminiResult { chosen_candidates, top_candidates }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_go_there_and_back_with_numbers_as_written() {
        let gemini = r#"{"chosenCandidates":[{"token":"Hé","logProbability":-0.10}],"topCandidates":[{"candidates":[{"token":"Ho","logProbability":-1e-7}]}]}"#;
        let raw: &RawValue = serde_json::from_str(gemini).unwrap();
        let openai = to_openai(raw).unwrap();
        let expected = r#"{"content":[{"token":"Hé","logprob":-0.10,"bytes":[72,195,169],"top_logprobs":[{"token":"Ho","logprob":-1e-7,"bytes":[72,111]}]}]}"#;
        assert_eq!(openai.get(), expected);
        assert_eq!(from_openai(&openai).unwrap().get(), gemini);
    }
}
