//! TLS in front of a provider that has none: certificates of the test's own, HTTP/2 or HTTP/1.1 as agreed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::http::{Connection, Request};
use crate::scratch::Scratch;

/// A certificate for `localhost` that vouches for itself, as files.
#[derive(Debug)]
pub struct TestCertificate {
    chain: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    directory: Scratch,
}

impl TestCertificate {
    /// Makes one.
    pub fn new() -> Self {
        Self::made(Scratch::new("certificate"))
    }

    /// Another one in the same files.
    #[must_use]
    pub fn replaced(self) -> Self {
        Self::made(self.directory)
    }

    fn made(directory: Scratch) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        std::fs::write(directory.path().join("cert.pem"), cert.pem()).expect("room");
        std::fs::write(directory.path().join("key.pem"), signing_key.serialize_pem()).expect("room");
        Self { chain: cert.der().clone(), key, directory }
    }

    /// The chain's file.
    pub fn certificate_file(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// The key's file.
    pub fn key_file(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// The certificate as it goes over the wire.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.chain
    }
}

impl Default for TestCertificate {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs until dropped.
#[derive(Debug)]
pub struct SecuredFront {
    address: SocketAddr,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl SecuredFront {
    /// Passes what arrives on to `behind`; offers `protocols` (`h2`, `http/1.1`).
    pub async fn start(certificate: &TestCertificate, protocols: &[&str], behind: SocketAddr) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.chain.clone()], certificate.key.clone_key());
        let mut config = config.expect("a certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let seen = Arc::new(Seen::default());
        let accepting = tokio::spawn(accept(listener, acceptor, behind, Arc::clone(&seen)));
        Self { address, seen, accepting }
    }

    /// What goes into a manifest's `base_url`.
    pub fn base_url(&self) -> String {
        format!("https://localhost:{}/v1", self.address.port())
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Requests over HTTP/2 so far.
    pub fn multiplexed(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }
}

impl Drop for SecuredFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, behind: SocketAddr, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        drop(tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            seen.connections.fetch_add(1, Ordering::SeqCst);
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                let mut plain = TcpStream::connect(behind).await.expect("a provider");
                tokio::io::copy_bidirectional(&mut stream, &mut plain).await.ok();
                return;
            }
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            while let Some(Ok((request, answer))) = connection.accept().await {
                seen.requests.fetch_add(1, Ordering::SeqCst);
                drop(tokio::spawn(pass_on(request, answer, behind)));
            }
        }));
    }
}

/// One request, in the words of HTTP/1.1, and its answer back, piece by piece.
async fn pass_on(request: http::Request<h2::RecvStream>, mut answer: SendResponse<Bytes>, behind: SocketAddr) {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut asked = Request::new(head.method.as_str(), path);
    for (name, value) in &head.headers {
        if name != "content-length" {
            asked = asked.header(name.as_str(), value.to_str().expect("text"));
        }
    }
    let mut read = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        body.flow_control().release_capacity(piece.len()).ok();
        read.extend_from_slice(&piece);
    }
    let mut connection = Connection::open(behind).await;
    connection.send(&asked.body(read)).await;
    let reset = std::future::poll_fn(|context| answer.poll_reset(context));
    let head = tokio::select! {
        head = connection.head() => head,
        // Whoever asked has given up: the provider sees its connection close.
        _ = reset => return,
    };
    let Ok(head) = head else { return answer.send_reset(h2::Reason::INTERNAL_ERROR) };
    let mut said = http::Response::builder().status(head.status);
    for (name, value) in &head.headers {
        if !["connection", "transfer-encoding", "keep-alive"].contains(&name.to_ascii_lowercase().as_str()) {
            said = said.header(name, value);
        }
    }
    let Ok(mut body) = answer.send_response(said.body(()).expect("a head"), false) else { return };
    loop {
        let piece = tokio::select! {
            piece = connection.piece() => piece,
            _ = std::future::poll_fn(|context| body.poll_reset(context)) => return,
        };
        let sent = match piece {
            Ok(Some(piece)) => body.send_data(piece.into(), false),
            Ok(None) => return drop(body.send_data(Bytes::new(), true)),
            Err(_) => return body.send_reset(h2::Reason::INTERNAL_ERROR),
        };
        if sent.is_err() {
            return;
        }
    }
}
