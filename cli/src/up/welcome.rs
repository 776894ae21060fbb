//! What a person sees when both planes are ready.

use std::path::Path;

use crate::config::{Credentials, Demo};
use crate::output;

/// Prints the ready line, and a first request.
pub(super) fn print(credentials: &Credentials, data_dir: &Path) -> std::io::Result<()> {
    output::line(render(credentials, data_dir))
}

fn render(credentials: &Credentials, data_dir: &Path) -> String {
    let (api, proxy) = (address(&credentials.api_url), address(&credentials.proxy_url));
    let mut text = format!("modelux is ready: control plane {api}, proxy {proxy}\n");
    text.push_str(&format!("Credentials are in {}\n", data_dir.join(crate::config::CREDENTIALS).display()));
    match &credentials.demo {
        Some(demo) => text.push_str(&format!("\nA first request:\n\n{}\n", first_request(proxy, demo))),
        None => text.push_str("\nNext: declare a provider, a project and a key in a manifest, then `modelux apply -f manifest.yaml`\n"),
    }
    text
}

/// One line, so that it can be pasted anywhere.
fn first_request(proxy: &str, Demo { project: _, proxy_key }: &Demo) -> String {
    let body = r#"{"model":"simulated/sim-small","messages":[{"role":"user","content":"Hello"}]}"#;
    format!("curl {proxy}/v1/chat/completions -H 'Authorization: Bearer {proxy_key}' -H 'Content-Type: application/json' -d '{body}'")
}

fn address(url: &url::Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_has_both_addresses_and_the_request_stands_on_one_line() {
        let credentials = Credentials {
            api_url: "http://127.0.0.1:5100".parse().unwrap(),
            proxy_url: "http://127.0.0.1:8080".parse().unwrap(),
            org: "default".to_owned(),
            management_key: "mlx_mk_x".to_owned(),
            worker_token: "mlx_wk_x".to_owned(),
            owner_email: "owner@localhost".to_owned(),
            owner_password: "x".to_owned(),
            demo: Some(Demo { project: "demo".to_owned(), proxy_key: "mlx_sk_x".to_owned() }),
        };
        let text = render(&credentials, Path::new("data"));
        let first = text.lines().next().unwrap();
        assert_eq!(first, "modelux is ready: control plane http://127.0.0.1:5100, proxy http://127.0.0.1:8080");
        let request = text.lines().find(|line| line.starts_with("curl ")).unwrap();
        assert!(request.contains("mlx_sk_x") && request.ends_with("}'"), "{request}");
        assert!(!text.contains("mlx_mk_x") && !text.contains("mlx_wk_x"));
    }
}
