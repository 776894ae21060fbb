//! A provider that does exactly what the test says, and keeps accounts of its own.
//!
//! Every request is recorded with its raw head and body. Every answer has a price tag: what the provider would bill for it, whether or not
//! anybody read it to the end. The sum is what a ledger has to agree with.
//!
//! What it answers: the next of [`SimulatedProvider::next`], else what [`SimulatedProvider::always`] said for the model, else what the model's
//! script says ([`SimulatedProvider::play`]) in the words of the interface that was asked, else a plain completion of OpenAI's chat, as a
//! stream or whole as the request asks.

mod answer;
mod connection;
mod script;
mod voice;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::guarded::Guarded;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use answer::{Answer, Gate, Usage, stream_pieces};
use script::Script;
pub use script::{Asked, Interface, Said};

/// Runs until dropped.
#[derive(Debug)]
pub struct SimulatedProvider {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    connections: AtomicUsize,
    desk: Guarded<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    queue: VecDeque<Answer>,
    by_model: HashMap<String, Answer>,
    scripts: HashMap<String, Script>,
    requests: Vec<Recorded>,
    billed: i64,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `POST /v1/chat/completions`
    pub target: String,
    /// In order, names as sent.
    pub headers: Vec<(String, String)>,
    /// Without framing.
    pub body: Vec<u8>,
    /// Number of the connection it came on, from 1.
    pub connection: usize,
    /// Whether the caller went away before the answer was written whole.
    pub abandoned: bool,
}

impl Recorded {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// `model` of the body.
    pub fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }
}

impl SimulatedProvider {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes into a manifest's `base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Answers the next request, and only that one, like this.
    pub fn next(&self, answer: Answer) {
        self.state.desk.with(|desk| desk.queue.push_back(answer));
    }

    /// Answers every request for `model` like this.
    pub fn always(&self, model: &str, answer: Answer) {
        self.state.desk.with(|desk| desk.by_model.insert(model.to_owned(), answer));
    }

    /// Answers every request for `model` by asking `script` what to say, on whichever vendor's interface.
    pub fn play(&self, model: &str, script: impl Fn(&Asked) -> Said + Send + Sync + 'static) {
        self.state.desk.with(|desk| desk.scripts.insert(model.to_owned(), Script::new(script)));
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.desk.with(|desk| desk.requests.clone())
    }

    /// How many requests there were so far.
    pub fn count(&self) -> usize {
        self.state.desk.with(|desk| desk.requests.len())
    }

    /// The last request.
    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("a request has arrived")
    }

    /// Nano-USD billed so far.
    pub fn billed(&self) -> i64 {
        self.state.desk.with(|desk| desk.billed)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }
}

impl Drop for SimulatedProvider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    /// Records a request; which one it is, and how to answer it.
    fn take(&self, request: Recorded) -> (usize, Answer) {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let read = Asked::read(&request);
        self.desk.with(|desk| {
            desk.requests.push(request);
            let model = asked["model"].as_str().unwrap_or_default();
            let scripted = || read.as_ref().and_then(|read| Some(voice::answer(read, &desk.scripts.get(&read.model)?.say(read))));
            let answer = desk.queue.pop_front().or_else(|| desk.by_model.get(model).cloned()).or_else(scripted).unwrap_or_default();
            let answer = answer.to(&asked);
            desk.billed += answer.bill;
            (desk.requests.len() - 1, answer)
        })
    }

    fn abandoned(&self, request: usize) {
        self.desk.with(|desk| desk.requests[request].abandoned = true);
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let number = state.connections.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::spawn(connection::serve(stream, number, Arc::clone(&state)));
    }
}
