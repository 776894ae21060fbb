//! Gemini's `generateContent`, `streamGenerateContent` and, for what is converted to it, `embedContent` and `batchEmbedContents`.

use super::{EVENTS, piece};

pub(super) fn request(texts: &[String]) -> String {
    let (system, rest) = texts.split_first().map_or(("", texts), |(system, rest)| (system.as_str(), rest));
    let turns: Vec<String> = rest.iter().map(|text| format!(r#"{{"role":"user","parts":[{{"text":"{text}"}}]}}"#)).collect();
    format!(
        r#"{{"systemInstruction":{{"parts":[{{"text":"{system}"}}]}},"contents":[{}],"generationConfig":{{"temperature":0.7,"maxOutputTokens":256}}}}"#,
        turns.join(",")
    )
}

pub(super) fn answer(text: &str) -> String {
    generated(text, true, 96)
}

/// Twenty-three pieces of text, the last with the reason: a stream ends with its last event. Lines end as Google's do.
pub(super) fn events() -> Vec<String> {
    let last = EVENTS - 1;
    (0..EVENTS).map(|number| format!("data: {}\r\n\r\n", generated(&piece(number), number == last, 4 * (number + 1)))).collect()
}

/// Every event says what was consumed so far.
fn generated(text: &str, last: bool, output: usize) -> String {
    let finish = if last { r#","finishReason":"STOP""# } else { "" };
    let total = 210 + output;
    format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}}{finish},"index":0}}],"usageMetadata":{{"promptTokenCount":210,"candidatesTokenCount":{output},"totalTokenCount":{total},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":210}}]}},"modelVersion":"gemini-test","responseId":"kq3waKuFJ9f2nsEP"}}"#
    )
}

pub(super) fn embedding(in_list: bool, vector: &str) -> String {
    let one = format!(r#"{{"values":[{vector}]}}"#);
    let found = if in_list { format!(r#""embeddings":[{one}]"#) } else { format!(r#""embedding":{one}"#) };
    format!(r#"{{{found},"usageMetadata":{{"promptTokenCount":210,"promptTokenDetails":[{{"modality":"TEXT","tokenCount":210}}]}}}}"#)
}
