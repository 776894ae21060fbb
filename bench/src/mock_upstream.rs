//! The provider behind every contestant: answers at once, keeps connections alive, and does as little work as possible so
//! that the proxy is what is measured. A streamed reply is written chunk by chunk with a yield between, as a real
//! provider's chunks arrive.
//!
//! Told to stay awake (`/awake`, until `/asleep`) it polls instead of sleeping, see [`crate::load::Peers`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::wire;

/// Body length of the buffered reply, as in the figures this is compared with.
const REPLY_BYTES: usize = 1157;
/// Events of a streamed reply before `[DONE]`: a role, twenty pieces of text, the usage.
const EVENTS: usize = 22;

#[derive(Args)]
pub(crate) struct MockOptions {
    /// Where to listen.
    #[arg(long)]
    listen: String,
    /// Wait before a reply starts, in milliseconds.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Wait between the chunks of a stream, in milliseconds.
    #[arg(long, default_value_t = 0)]
    chunk_delay_ms: u64,
}

/// What is sent, made once.
struct Replies {
    buffered: Vec<u8>,
    stream_head: &'static [u8],
    chunks: Vec<Vec<u8>>,
    delay: Duration,
    chunk_delay: Duration,
    awake: AtomicBool,
}

/// How often a sleeping mock looks whether it is to stay awake.
const LOOK: Duration = Duration::from_millis(5);

/// Serves until the process is ended.
pub(crate) fn run(options: &MockOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: &MockOptions) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&options.listen).await?;
    let replies: &'static Replies = Box::leak(Box::new(Replies::new(options)));
    spawn(stay_awake(replies));
    loop {
        let (connection, _peer) = listener.accept().await?;
        connection.set_nodelay(true)?;
        spawn(async move {
            // A peer that goes away is the end of its connection and nothing else.
            answer_all(connection, replies).await.ok();
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "the mock ends by being killed; there is no shutdown to wait in")]
fn spawn(connection: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(connection);
}

/// Keeps the runtime polling while it is asked to, and gives the core to whoever else is ready between two looks.
async fn stay_awake(replies: &Replies) {
    loop {
        if replies.awake.load(Ordering::Relaxed) {
            std::thread::yield_now();
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn answer_all(mut connection: TcpStream, replies: &Replies) -> std::io::Result<()> {
    let mut received = Vec::with_capacity(64 * 1024);
    loop {
        let Some(end) = read_request(&mut connection, &mut received).await? else { return Ok(()) };
        let request = received.get(..end).unwrap_or_default();
        if let Some(awake) = told(request) {
            replies.awake.store(awake, Ordering::Relaxed);
        }
        let streamed = memmem::find(request, b"\"stream\":true").is_some();
        received.drain(..end);
        if !replies.delay.is_zero() {
            tokio::time::sleep(replies.delay).await;
        }
        if streamed {
            send_stream(&mut connection, replies).await?;
        } else {
            connection.write_all(&replies.buffered).await?;
        }
    }
}

/// Whether the request is one that tells the mock to stay awake, or that it may sleep.
fn told(request: &[u8]) -> Option<bool> {
    let is = |line: &[u8]| request.starts_with(line).then_some(());
    is(b"GET /awake ").map(|()| true).or_else(|| is(b"GET /asleep ").map(|()| false))
}

/// Reads until a whole request is in `received` and returns its length; nothing when the peer has closed.
async fn read_request(connection: &mut TcpStream, received: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(end) = wire::read_head(received).and_then(|head| wire::message_end(received, &head)) {
            return Ok(Some(end));
        }
        if connection.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

async fn send_stream(connection: &mut TcpStream, replies: &Replies) -> std::io::Result<()> {
    connection.write_all(replies.stream_head).await?;
    for chunk in &replies.chunks {
        connection.write_all(chunk).await?;
        if replies.chunk_delay.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(replies.chunk_delay).await;
        }
    }
    connection.write_all(b"0\r\n\r\n").await
}

impl Replies {
    fn new(options: &MockOptions) -> Self {
        let body = completion();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        Self {
            buffered: [head.into_bytes(), body.into_bytes()].concat(),
            stream_head: b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            chunks: events().iter().map(|event| chunk(event)).collect(),
            delay: Duration::from_millis(options.delay_ms),
            chunk_delay: Duration::from_millis(options.chunk_delay_ms),
            awake: AtomicBool::new(false),
        }
    }
}

fn chunk(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

const USAGE: &str = r#"{"prompt_tokens":210,"completion_tokens":96,"total_tokens":306,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;

fn completion() -> String {
    let before = r#"{"id":"chatcmpl-CeV5ohuvTmlHp0Qx3nY7dW","object":"chat.completion","created":1795000000,"model":"gpt-test","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let after = format!(
        r#"","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{USAGE},"service_tier":"default","system_fingerprint":"fp_4c2851f862"}}"#
    );
    let text = "The invoice covers three seats for the month and one more from the ninth. ";
    let padding = REPLY_BYTES.saturating_sub(before.len() + after.len());
    let content: String = text.chars().cycle().take(padding).collect();
    format!("{before}{content}{after}")
}

fn events() -> Vec<String> {
    let mut events: Vec<String> = (0..EVENTS - 1).map(text_event).collect();
    events.push(event(&format!(r#""choices":[],"usage":{USAGE}"#)));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn text_event(number: usize) -> String {
    let delta = if number == 0 {
        r#""role":"assistant","content":"","refusal":null"#.to_owned()
    } else {
        format!(r#""content":" word{number:02}""#)
    };
    let finish = if number + 2 == EVENTS { r#""stop""# } else { "null" };
    let choices = format!(r#""choices":[{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}],"usage":null"#);
    event(&choices)
}

fn event(rest: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-CeV5ohuvTmlHp0Qx3nY7dW\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\
         \"model\":\"gpt-test\",\"system_fingerprint\":\"fp_4c2851f862\",{rest}}}\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replies_have_the_sizes_the_figures_are_quoted_for() {
        assert_eq!(completion().len(), REPLY_BYTES);
        serde_json::from_str::<serde_json::Value>(&completion()).unwrap();
        let events = events();
        assert_eq!(events.len(), 23);
        let bytes: usize = events.iter().map(String::len).sum();
        assert!((5_800..6_000).contains(&bytes), "{bytes} bytes");
        for event in &events[..22] {
            serde_json::from_str::<serde_json::Value>(event.trim_start_matches("data: ")).unwrap();
        }
    }
}
