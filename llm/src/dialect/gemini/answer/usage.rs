//! `usageMetadata`. Thoughts are counted beside the candidates and cached input within the prompt; what tools of Google's put in is
//! input beside the prompt. Zeros are left out, as Google's JSON does; the total tells them from what is not known.

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::fields::Fields;
use crate::usage::Usage;

/// Reads a report; what is no count is as good as absent here, where nothing is billed by it.
pub(super) fn read_usage(mut report: Fields<'_>) -> Usage {
    let mut count = |name: &str| report.take(name).ok().flatten().and_then(|value| value.get().parse::<u64>().ok());
    let (prompt, tools) = (count("promptTokenCount"), count("toolUsePromptTokenCount"));
    let (candidates, thoughts) = (count("candidatesTokenCount"), count("thoughtsTokenCount"));
    let cached = count("cachedContentTokenCount");
    let total = count("totalTokenCount");
    let input_tokens = prompt.or(tools).map(|_| prompt.unwrap_or(0).saturating_add(tools.unwrap_or(0)));
    let rest = input_tokens.unwrap_or(0).saturating_add(thoughts.unwrap_or(0));
    let spoken = candidates.or_else(|| (total == Some(rest)).then_some(0));
    Usage {
        input_tokens,
        cached_input_tokens: cached,
        cache_write_tokens: None,
        cache_write_1h_tokens: None,
        input_audio_tokens: read_sound(&mut report, "promptTokensDetails"),
        output_tokens: spoken.map(|spoken| spoken.saturating_add(thoughts.unwrap_or(0))),
        reasoning_tokens: thoughts,
        output_audio_tokens: read_sound(&mut report, "candidatesTokensDetails"),
        input_image_tokens: None,
        output_image_tokens: None,
        total_tokens: total,
    }
}

fn read_sound(report: &mut Fields<'_>, name: &str) -> Option<u64> {
    let sound = |detail: &RawValue| {
        let mut detail = Fields::read(name, detail).ok()?;
        let is_sound = detail.text("modality").ok()??.as_ref() == "AUDIO";
        detail.take("tokenCount").ok()?.filter(|_| is_sound)?.get().parse::<u64>().ok()
    };
    report.list(name).ok()?.into_iter().find_map(sound)
}

/// `usageMetadata`; absent counts are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect::gemini) struct UsageBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<[DetailBody; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates_tokens_details: Option<[DetailBody; 2]>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DetailBody {
    modality: &'static str,
    token_count: u64,
}

impl From<&Usage> for UsageBody {
    fn from(usage: &Usage) -> Self {
        // A report that adds up is cut by its own total, which tells whether its output has the reasoning in it.
        let text = usage.buckets().map(|buckets| buckets.output);
        let candidates = usage.output_tokens.map(|output| text.unwrap_or(output.saturating_sub(usage.reasoning_tokens.unwrap_or(0))));
        let total =
            usage.total_tokens.or_else(|| usage.input_tokens.zip(usage.output_tokens).map(|(input, output)| input.saturating_add(output)));
        Self {
            prompt_token_count: usage.input_tokens,
            cached_content_token_count: usage.cached_input_tokens,
            candidates_token_count: candidates,
            thoughts_token_count: usage.reasoning_tokens,
            total_token_count: total,
            prompt_tokens_details: details(usage.input_tokens, usage.input_audio_tokens),
            candidates_tokens_details: details(candidates, usage.output_audio_tokens),
        }
    }
}

fn details(all: Option<u64>, sound: Option<u64>) -> Option<[DetailBody; 2]> {
    let (all, sound) = all.zip(sound)?;
    let text = DetailBody { modality: "TEXT", token_count: all.saturating_sub(sound) };
    Some([text, DetailBody { modality: "AUDIO", token_count: sound }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(report: &str) -> Usage {
        read_usage(Fields::read_body(report.as_bytes()).unwrap())
    }

    #[test]
    fn thoughts_and_tools_are_added_and_cached_input_is_not() {
        let usage = read(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":7,"candidatesTokenCount":20,"thoughtsTokenCount":30,"totalTokenCount":157}"#,
        );
        let expected = Usage {
            input_tokens: Some(107),
            cached_input_tokens: Some(60),
            output_tokens: Some(50),
            reasoning_tokens: Some(30),
            total_tokens: Some(157),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!(usage.buckets().unwrap().sum(), 157);
    }

    #[test]
    fn absent_stays_absent_and_zero_stays_zero() {
        assert_eq!(read("{}"), Usage::default());
        let zero = read(r#"{"promptTokenCount":9,"thoughtsTokenCount":0,"totalTokenCount":9}"#);
        assert_eq!((zero.cached_input_tokens, zero.output_tokens, zero.reasoning_tokens), (None, Some(0), Some(0)));
        assert_eq!(read(r#"{"promptTokenCount":9}"#).output_tokens, None);
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let usage = Usage {
            input_tokens: Some(107),
            cached_input_tokens: Some(0),
            input_audio_tokens: Some(7),
            output_tokens: Some(50),
            reasoning_tokens: Some(30),
            output_audio_tokens: Some(4),
            total_tokens: Some(157),
            ..Usage::default()
        };
        assert_eq!(read(&serde_json::to_string(&UsageBody::from(&usage)).unwrap()), usage);
    }

    #[test]
    fn reasoning_that_another_provider_counts_apart_is_not_taken_off_the_output() {
        let apart = Usage {
            input_tokens: Some(10),
            output_tokens: Some(5),
            reasoning_tokens: Some(20),
            total_tokens: Some(35),
            ..Usage::default()
        };
        let body = UsageBody::from(&apart);
        assert_eq!((body.candidates_token_count, body.thoughts_token_count), (Some(5), Some(20)));
    }
}
