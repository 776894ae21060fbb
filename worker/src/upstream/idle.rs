//! Connections to providers that wait to be used again.
//!
//! Pingora's pool watches every idle connection with a task of its own, which a request has to wake and wait for before it can have the
//! connection, and asks the kernel once more who is at the other end. Here nobody watches: whoever takes a connection looks whether it was closed
//! meanwhile, which costs no system call while nothing has arrived on it, and [`Idle::sweep`] throws away what nobody takes.
//!
//! Promises: no lock and no task on a request's path; no more connections than the limit; one that was closed, has spoken unasked or has waited
//! too long is never handed out. What closes between that look and the request is the caller's to notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_queue::SegQueue;
use futures::FutureExt as _;
use pingora_core::protocols::Stream;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use crate::clock;

/// How often connections that nobody took are looked at.
const SWEEP: Duration = Duration::from_secs(5);

/// The idle connections of a worker, by destination.
pub(crate) struct Idle {
    queues: papaya::HashMap<u64, Arc<SegQueue<Waiting>>>,
    held: Arc<AtomicUsize>,
    limit: usize,
    /// How long one may wait.
    patience: Duration,
}

struct Waiting {
    stream: Stream,
    until: Instant,
    _place: Place,
}

/// One of the places within the limit; free again when this is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn within(limit: usize, held: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(held));
        (held.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Waiting {
    /// Whether a request may be sent on it.
    fn is_usable(&mut self, now: Instant) -> bool {
        // Nothing to read is as it should be. An end, an error and bytes that nobody asked for are not.
        now < self.until && tokio::task::unconstrained(self.stream.read(&mut [0])).now_or_never().is_none()
    }
}

impl Idle {
    pub(crate) fn new(limit: usize, patience: Duration) -> Self {
        Self { queues: papaya::HashMap::new(), held: Arc::default(), limit, patience }
    }

    /// A connection to the destination with this key, if one waits.
    pub(crate) fn take(&self, destination: u64) -> Option<Stream> {
        let queues = self.queues.pin();
        let queue = queues.get(&destination)?;
        let now = clock::instant();
        while let Some(mut waiting) = queue.pop() {
            if waiting.is_usable(now) {
                return Some(waiting.stream);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was read to its end; closes it where there are enough.
    pub(crate) fn put(&self, destination: u64, stream: Stream) {
        let Some(place) = Place::within(self.limit, &self.held) else { return };
        let until = clock::instant() + self.patience;
        self.queues.pin().get_or_insert_with(destination, Arc::default).push(Waiting { stream, until, _place: place });
    }

    /// Closes what has waited too long or was closed by the other side, until `stop`.
    pub(crate) async fn sweep(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
            self.sweep_once(clock::instant());
        }
    }

    fn sweep_once(&self, now: Instant) {
        let queues = self.queues.pin();
        for (destination, queue) in &queues {
            for _ in 0..queue.len() {
                let Some(mut waiting) = queue.pop() else { break };
                if waiting.is_usable(now) {
                    queue.push(waiting);
                }
            }
            // Addresses come and go with names. A connection that is put there in this very moment is closed with the queue.
            if queue.is_empty() {
                queues.remove(destination);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pingora_core::protocols::l4::stream::Stream as Connection;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Both ends of a connection; ours as the pool has it.
    async fn connection() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Box::new(Connection::from(ours)), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_is_handed_out_once_and_only_for_its_destination() {
        let idle = Idle::new(8, Duration::from_secs(60));
        let (stream, _theirs) = connection().await;
        idle.put(1, stream);
        assert!(idle.take(2).is_none());
        assert!(idle.take(1).is_some());
        assert!(idle.take(1).is_none());
    }

    #[tokio::test]
    async fn no_more_are_kept_than_the_limit_says_and_a_taken_one_makes_room() {
        let idle = Idle::new(1, Duration::from_secs(60));
        let ((one, _a), (two, _b), (three, _c)) = (connection().await, connection().await, connection().await);
        idle.put(1, one);
        idle.put(1, two);
        assert!(idle.take(1).is_some());
        assert!(idle.take(1).is_none());
        idle.put(2, three);
        assert!(idle.take(2).is_some());
    }

    #[tokio::test]
    async fn one_that_was_closed_or_spoke_unasked_is_never_handed_out() {
        for unasked in [&b""[..], b"HTTP/1.1 408"] {
            let idle = Idle::new(8, Duration::from_secs(60));
            let (stream, mut theirs) = connection().await;
            theirs.write_all(unasked).await.unwrap();
            drop(theirs);
            let mut kept = Some(stream);
            let noticed = async {
                while let Some(stream) = kept.take() {
                    idle.put(1, stream);
                    tokio::task::yield_now().await;
                    kept = idle.take(1);
                }
            };
            tokio::time::timeout(Duration::from_secs(10), noticed).await.unwrap();
        }
    }

    #[tokio::test]
    async fn one_that_waited_too_long_is_swept_out_and_its_other_end_hears_of_it() {
        let idle = Idle::new(1, Duration::from_secs(60));
        let (stream, mut theirs) = connection().await;
        idle.put(1, stream);
        idle.sweep_once(clock::instant() + Duration::from_secs(59));
        assert_eq!(idle.held.load(Ordering::Relaxed), 1);
        idle.sweep_once(clock::instant() + Duration::from_secs(61));
        assert_eq!(idle.held.load(Ordering::Relaxed), 0);
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }
}
