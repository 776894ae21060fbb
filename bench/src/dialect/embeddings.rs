//! OpenAI's `POST /v1/embeddings`: one text in, one vector out, in numbers.

/// Of OpenAI's smaller model.
const DIMENSIONS: u32 = 1_536;

pub(super) fn request(model: &str, texts: &[String]) -> String {
    format!(r#"{{"model":"{model}","input":"{}","encoding_format":"float"}}"#, texts.concat())
}

pub(super) fn answer() -> String {
    format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{}]}}],"model":"embedding-test","usage":{{"prompt_tokens":210,"total_tokens":210}}}}"#,
        vector()
    )
}

/// Numbers as they come: a sign every other time, as many digits as a 32-bit float has.
pub(super) fn vector() -> String {
    let number = |at: u32| {
        let sign = if at.is_multiple_of(2) { "-" } else { "" };
        format!("{sign}0.{:08}", at.wrapping_mul(2_654_435_761) % 10_000_000)
    };
    (0..DIMENSIONS).map(number).collect::<Vec<_>>().join(",")
}
