//! The baseline: the least a Pingora proxy can do. One upstream address, the caller's credential replaced, nothing decided,
//! nothing counted.

use async_trait::async_trait;
use clap::Args;
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;

#[derive(Args)]
pub(crate) struct BareOptions {
    /// Where to listen.
    #[arg(long)]
    listen: String,
    /// Where requests go.
    #[arg(long)]
    upstream: String,
}

struct Bare {
    upstream: String,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(&self.upstream, false, String::new())))
    }

    async fn upstream_request_filter(&self, _session: &mut Session, request: &mut RequestHeader, _ctx: &mut Self::CTX) -> Result<()> {
        request.insert_header("authorization", "Bearer upstream-key")
    }
}

/// Serves until the process is ended.
pub(crate) fn run(options: BareOptions) -> anyhow::Result<()> {
    // No grace for requests in flight: nothing is measured any more when it is told to end.
    let at_once =
        ServerConf { threads: 1, grace_period_seconds: Some(0), graceful_shutdown_timeout_seconds: Some(0), ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, at_once);
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Bare { upstream: options.upstream });
    proxy.add_tcp(&options.listen);
    server.add_service(proxy);
    server.run_forever()
}
