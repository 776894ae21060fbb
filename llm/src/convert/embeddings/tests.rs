//! Both ways, through the public interface.

use super::*;

const STAMP: Stamp<'_> = Stamp { id: "mlx-1", created: 0, model: "embed" };

fn wanted(model: &str) -> Wanted<'_> {
    Wanted { model, dimensions: None }
}

fn asked(from: Dialect, body: &str, to: Dialect) -> (String, Shape, String) {
    let converted = request(from, body.as_bytes(), to, wanted("text-embedding")).unwrap().unwrap();
    (String::from_utf8(converted.body).unwrap(), converted.shape, converted.dropped.header())
}

fn answered(from: Dialect, body: &str, to: Dialect, shape: Shape) -> String {
    String::from_utf8(answer(from, body.as_bytes(), to, shape, &STAMP).unwrap().unwrap()).unwrap()
}

#[test]
fn openai_is_asked_of_gemini() {
    let body = r#"{"model":"x","input":["a \"b\"","c"],"dimensions":256,"encoding_format":"base64","user":"u","foo":1,"mlx:tags":{}}"#;
    let expected = concat!(
        r#"{"requests":[{"model":"models/text-embedding","content":{"parts":[{"text":"a \"b\""}]},"outputDimensionality":256},"#,
        r#"{"model":"models/text-embedding","content":{"parts":[{"text":"c"}]},"outputDimensionality":256}]}"#,
    );
    assert_eq!(asked(Dialect::OpenAiEmbeddings, body, Dialect::Gemini), (expected.to_owned(), Shape::Base64, "foo,user".to_owned()));
}

#[test]
fn gemini_is_asked_of_openai() {
    let single = r#"{"content":{"parts":[{"text":"a"},{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","output_dimensionality":9}"#;
    let expected = r#"{"model":"text-embedding","input":["a\nb"],"dimensions":9}"#;
    assert_eq!(asked(Dialect::Gemini, single, Dialect::OpenAiEmbeddings), (expected.to_owned(), Shape::Single, "taskType".to_owned()));
    let batch =
        r#"{"requests":[{"model":"models/x","content":{"parts":[{"text":"a"}]},"title":"t"},{"content":{"parts":[{"text":"b"}]}}]}"#;
    let expected = r#"{"model":"text-embedding","input":["a","b"]}"#;
    assert_eq!(asked(Dialect::Gemini, batch, Dialect::OpenAiEmbeddings), (expected.to_owned(), Shape::Numbers, "title".to_owned()));
}

#[test]
fn geminis_numbers_reach_a_caller_of_openai_as_written_or_as_base64() {
    let reply = r#"{"embeddings":[{"values":[1.0,-0.50]},{"values":[2e0]}],"usageMetadata":{"promptTokenCount":3}}"#;
    let tail = r#""model":"embed","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let numbers = answered(Dialect::Gemini, reply, Dialect::OpenAiEmbeddings, Shape::Numbers);
    let data = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-0.50]},{"object":"embedding","index":1,"embedding":[2e0]}],"#;
    assert_eq!(numbers, format!("{data}{tail}"));
    let base64 = answered(Dialect::Gemini, reply, Dialect::OpenAiEmbeddings, Shape::Base64);
    let data = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAL8="},{"object":"embedding","index":1,"embedding":"AAAAQA=="}],"#;
    assert_eq!(base64, format!("{data}{tail}"));
}

#[test]
fn openais_vectors_reach_a_caller_of_gemini_in_order_and_as_numbers() {
    let reply =
        r#"{"data":[{"index":1,"embedding":"AAAAQA=="},{"index":0,"embedding":[0.1250]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let expected = r#"{"embeddings":[{"values":[0.1250]},{"values":[2.0]}],"usageMetadata":{"promptTokenCount":5}}"#;
    assert_eq!(answered(Dialect::OpenAiEmbeddings, reply, Dialect::Gemini, Shape::Numbers), expected);
    let single = answered(Dialect::OpenAiEmbeddings, r#"{"data":[{"embedding":[1]}]}"#, Dialect::Gemini, Shape::Single);
    assert_eq!(single, r#"{"embedding":{"values":[1]}}"#);
}

#[test]
fn what_can_not_be_converted_is_refused_by_name() {
    for (from, body, expected) in [
        (Dialect::OpenAiEmbeddings, r#"{"input":[[1,2]]}"#, "`input` must be a text or a list of texts; ids of tokens can't be converted"),
        (Dialect::OpenAiEmbeddings, "{}", "`input` must be a text or a list of texts; ids of tokens can't be converted"),
        (Dialect::Gemini, "{}", "`content` must be an object"),
        (
            Dialect::Gemini,
            r#"{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":""}}]}}"#,
            "`content.parts` must be texts; nothing else can be embedded by another provider",
        ),
        (
            Dialect::Gemini,
            r#"{"requests":[{"content":{"parts":[]},"outputDimensionality":1},{"content":{"parts":[]}}]}"#,
            "`requests[1].outputDimensionality` must be the same in all requests",
        ),
    ] {
        assert_eq!(request(from, body.as_bytes(), Dialect::OpenAiEmbeddings, wanted("m")).unwrap().unwrap_err().to_string(), expected);
    }
    assert!(request(Dialect::OpenAiChat, b"{}", Dialect::Gemini, wanted("m")).is_none());
    let broken = answer(Dialect::Gemini, br#"{"embeddings":[{"values":["x"]}]}"#, Dialect::OpenAiEmbeddings, Shape::Base64, &STAMP);
    let expected = "`embedding` of the answer must be a list of finite numbers, or base64 of 32-bit floats";
    assert_eq!(broken.unwrap().unwrap_err().to_string(), expected);
}

#[test]
fn the_length_of_vectors_can_be_another_ones_to_say() {
    let wanted = Wanted { dimensions: Some(64), ..wanted("m") };
    let said = |from, body: &str, to| String::from_utf8(request(from, body.as_bytes(), to, wanted).unwrap().unwrap().body).unwrap();
    let openai = said(Dialect::Gemini, r#"{"content":{"parts":[{"text":"a"}]}}"#, Dialect::OpenAiEmbeddings);
    assert_eq!(openai, r#"{"model":"m","input":["a"],"dimensions":64}"#);
    let gemini = said(Dialect::OpenAiEmbeddings, r#"{"input":"a"}"#, Dialect::Gemini);
    assert!(gemini.contains(r#""outputDimensionality":64"#), "{gemini}");
}
