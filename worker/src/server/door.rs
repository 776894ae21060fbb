//! What a new connection speaks: HTTP/2 where TLS agreed on it or where a plain connection begins with its preface, else HTTP/1.1.
//!
//! Pingora can look for the preface by itself, but waits for its 24 bytes for ever; a caller that connects and says nothing would never be
//! hung up on. Here four bytes tell the two apart, within the time that a request head has.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;

use crate::gateway::Gateway;

/// No method of HTTP/1.1 begins like this.
const PREFACE_START: [u8; 4] = *b"PRI ";
/// Bytes of the whole preface.
const PREFACE: usize = 24;

/// Lets connections in.
pub(super) struct Door {
    one: Arc<Gateway>,
    two: Arc<Gateway>,
    patience: Duration,
}

impl Door {
    /// `gateway` makes what serves, for connections that begin with the preface of HTTP/2 and for others.
    pub(super) fn to(gateway: impl Fn(bool) -> Gateway, patience: Duration) -> Self {
        Self { one: Arc::new(gateway(false)), two: Arc::new(gateway(true)), patience }
    }

    /// Whether a plain connection begins with the preface of HTTP/2; nothing where it ends or says nothing in time.
    async fn begins_with_preface(&self, stream: &mut Stream) -> Option<bool> {
        let look = async {
            let mut start = PREFACE_START;
            start.fill(0);
            if !stream.try_peek(&mut start).await.ok()? || start != PREFACE_START {
                return Some(false);
            }
            stream.try_peek(&mut [0; PREFACE]).await.ok()
        };
        pingora_timeout::timeout(self.patience, look).await.ok().flatten()
    }
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // Over TLS the two have agreed; the gateway finds out from the stream.
        if stream.get_ssl_digest().is_some() {
            return self.one.process_new(stream, shutdown).await;
        }
        let mut shut = shutdown.clone();
        let two = tokio::select! {
            two = self.begins_with_preface(&mut stream) => two?,
            _ = shut.wait_for(|stopping| *stopping) => return None,
        };
        let gateway = if two { &self.two } else { &self.one };
        gateway.process_new(stream, shutdown).await
    }
}
