//! Waiting until both planes say that they are ready.

use std::net::SocketAddr;
use std::time::Duration;

/// From listening to ready: the worker has to enrol and fetch its bundles.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// Asks `/readyz` of each address until all answer 200.
pub(super) async fn wait_until_ready(addresses: &[SocketAddr]) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
    for address in addresses {
        let asked = tokio::time::timeout(LIMIT, ask_until_ready(&http, *address)).await;
        anyhow::ensure!(asked.is_ok(), "{address} did not become ready within {} s", LIMIT.as_secs());
    }
    Ok(())
}

async fn ask_until_ready(http: &reqwest::Client, address: SocketAddr) {
    let url = format!("http://{address}/readyz");
    loop {
        match http.get(&url).send().await {
            Ok(response) if response.status().is_success() => return,
            Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
