//! HTTP/1.1 on a plain socket, so that a test sees every byte, every piece and every end of a connection.
//!
//! Leaves out: TLS, redirects, compression, pipelining.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// No answer takes longer unless a test says so.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status and headers.
    pub head: Head,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Whether the body came to its announced end.
    pub complete: bool,
}

/// Status and headers of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// Such as 200.
    pub status: u16,
    /// As sent, in order.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How many headers of that name there are.
    pub fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name)).count()
    }
}

impl Reply {
    /// Such as 200.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body in UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// The `data:` payloads of an event stream, in order.
    pub fn events(&self) -> Vec<String> {
        events(&self.body)
    }

    /// `error` of the body; panics with the whole answer when the status is another.
    pub fn error(&self, status: u16) -> Value {
        assert_eq!(self.status(), status, "{}", String::from_utf8_lossy(&self.body));
        self.json()["error"].clone()
    }
}

/// The `data:` payloads of an event stream, in order.
pub fn events(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.lines().filter_map(|line| line.strip_prefix("data:")).map(|data| data.trim().to_owned()).collect()
}

/// A request to be written.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body; `Content-Length` follows from it.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The head with its empty line, without a length.
    pub fn head_bytes(&self, more: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str("Host: modelux.test\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(more);
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Head and body.
    pub fn bytes(&self) -> Vec<u8> {
        let length =
            if self.body.is_empty() && self.method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", self.body.len()) };
        [self.head_bytes(&length), self.body.clone()].concat()
    }

    /// Sends it on a connection of its own and reads the answer.
    pub async fn send(&self, address: SocketAddr) -> Reply {
        let mut connection = Connection::open(address).await;
        connection.write(&self.bytes()).await.expect("a request that can be written");
        connection.reply().await.unwrap_or_else(|error| panic!("no answer to {} {}: {error}", self.method, self.path))
    }

    /// Sends it on a connection of its own; the answer is an error where the connection is refused or breaks before the head.
    pub async fn try_send(&self, address: SocketAddr) -> io::Result<Reply> {
        let mut connection = Connection { stream: BufReader::new(TcpStream::connect(address).await?), framing: Framing::None };
        connection.write(&self.bytes()).await?;
        connection.reply().await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilEnd,
    Done,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    framing: Framing,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("can't connect to {address}: {error}"));
        stream.set_nodelay(true).expect("a socket");
        Self { stream: BufReader::new(stream), framing: Framing::None }
    }

    /// Connects with a receive buffer so small that the other side soon notices when nothing is read.
    pub async fn open_narrow(address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 << 10).expect("a socket");
        let stream = socket.connect(address).await.unwrap_or_else(|error| panic!("can't connect to {address}: {error}"));
        Self { stream: BufReader::with_capacity(512, stream), framing: Framing::None }
    }

    /// Writes bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends `request`.
    pub async fn send(&mut self, request: &Request) {
        self.write(&request.bytes()).await.expect("a request that can be written");
    }

    /// Says that nothing more will be written.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("an open connection");
    }

    /// Reads status and headers.
    pub async fn head(&mut self) -> io::Result<Head> {
        match tokio::time::timeout(ANSWER_LIMIT, self.read_head()).await {
            Ok(head) => head,
            Err(_) => panic!("no answer within {ANSWER_LIMIT:?}"),
        }
    }

    async fn read_head(&mut self) -> io::Result<Head> {
        let first = self.line().await?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let Some(status) = status else { return Err(io::Error::other(format!("no status line: `{first}`"))) };
        let mut head = Head { status, headers: Vec::new() };
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').expect("a header line");
            head.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if status == 100 {
            return Box::pin(self.read_head()).await;
        }
        self.framing = match (head.header("transfer-encoding"), head.header("content-length")) {
            (Some(_), _) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length.parse().expect("a length")),
            (None, None) if status == 204 || status == 304 => Framing::Done,
            (None, None) => Framing::UntilEnd,
        };
        Ok(head)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        if !line.ends_with(b"\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// The next piece of the body, as it was framed; none at its end, an error where it breaks off.
    pub async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match tokio::time::timeout(ANSWER_LIMIT, self.read_piece()).await {
            Ok(piece) => piece,
            Err(_) => panic!("no more of the answer within {ANSWER_LIMIT:?}"),
        }
    }

    async fn read_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::None => Err(io::Error::other("the head has not been read")),
            Framing::Done | Framing::Length(0) => {
                self.framing = Framing::Done;
                Ok(None)
            }
            Framing::Length(left) => {
                let mut piece = vec![0; left.min(64 << 10)];
                let count = self.stream.read(&mut piece).await?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                piece.truncate(count);
                self.framing = Framing::Length(left - count);
                Ok(Some(piece))
            }
            Framing::UntilEnd => {
                let mut piece = vec![0; 64 << 10];
                let count = self.stream.read(&mut piece).await?;
                piece.truncate(count);
                Ok((count > 0).then_some(piece))
            }
            Framing::Chunked => self.read_chunk().await,
        }
    }

    async fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line().await?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
        let mut piece = vec![0; size.map_err(|_| io::Error::other(format!("no chunk size: `{line}`")))?];
        self.stream.read_exact(&mut piece).await?;
        let end = self.line().await?;
        assert!(end.is_empty(), "a chunk ends with a line end, not with `{end}`");
        if piece.is_empty() {
            self.framing = Framing::Done;
            return Ok(None);
        }
        Ok(Some(piece))
    }

    /// Reads the rest of the body; whether it came to its end.
    pub async fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            match self.piece().await {
                Ok(Some(piece)) => body.extend(piece),
                Ok(None) => return (body, true),
                Err(_) => return (body, false),
            }
        }
    }

    /// Reads an answer.
    pub async fn reply(&mut self) -> io::Result<Reply> {
        let head = self.head().await?;
        let (body, complete) = self.rest().await;
        Ok(Reply { head, body, complete })
    }

    /// Reads until `text` has passed; what was read.
    pub async fn until(&mut self, text: &str) -> Vec<u8> {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            match self.piece().await {
                Ok(Some(piece)) => seen.extend(piece),
                other => panic!("the answer ended ({other:?}) before `{text}`: {}", String::from_utf8_lossy(&seen)),
            }
        }
        seen
    }

    /// Whether the other side has closed, waiting for it at most `limit`.
    pub async fn closed_within(&mut self, limit: Duration) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(limit, self.stream.read(&mut byte)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }
}
