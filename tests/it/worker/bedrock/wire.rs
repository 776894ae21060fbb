//! What Bedrock checks and sends: signatures, made again from the request that arrived, and frames.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use chrono::NaiveDateTime;
use tests::provider::{Answer, Recorded};

/// The id and the secret that requests are signed with.
pub(super) const KEYS: (&str, &str) = ("AKIDEXAMPLE", "aws-secret-canary-77aa");

/// The request was signed with [`KEYS`] for `us-east-1`, as it arrived: every byte of its body, its path and its host.
pub(super) fn assert_signed(sent: &Recorded, token: Option<&str>) {
    let date = sent.header("x-amz-date").expect("a date");
    let time: SystemTime = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").expect("a date").and_utc().into();
    let given = sent.header("authorization").expect("a signature");
    assert_eq!(sent.header("x-amz-security-token"), token);
    let identity = Credentials::new(KEYS.0, KEYS.1, token.map(str::to_owned), None, "test").into();
    let params = v4::SigningParams::builder().identity(&identity).region("us-east-1").name("bedrock").time(time);
    let params = params.settings(SigningSettings::default()).build().expect("parameters").into();
    let (_, names) = given.split_once("SignedHeaders=").expect("signed headers");
    let names = names.split(',').next().unwrap_or_default().split(';').filter(|name| *name != "host" && !name.starts_with("x-amz-"));
    let headers: Vec<_> = names.map(|name| (name, sent.header(name).expect("a signed header"))).collect();
    let url = format!("http://{}{}", sent.header("host").expect("a host"), sent.target.strip_prefix("POST ").expect("a POST"));
    let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(&sent.body)).expect("a request");
    let (signed, _) = sign(request, &params).expect("a signature").into_parts();
    let expected = signed.headers().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, value)| value.to_owned());
    assert_eq!(Some(given), expected.as_deref());
}

fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let message = headers.iter().fold(Message::new(payload.to_owned().into_bytes()), |message, (name, value)| {
        message.add_header(Header::new((*name).to_owned(), HeaderValue::String((*value).to_owned().into())))
    });
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("a frame");
    bytes
}

/// An event.
pub(super) fn event(name: &str, payload: &str) -> Vec<u8> {
    frame(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// An exception.
pub(super) fn exception(name: &str, payload: &str) -> Vec<u8> {
    frame(&[(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")], payload)
}

/// A stream of these frames, in pieces of so many bytes.
pub(super) fn stream(frames: &[Vec<u8>], piece: usize) -> Answer {
    let bytes = frames.concat();
    Answer::stream_of("application/vnd.amazon.eventstream", bytes.chunks(piece).map(<[u8]>::to_vec))
}
