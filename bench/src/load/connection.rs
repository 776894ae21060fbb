//! One keep-alive connection: a request out, its whole answer in. Waiting blocks, or polls where the peers are to stay awake.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Peers;
use crate::{clock, wire};

/// An answer that hangs this long is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A complete answer; its bytes stay in the connection until the next request.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// When the first byte of the body was there.
    pub(crate) first_byte: Instant,
    pub(crate) done: Instant,
    head: usize,
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
        Ok(Self { stream, buffer: vec![0; 64 * 1024] })
    }

    /// Sends one request and reads all of its answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request)?;
        let mut filled = 0;
        let mut first_byte = None;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = patiently(|| self.stream.read(self.buffer.get_mut(filled..).unwrap_or_default()))?;
            filled += read;
            let received = self.buffer.get(..filled).unwrap_or_default();
            let Some(head) = wire::read_head(received) else { continue };
            if filled > head.length && first_byte.is_none() {
                first_byte = Some(clock::now());
            }
            if let Some(end) = wire::message_end(received, &head) {
                let done = clock::now();
                return Ok(Answer { status: head.status, first_byte: first_byte.unwrap_or(done), done, head: head.length, end });
            }
        }
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
        self.buffer.get(answer.head..answer.end).unwrap_or_default()
    }
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
