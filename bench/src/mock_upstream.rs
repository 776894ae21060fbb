//! The provider behind every contestant: answers at once, keeps connections alive, and does as little work as possible so
//! that the proxy is what is measured. A streamed reply is written chunk by chunk with a yield between, as a real
//! provider's chunks arrive.
//!
//! It answers every dialect of [`crate::dialect`] under that dialect's path, so that one mock stands behind all of a worker's providers.
//!
//! Told to stay awake (`/awake`, until `/asleep`) it polls instead of sleeping, see [`crate::load::Peers`]. Told to hold (`/hold`, until
//! `/release`) it keeps every stream half-way, so that many are open at once for as long as somebody looks at them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::dialect::{self, Dialect};
use crate::wire;

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
    dialects: HashMap<Dialect, Reply>,
    /// Gemini's to one text, alone and in a list.
    embedding: Vec<u8>,
    embeddings: Vec<u8>,
    nothing: Vec<u8>,
    delay: Duration,
    chunk_delay: Duration,
    awake: AtomicBool,
    held: watch::Sender<bool>,
}

/// What one dialect says.
struct Reply {
    buffered: Vec<u8>,
    chunks: Vec<Vec<u8>>,
}

/// Which of them a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Buffered(Dialect),
    Streamed(Dialect),
    Embedding,
    Embeddings,
    /// It is no request for an answer: somebody asks whether anything is here, or tells the mock what to do.
    Nothing,
}

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

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
        replies.obey(request);
        let route = Route::of(request);
        received.drain(..end);
        if !replies.delay.is_zero() {
            tokio::time::sleep(replies.delay).await;
        }
        match route {
            Route::Streamed(dialect) => send_stream(&mut connection, replies.chunks(dialect), replies).await?,
            buffered => connection.write_all(replies.buffered(buffered)).await?,
        }
    }
}

impl Route {
    fn of(request: &[u8]) -> Self {
        let path = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let dialect = match path.rsplit(|byte| matches!(byte, b'/' | b':')).next().unwrap_or_default() {
            b"completions" => Dialect::Chat,
            b"responses" => Dialect::Responses,
            b"messages" => Dialect::Messages,
            b"embeddings" => Dialect::Embeddings,
            b"generateContent" => return Self::Buffered(Dialect::Gemini),
            b"streamGenerateContent" => return Self::Streamed(Dialect::Gemini),
            b"embedContent" => return Self::Embedding,
            b"batchEmbedContents" => return Self::Embeddings,
            _ => return Self::Nothing,
        };
        if memmem::find(request, b"\"stream\":true").is_some() { Self::Streamed(dialect) } else { Self::Buffered(dialect) }
    }
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

async fn send_stream(connection: &mut TcpStream, chunks: &[Vec<u8>], replies: &Replies) -> std::io::Result<()> {
    connection.write_all(STREAM_HEAD).await?;
    for (number, chunk) in chunks.iter().enumerate() {
        if number * 2 > chunks.len() && *replies.held.borrow() {
            // It ends with the process, as its sender does.
            replies.held.subscribe().wait_for(|held| !held).await.ok();
        }
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
        Self {
            dialects: Dialect::ALL.into_iter().map(|dialect| (dialect, Reply::of(dialect))).collect(),
            embedding: buffered(&dialect::gemini_embedding(false)),
            embeddings: buffered(&dialect::gemini_embedding(true)),
            nothing: buffered(""),
            delay: Duration::from_millis(options.delay_ms),
            chunk_delay: Duration::from_millis(options.chunk_delay_ms),
            awake: AtomicBool::new(false),
            held: watch::Sender::new(false),
        }
    }

    /// Does what the request tells the mock to do, where it is one that does.
    fn obey(&self, request: &[u8]) {
        let is = |line: &[u8]| request.starts_with(line);
        if is(b"GET /awake ") || is(b"GET /asleep ") {
            self.awake.store(is(b"GET /awake "), Ordering::Relaxed);
        } else if is(b"GET /hold ") || is(b"GET /release ") {
            self.held.send_replace(is(b"GET /hold "));
        }
    }

    fn buffered(&self, route: Route) -> &[u8] {
        match route {
            Route::Buffered(dialect) => self.dialects.get(&dialect).map_or(&self.nothing, |reply| &reply.buffered),
            Route::Embedding => &self.embedding,
            Route::Embeddings => &self.embeddings,
            Route::Streamed(_) | Route::Nothing => &self.nothing,
        }
    }

    fn chunks(&self, dialect: Dialect) -> &[Vec<u8>] {
        self.dialects.get(&dialect).map_or(&[], |reply| &reply.chunks)
    }
}

impl Reply {
    fn of(dialect: Dialect) -> Self {
        Self { buffered: buffered(&dialect.answer()), chunks: dialect.events().iter().map(|event| chunk(event)).collect() }
    }
}

fn buffered(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn chunk(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{RequestText, Shape};

    #[test]
    fn every_request_that_is_measured_is_answered_in_its_own_dialect() {
        for shape in Shape::all() {
            let request = RequestText::new(shape, "key", shape.dialect.own_model());
            let expected = if shape.streamed { Route::Streamed(shape.dialect) } else { Route::Buffered(shape.dialect) };
            assert_eq!(Route::of(request.bytes()), expected, "{shape:?}");
        }
        let of = |line: &str| Route::of(format!("{line} HTTP/1.1\r\n\r\n").as_bytes());
        assert_eq!(of("POST /v1beta/models/m:batchEmbedContents"), Route::Embeddings);
        assert_eq!(of("POST /v1beta/models/m:embedContent"), Route::Embedding);
        assert_eq!((of("GET /"), of("GET /hold")), (Route::Nothing, Route::Nothing));
    }
}
