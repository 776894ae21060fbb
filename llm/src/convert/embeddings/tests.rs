//! Both ways, through the public interface.

use super::*;

const STAMP: Stamp<'_> = Stamp { id: "mlx-1", created: 0, model: "embed" };

fn wanted(model: &str) -> Wanted<'_> {
    Wanted { model, dimensions: None }
}

fn awaited(shape: Shape) -> Awaited {
    Awaited { shape, input_tokens: None }
}

fn asked(from: Dialect, body: &str, to: Dialect) -> (String, Shape, String) {
    let converted = request(from, body.as_bytes(), to, wanted("text-embedding")).unwrap().unwrap();
    (String::from_utf8(converted.body).unwrap(), converted.shape, converted.dropped.header())
}

fn answered(from: Dialect, body: &str, to: Dialect, shape: Shape) -> String {
    String::from_utf8(answer(from, body.as_bytes(), to, awaited(shape), &STAMP).unwrap().unwrap()).unwrap()
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
    let broken =
        answer(Dialect::Gemini, br#"{"embeddings":[{"values":["x"]}]}"#, Dialect::OpenAiEmbeddings, awaited(Shape::Base64), &STAMP);
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

const TITAN: &str = "amazon.titan-embed-text-v2:0";

fn asked_of_bedrock(from: Dialect, body: &str, model: &str) -> Result<(String, String), String> {
    let converted = request(from, body.as_bytes(), Dialect::BedrockConverse, wanted(model)).expect("a model that embeds");
    let converted = converted.map_err(|error| error.to_string())?;
    Ok((String::from_utf8(converted.body).unwrap(), converted.dropped.header()))
}

#[test]
fn models_on_bedrock_are_asked_in_the_words_of_who_made_them() {
    let sized = r#"{"model":"x","input":"a","dimensions":256,"user":"u","encoding_format":"base64"}"#;
    let two = r#"{"model":"x","input":["a","b \"c\""],"dimensions":512,"input_type":"search_query"}"#;
    for (model, body, expected, dropped) in [
        (TITAN, sized, r#"{"inputText":"a","dimensions":256}"#, "user"),
        ("amazon.titan-embed-text-v1", sized, r#"{"inputText":"a"}"#, "dimensions,user"),
        ("amazon.titan-embed-g1-text-02", r#"{"input":["a"]}"#, r#"{"inputText":"a"}"#, ""),
        ("cohere.embed-english-v3", two, r#"{"texts":["a","b \"c\""],"input_type":"search_query"}"#, "dimensions"),
        ("us.cohere.embed-v4:0", two, r#"{"texts":["a","b \"c\""],"input_type":"search_query","output_dimension":512}"#, ""),
        ("cohere.embed-multilingual-v3", r#"{"input":"a"}"#, r#"{"texts":["a"],"input_type":"search_document"}"#, ""),
    ] {
        let found = asked_of_bedrock(Dialect::OpenAiEmbeddings, body, model);
        assert_eq!(found, Ok((expected.to_owned(), dropped.to_owned())), "{model}");
    }
    let unknown = "arn:aws:bedrock:us-east-1:1:application-inference-profile/ab";
    assert!(request(Dialect::OpenAiEmbeddings, br#"{"input":"a"}"#, Dialect::BedrockConverse, wanted(unknown)).is_none());
}

#[test]
fn a_caller_of_gemini_says_by_a_task_what_vectors_on_bedrock_are_for() {
    let one = |task: &str| format!(r#"{{"content":{{"parts":[{{"text":"a"}}]}},"outputDimensionality":256,"taskType":"{task}"}}"#);
    let asked = |body: &str| asked_of_bedrock(Dialect::Gemini, body, "cohere.embed-v4:0").unwrap();
    let written = |texts: &str, purpose: &str| format!(r#"{{"texts":{texts},"input_type":"{purpose}","output_dimension":256}}"#);
    for (task, purpose, dropped) in
        [("RETRIEVAL_QUERY", "search_query", ""), ("CLUSTERING", "clustering", ""), ("SEMANTIC_SIMILARITY", "search_document", "taskType")]
    {
        assert_eq!(asked(&one(task)), (written(r#"["a"]"#, purpose), dropped.to_owned()), "{task}");
    }
    for (second, purpose, dropped) in [("CLASSIFICATION", "classification", ""), ("CLUSTERING", "search_document", "taskType")] {
        let batch = format!(r#"{{"requests":[{},{}]}}"#, one("CLASSIFICATION"), one(second));
        assert_eq!(asked(&batch), (written(r#"["a","a"]"#, purpose), dropped.to_owned()), "{second}");
    }
    let (titan, dropped) = asked_of_bedrock(Dialect::Gemini, &one("CLUSTERING"), "amazon.titan-embed-text-v1").unwrap();
    assert_eq!((&*titan, &*dropped), (r#"{"inputText":"a"}"#, "outputDimensionality,taskType"));
}

#[test]
fn a_model_that_takes_one_text_is_asked_for_no_more_and_none_is_lost() {
    let several = asked_of_bedrock(Dialect::OpenAiEmbeddings, r#"{"input":["a","b"]}"#, TITAN).unwrap_err();
    assert!(several.starts_with("`input` must be one text") && several.contains("send a request for each"), "{several}");
    let batch = r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}"#;
    assert!(asked_of_bedrock(Dialect::Gemini, batch, TITAN).unwrap_err().starts_with("`requests` must be one text"));
    assert!(asked_of_bedrock(Dialect::OpenAiEmbeddings, r#"{"input":[]}"#, TITAN).is_err());
}

#[test]
fn vectors_from_bedrock_reach_callers_as_written_with_the_count_that_the_body_or_else_the_head_says() {
    let titan = r#"{"embedding":[1.0,-0.50],"inputTextTokenCount":3,"embeddingsByType":{"float":[1.0,-0.50]}}"#;
    let found = answered(Dialect::BedrockConverse, titan, Dialect::OpenAiEmbeddings, Shape::Base64);
    let data = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAL8="}],"#;
    assert_eq!(found, format!(r#"{data}"model":"embed","usage":{{"prompt_tokens":3,"total_tokens":3}}}}"#));
    let single = answered(Dialect::BedrockConverse, titan, Dialect::Gemini, Shape::Single);
    assert_eq!(single, r#"{"embedding":{"values":[1.0,-0.50]},"usageMetadata":{"promptTokenCount":3}}"#);
    for cohere in [
        r#"{"id":"x","embeddings":[[0.10],[2e0]],"response_type":"embeddings_floats","texts":["a","b"]}"#,
        r#"{"id":"x","embeddings":{"int8":[[1],[2]],"float":[[0.10],[2e0]]},"response_type":"embeddings_by_type","texts":["a","b"]}"#,
    ] {
        let known = Awaited { input_tokens: Some(7), ..awaited(Shape::Numbers) };
        let found = answer(Dialect::BedrockConverse, cohere.as_bytes(), Dialect::Gemini, known, &STAMP).unwrap().unwrap();
        let expected = r#"{"embeddings":[{"values":[0.10]},{"values":[2e0]}],"usageMetadata":{"promptTokenCount":7}}"#;
        assert_eq!(String::from_utf8(found).unwrap(), expected);
    }
    let titan = Awaited { input_tokens: Some(7), ..awaited(Shape::Single) };
    let body = br#"{"embedding":[1],"inputTextTokenCount":3}"#;
    let found = answer(Dialect::BedrockConverse, body, Dialect::Gemini, titan, &STAMP).unwrap().unwrap();
    assert_eq!(String::from_utf8(found).unwrap(), r#"{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":3}}"#);
    for none in ["{}", r#"{"embedding":"x"}"#, r#"{"embeddings":[1]}"#, r#"{"embeddings":[]}"#, r#"{"embeddings":{"int8":[[1]]}}"#] {
        let read = answer(Dialect::BedrockConverse, none.as_bytes(), Dialect::Gemini, awaited(Shape::Numbers), &STAMP).unwrap();
        assert!(read.is_err(), "{none}");
    }
}

#[test]
fn what_titan_counted_is_its_usage_and_nothing_else_is() {
    let usage = |reply: &str| Dialect::BedrockConverse.read_usage(reply.as_bytes());
    assert_eq!(usage(r#"{"embedding":[1],"inputTextTokenCount":3}"#), Ok(Some(Usage::of_input(3))));
    assert_eq!(usage(r#"{"inputTextTokenCount":0,"embedding":[1]}"#), Ok(Some(Usage::of_input(0))));
    assert_eq!(usage(r#"{"embeddings":[[1]],"texts":["\"inputTextTokenCount\":3"]}"#), Ok(None));
    assert!(usage(r#"{"embedding":[1],"inputTextTokenCount":-1}"#).is_err());
    assert!(Usage::of_input(3).is_complete());
}
