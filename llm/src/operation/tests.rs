//! Paths, bodies and reports as operations have them, and what is refused because it could be read in two ways.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::request::ReadRequestError;
use crate::stream::{StreamMeter, UsageEvents};

fn found<'p>(method: &str, path: &'p str) -> Found<'p> {
    match find(method, path, false) {
        Lookup::Operation(found) => found,
        other => panic!("{method} {path}: {other:?}"),
    }
}

fn read<'a>(method: &str, path: &str, content_type: Option<&str>, body: &'a str) -> Result<Asked<'a>, ReadRequestError> {
    Asked::read(&found(method, path), None, content_type, body.as_bytes())
}

fn rewritten(method: &str, path: &str, content_type: Option<&str>, body: &str, model: &str) -> String {
    let asked = read(method, path, content_type, body).expect("a body");
    let edited = asked.edits(Some(model)).apply(&Bytes::from(body.to_owned()));
    String::from_utf8(edited.to_vec()).expect("text")
}

const FORM: Option<&str> = Some("multipart/form-data; boundary=b1");

#[test]
fn every_operation_is_found_under_both_of_its_paths_and_by_its_own_method_only() {
    for operation in all() {
        let path = operation.path.replace("{id}", "id-1").replace("{model}", "m-1");
        let method = operation.verb.as_str();
        let prefixed = format!("{}{path}", operation.family.prefix());
        assert_eq!(found(method, &prefixed).operation, operation, "{method} {prefixed}");
        let Lookup::Operation(bare) = find(method, &path, operation.family == Family::Anthropic) else { panic!("{method} {path}") };
        assert_eq!(bare.operation, operation, "{method} {path}");
        assert_eq!(format!("{}{}{}", bare.before, bare.model.unwrap_or_default(), bare.behind), path);
        assert!(!matches!(find("PUT", &prefixed, false), Lookup::Operation(_)), "{prefixed}");
    }
}

#[test]
fn no_two_operations_have_one_name() {
    let mut names: Vec<_> = all().map(Operation::name).collect();
    names.sort();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before);
}

#[test]
fn what_is_free_neither_costs_tokens_nor_makes_a_model_work_later() {
    for operation in all() {
        let looks = matches!(operation.verb, Verb::Get | Verb::Delete);
        assert!(!looks || operation.cost == Cost::Free, "{}", operation.name());
        assert!(looks || operation.takes != Takes::Nothing, "{}", operation.name());
    }
}

#[test]
fn nothing_in_a_path_leads_elsewhere() {
    for path in [
        "/v1/files/..",
        "/v1/files/.",
        "/v1/files/",
        "/v1/files//content",
        "/v1/files/a%2fb",
        "/v1/files/a%00",
        "/v1/files/a/../../x",
        "/v1/files/a b",
        "/v1/files/ä",
        "/v1/files/a/contents",
        "/v1//files",
        "/V1/files",
        "//v1/files",
        "/openai//v1/files",
        "/openai/openai/v1/files",
        "/anthropic/v1/batches",
        "/gemini/v1/files",
        "/v1/realtime/sessions",
        "/v1/organization/users",
        "/v1beta/files/x:y:download",
    ] {
        assert_eq!(find("GET", path, false), Lookup::Nothing, "{path}");
    }
    let long = format!("/v1/files/{}", "a".repeat(257));
    assert_eq!(find("GET", &long, false), Lookup::Nothing);
}

#[test]
fn a_path_that_two_vendors_have_is_openais_unless_an_anthropic_client_asks() {
    assert_eq!(found("GET", "/v1/files").operation.family, Family::OpenAi);
    let Lookup::Operation(anthropics) = find("GET", "/v1/files", true) else { panic!("there is one") };
    assert_eq!(anthropics.operation.family, Family::Anthropic);
    assert_eq!(found("POST", "/v1/messages/batches").operation.family, Family::Anthropic);
}

#[test]
fn other_methods_of_a_path_are_named() {
    let Lookup::Other(verbs) = find("PUT", "/v1/files/a", false) else { panic!("there are others") };
    assert_eq!(verbs.to_string(), "GET or DELETE");
}

#[test]
fn a_model_in_a_path_may_have_a_provider_before_it() {
    let found = found("POST", "/v1beta/models/google/imagen-4:predict");
    assert_eq!((found.before, found.model, found.behind), ("/v1beta/models/", Some("google/imagen-4"), ":predict"));
    let found = super::tests::found("GET", "/gemini/v1beta/models/veo-3/operations/abc");
    assert_eq!((found.before, found.model, found.behind), ("/v1beta/models/", Some("veo-3"), "/operations/abc"));
}

#[test]
fn a_json_body_has_its_model_replaced_and_our_members_taken_out() {
    let body = r#"{"mlx:tags":{"a":"b"}, "prompt" : "x", "model":"sim/m" ,"n":2, "mlx:end_user":"u"}"#;
    let asked = read("POST", "/v1/images/generations", Some("application/json; charset=utf-8"), body).expect("a body");
    assert_eq!((asked.model.as_deref(), asked.choices, asked.extensions.end_user.as_deref()), (Some("sim/m"), 2, Some("u")));
    let sent = rewritten("POST", "/v1/images/generations", None, body, "m");
    assert_eq!(sent, r#"{"prompt" : "x", "model":"m" ,"n":2}"#);
}

#[test]
fn a_stream_of_texts_is_asked_for_its_usage_where_the_caller_does_not() {
    let path = "/v1/completions";
    let sent = rewritten("POST", path, None, r#"{"model":"a/m","stream":true}"#, "m");
    assert_eq!(sent, r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#);
    let asks = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(rewritten("POST", path, None, asks, "m"), asks);
    assert_eq!(read("POST", path, None, asks).expect("a body").usage_events(), UsageEvents::ForwardWhole);
}

#[test]
fn completions_of_many_prompts_are_so_many_answers() {
    let choices = |body: &str| read("POST", "/v1/completions", None, body).expect("a body").choices;
    assert_eq!(choices(r#"{"prompt":["a","b","c"],"n":2,"best_of":4}"#), 12);
    assert_eq!(choices(r#"{"prompt":[1,2,3]}"#), 1);
    assert_eq!(choices(r#"{"prompt":[[1,2],[3]]}"#), 2);
    assert_eq!(choices(r#"{"prompt":[]}"#), 1);
}

#[test]
fn a_batch_has_one_model_wherever_it_is_named() {
    let path = "/v1/messages/batches";
    let body = r#"{"requests":[{"custom_id":"1","params":{"model":"c/m","max_tokens":5}},{"params":{"max_tokens":1,"model":"c/m"}}]}"#;
    assert_eq!(rewritten("POST", path, None, body, "m"), body.replace("c/m", "m"));
    let two = body.replacen("c/m", "c/n", 1);
    assert_eq!(read("POST", path, None, &two).err(), Some(ReadRequestError::SeveralModels));
    let twice = r#"{"requests":[{"params":{"model":"a","model":"a"}}]}"#;
    assert!(matches!(read("POST", path, None, twice), Err(ReadRequestError::Duplicate { .. })));
}

#[test]
fn geminis_batches_and_caches_name_models_in_their_own_way() {
    let body = r#"{"batch":{"model":"models/g","inputConfig":{"requests":{"requests":[{"request":{"model":"models/g","contents":[]}}]}}}}"#;
    let (path, bytes) = ("/v1beta/models/google%2Fg:batchGenerateContent", Bytes::from(body));
    let asked = Asked::read(&found("POST", path), Some("g"), None, &bytes).expect("a body");
    assert_eq!(asked.model.as_deref(), Some("g"));
    assert_eq!(asked.edits(Some("h")).apply(&bytes), body.replace("models/g", "models/h"));
    assert_eq!(Asked::read(&found("POST", path), Some("x"), None, &bytes).err(), Some(ReadRequestError::SeveralModels));
    let cached = rewritten("POST", "/v1beta/cachedContents", None, r#"{"model":"models/google/g","ttl":"60s"}"#, "g");
    assert_eq!(cached, r#"{"model":"models/g","ttl":"60s"}"#);
}

/// A form with these parts, each with the lines of its head.
fn form(parts: &[(&str, &str)]) -> String {
    let parts = parts.iter().map(|(head, value)| format!("--b1\r\n{head}\r\n\r\n{value}\r\n"));
    format!("{}--b1--\r\n", parts.collect::<String>())
}

const FILE: (&str, &str) = (
    "Content-Disposition: form-data; name=\"file\"; filename=\"a; name=\\\"model\\\".mp3\"\r\nContent-Type: audio/mpeg",
    "\0\r\n--b\r\n\u{1}",
);
const MODEL: (&str, &str) = ("content-disposition: form-data; name=\"model\"", "sim/whisper");

#[test]
fn a_form_has_its_model_replaced_and_every_other_byte_kept() {
    let body = form(&[FILE, MODEL, ("Content-Disposition: form-data; name=timestamp_granularities[]", "")]);
    let path = "/v1/audio/transcriptions";
    assert_eq!(read("POST", path, FORM, &body).expect("a form").model.as_deref(), Some("sim/whisper"));
    assert_eq!(rewritten("POST", path, FORM, &body, "w"), body.replace("sim/whisper", "w"));
    assert_eq!(
        rewritten("POST", path, Some("Multipart/Form-Data; charset=utf-8; boundary=\"b1\""), &body, "w"),
        body.replace("sim/whisper", "w")
    );
}

#[test]
fn a_form_that_two_readers_could_understand_in_two_ways_is_refused() {
    let cases = [
        form(&[MODEL, MODEL]),
        form(&[("Content-Disposition: form-data; name=\"model\"; name=\"other\"", "x")]),
        form(&[("Content-Disposition: form-data; name*=UTF-8''model", "x")]),
        form(&[("Content-Disposition: form-data; name=\"mo\\del\"", "x")]),
        form(&[("Content-Disposition: form-data; name=\"model\"; filename=\"m\"", "x")]),
        form(&[("Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64", "eA==")]),
        form(&[("Content-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain; charset=utf-16", "x")]),
        form(&[("Content-Disposition: form-data;\r\n name=\"model\"", "x")]),
        form(&[("Content-Disposition: attachment; name=\"model\"", "x")]),
        form(&[("Content-Type: text/plain", "x")]),
        form(&[("Content-Disposition: form-data; name=\"mlx:tags\"", "x")]),
        format!("preamble\r\n{}", form(&[MODEL])),
        format!("{}--b1\r\n{}\r\n\r\ny\r\n--b1--", form(&[MODEL]), MODEL.0),
        form(&[MODEL]).replace("--b1--", "--b1x\r\n--b1--"),
        form(&[MODEL]).replace("--b1--\r\n", ""),
        form(&[MODEL]).replace("\r\n", "\n"),
        "--b1".to_owned(),
        "{}".to_owned(),
    ];
    for body in cases {
        let read = read("POST", "/v1/audio/transcriptions", FORM, &body);
        let refused = matches!(read, Err(ReadRequestError::Form { .. } | ReadRequestError::Duplicate { .. }));
        assert!(refused, "{read:?}: {body}");
    }
    for content_type in
        ["multipart/form-data", "multipart/form-data; boundary=a; boundary=b1", "multipart/form-data; boundary=\"\"", "text/plain"]
    {
        assert!(read("POST", "/v1/audio/transcriptions", Some(content_type), &form(&[MODEL])).is_err(), "{content_type}");
    }
}

#[test]
fn a_body_of_another_kind_than_the_operation_takes_is_refused() {
    let json = r#"{"model":"m"}"#;
    for content_type in ["text/plain", "multipart/form-data; boundary=b1", "application/x-www-form-urlencoded"] {
        assert!(matches!(read("POST", "/v1/completions", Some(content_type), json), Err(ReadRequestError::ContentType { .. })));
    }
    assert!(matches!(read("POST", "/v1/files", Some("application/json"), json), Err(ReadRequestError::ContentType { .. })));
    assert_eq!(read("DELETE", "/v1/files/a", None, json).err(), Some(ReadRequestError::NoBody));
    assert!(read("POST", "/v1/batches/b/cancel", None, "").is_ok());
    assert!(read("POST", "/upload/v1beta/files", Some("image/png"), "\u{1}").is_ok());
    for twice in [r#"{"model":"a","model":"b"}"#, r#"{"model":"a","mod\u0065l":"b"}"#] {
        assert!(matches!(read("POST", "/v1/completions", None, twice), Err(ReadRequestError::Duplicate { .. })), "{twice}");
    }
}

#[test]
fn reports_are_read_by_all_their_names() {
    let images = br#"{"created":1,"data":[{"b64_json":"\"usage\":{}"}],"usage":{"total_tokens":130,"input_tokens":30,"output_tokens":100,"input_tokens_details":{"text_tokens":10,"image_tokens":20}}}"#;
    let usage = usage::read(images).expect("readable").expect("a report");
    assert_eq!(
        (usage.input_tokens, usage.input_image_tokens, usage.output_tokens, usage.output_image_tokens),
        (Some(30), Some(20), Some(100), None)
    );
    let sound = br#"{"text":"x","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":14},"output_tokens":4,"total_tokens":18}}"#;
    assert_eq!(usage::read(sound).expect("readable").expect("a report").input_audio_tokens, Some(14));
    let text = br#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    assert_eq!(usage::read(text).expect("readable").expect("a report").output_tokens, Some(2));
    for none in [&br#"{"text":"x","usage":{"type":"duration","seconds":9}}"#[..], br#"{"text":"x"}"#] {
        assert_eq!(usage::read(none).expect("readable"), None);
    }
}

#[test]
fn a_stream_of_texts_keeps_the_report_that_nobody_asked_for_to_itself() {
    let text = "data: {\"choices\":[{\"text\":\"hello\"}]}\n\n";
    let report = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"total_tokens\":10}}\n\n";
    let (mut meter, mut forward) = (StreamMeter::of_operation(UsageEvents::Withhold), Vec::new());
    meter.push(Bytes::from(format!("{text}{report}data: [DONE]\n\n")), &mut forward);
    assert_eq!(forward.concat(), format!("{text}data: [DONE]\n\n").into_bytes());
    let outcome = meter.finish();
    assert!(outcome.done && outcome.report_stands);
    assert_eq!((outcome.output_bytes, outcome.reported.and_then(|usage| usage.input_tokens)), (5, Some(9)));
}

proptest! {
    #[test]
    fn no_path_and_no_body_makes_a_reader_panic_and_what_is_found_is_what_came(
        path in "(/openai|/gemini|/anthropic|/upload)?/v1(beta)?/[a-z_{}:./%-]{0,40}",
        body in "[\\{\\}\\[\\]\",:a-z0-9 \r\n-]{0,200}",
    ) {
        for method in ["GET", "POST", "DELETE"] {
            if let Lookup::Operation(found) = find(method, &path, false) {
                let whole = [found.before, found.model.unwrap_or_default(), found.behind].concat();
                prop_assert!(path.ends_with(&whole));
                for content_type in [None, FORM] {
                    drop(Asked::read(&found, found.model, content_type, body.as_bytes()));
                }
            }
        }
        drop(form::parts(body.as_bytes(), "b1"));
    }
}
