//! One keep-alive connection: a request out, its whole answer in. Waiting blocks, or polls where the peers are to stay awake.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;

use super::Peers;
use crate::wire::{Framing, Head};
use crate::{clock, wire};

/// An answer that hangs this long is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// As much of a wrong answer as is shown.
const EXCERPT: usize = 400;

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How much of the buffer the answer has filled.
    filled: usize,
}

/// An answer that has begun.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    head: Head,
    first_byte: Instant,
}

/// A complete answer; its bytes stay in the connection until the next request.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// When the first byte of the body was there.
    pub(crate) first_byte: Instant,
    pub(crate) done: Instant,
    head: Head,
    end: usize,
}

impl Connection {
    /// One that waits to be woken.
    pub(crate) fn open(target: SocketAddr) -> io::Result<Self> {
        Self::open_as(Peers::Asleep, target)
    }

    pub(crate) fn open_as(peers: Peers, target: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nonblocking(peers == Peers::Awake)?;
        Ok(Self { stream, buffer: vec![0; 64 * 1024], filled: 0 })
    }

    /// Sends one request and reads all of its answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let begun = self.begin(request)?;
        self.finish(begun)
    }

    /// Sends one request and reads until its answer's body begins.
    pub(crate) fn begin(&mut self, request: &[u8]) -> io::Result<Begun> {
        self.send(request)?;
        self.filled = 0;
        loop {
            self.receive()?;
            let Some(head) = wire::read_head(self.received()) else { continue };
            if self.filled > head.length || head.framing == Framing::Length(0) {
                return Ok(Begun { head, first_byte: clock::now() });
            }
        }
    }

    /// Reads the rest of an answer.
    pub(crate) fn finish(&mut self, begun: Begun) -> io::Result<Answer> {
        let Begun { head, first_byte } = begun;
        loop {
            if let Some(end) = wire::message_end(self.received(), &head) {
                return Ok(Answer { status: head.status, first_byte, done: clock::now(), head, end });
            }
            self.receive()?;
        }
    }

    fn received(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    fn receive(&mut self) -> io::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        self.filled += patiently(|| self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default()))?;
        Ok(())
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let mut left = request;
        while !left.is_empty() {
            let sent = patiently(|| self.stream.write(left))?;
            left = left.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// The body of the last answer, still in its chunks if it was chunked.
    pub(crate) fn body(&self, answer: &Answer) -> &[u8] {
        self.buffer.get(answer.head.length..answer.end).unwrap_or_default()
    }

    /// Whether the last answer is one that counts: 200, and `end` stands in it. Says what it is otherwise.
    pub(crate) fn check(&self, answer: &Answer, end: &str) -> Result<(), String> {
        let body = self.body(answer);
        let ended = || {
            let stands = |body: &[u8]| memmem::rfind(body, end.as_bytes()).is_some();
            // A proxy may have cut the chunks anew, even inside the words that are looked for.
            stands(body) || (answer.head.framing == Framing::Chunked && stands(&wire::unchunked(body)))
        };
        match answer.status {
            200 if ended() => Ok(()),
            200 => Err(format!("an answer without its end, `{end}`: {}", excerpt(body))),
            status => Err(format!("status {status}: {}", excerpt(body))),
        }
    }
}

/// The end of a body, where an error of a stream stands.
fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(body.len().saturating_sub(EXCERPT)..).unwrap_or_default()).into_owned()
}

/// Tries until some bytes went or came; whoever polls gives the core to the others between two tries.
fn patiently(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    let mut given_up = None;
    loop {
        match attempt() {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                let now = clock::now();
                if now > *given_up.get_or_insert(now + PATIENCE) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                std::thread::yield_now();
            }
            settled => return settled,
        }
    }
}

/// A connection that is only held.
pub(crate) struct IdleConnection(TcpStream);

impl Connection {
    /// Gives the buffer back and keeps the socket.
    pub(crate) fn idle(self) -> IdleConnection {
        IdleConnection(self.stream)
    }
}

impl IdleConnection {
    /// Whether the other side has kept it: a closed one reads as ended at once.
    pub(crate) fn is_open(&self) -> bool {
        let waiting = self.0.set_nonblocking(true).and_then(|()| self.0.peek(&mut [0]));
        waiting.is_err_and(|fault| fault.kind() == io::ErrorKind::WouldBlock)
    }
}
