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

/// Where `address` can be reached from this machine: a listener on all addresses is asked on loopback.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        assert_eq!(reachable("0.0.0.0:5100".parse().unwrap()), "127.0.0.1:5100".parse().unwrap());
        assert_eq!(reachable("[::]:1".parse().unwrap()), "[::1]:1".parse().unwrap());
        assert_eq!(reachable("10.1.2.3:1".parse().unwrap()), "10.1.2.3:1".parse().unwrap());
    }
}
