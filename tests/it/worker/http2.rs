//! HTTP/2 and TLS on both sides of a worker.

use std::path::Path;

use reqwest::{Certificate, Client, ClientBuilder, Response, Version};
use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest, nano};
use tests::http::{Request, events};
use tests::provider::{Answer, Gate, stream_pieces};
use tests::secured::{SecuredFront, TestCertificate};
use tests::wait::{SOON, until};
use tests::worker::TestWorker;

fn client(certificate: Option<&TestCertificate>, settings: impl Fn(ClientBuilder) -> ClientBuilder) -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    let trusted = certificate.map(|certificate| Certificate::from_der(certificate.der()).expect("a certificate"));
    let builder = trusted.into_iter().fold(Client::builder().no_proxy(), ClientBuilder::add_root_certificate);
    settings(builder).build().expect("a client")
}

async fn chat(client: &Client, origin: &str, key: &str, stream: bool) -> Response {
    let messages = json!([{"role": "user", "content": "What is a budget?"}]);
    let usage = json!({"include_usage": true});
    let mut body = json!({"model": "sim/gpt-test", "messages": messages, "max_tokens": 50, "stream": stream});
    if stream {
        body["stream_options"] = usage;
    }
    client.post(format!("{origin}/v1/chat/completions")).bearer_auth(key).json(&body).send().await.expect("an answer")
}

/// A plain connection of HTTP/2, as service meshes speak it: many requests side by side, streams and refusals.
#[tokio::test]
async fn callers_may_speak_http_2_without_tls() {
    let (fleet, key) = Fleet::governed().await;
    let origin = format!("http://{}", fleet.worker().address());
    let two = client(None, ClientBuilder::http2_prior_knowledge);
    let reply = chat(&two, &origin, &key, false).await;
    assert_eq!((reply.version(), reply.status().as_u16()), (Version::HTTP_2, 200));
    assert!(reply.headers().contains_key("x-modelux-request-id") && reply.headers().contains_key("x-modelux-cost-usd"));
    assert!(reply.json::<Value>().await.expect("JSON")["choices"][0]["message"]["content"].is_string());

    let streams = (0..20).map(|_| chat(&two, &origin, &key, true));
    for reply in futures::future::join_all(streams).await {
        assert_eq!(reply.headers()["content-type"], "text/event-stream");
        let body = reply.bytes().await.expect("a whole stream");
        assert_eq!(events(&body).last().map(String::as_str), Some("[DONE]"));
    }

    let refused = chat(&two, &origin, "mlx_sk_nobody", false).await;
    assert_eq!((refused.version(), refused.status().as_u16()), (Version::HTTP_2, 401));
    assert_eq!(refused.json::<Value>().await.expect("JSON")["error"]["code"], "invalid_api_key");
    let logs = fleet.logged(21, "model: \"gpt-test\"").await;
    assert!(logs.iter().all(|log| log["usageSource"] == "provider" && nano(&log["costUsd"]) > 0), "{logs:#?}");
}

/// R-12 over HTTP/2: a reset ends one request and its provider's work, and not the connection.
#[tokio::test]
async fn a_caller_that_resets_its_request_ends_the_providers_work() {
    let (fleet, key) = Fleet::governed().await;
    let origin = format!("http://{}", fleet.worker().address());
    let two = client(None, ClientBuilder::http2_prior_knowledge);
    let gate = Gate::default();
    fleet.provider.next(Answer::default().held_after_the_first_piece(&gate));
    let mut reply = chat(&two, &origin, &key, true).await;
    reply.chunk().await.expect("a piece").expect("a piece");
    drop(reply);
    until("the provider notices", SOON, || async { fleet.provider.last().abandoned.then_some(()) }).await;
    assert_eq!(chat(&two, &origin, &key, false).await.status(), 200);
    let logs = fleet.logged(2, "model: \"gpt-test\"").await;
    assert!(logs.iter().any(|log| log["status"] == 499), "{logs:#?}");
}

/// One byte too few for a method, or a preface that stops: neither keeps a connection for ever.
#[tokio::test]
async fn connections_that_do_not_say_what_they_speak_are_closed_in_time() {
    let mut fleet = Fleet::start().await;
    let options = fleet.worker_options().with("MODELUX_HEADER_TIMEOUT_MS", 300);
    let address = fleet.join(options).await.address();
    for start in ["", "PO", "PRI * HT", "GET / HTTP/1.1\r\nHos"] {
        let mut connection = tests::http::Connection::open(address).await;
        connection.write(start.as_bytes()).await.expect("a connection");
        let answer = connection.head().await;
        assert!(answer.is_err() || answer.is_ok_and(|head| head.status == 408), "`{start}` was waited for");
    }
    assert_eq!(Request::new("GET", "/healthz").send(address).await.status(), 200);
}

fn secured(fleet: &Fleet, certificate: &TestCertificate) -> tests::worker::WorkerOptions {
    let file = |path: &Path| path.display().to_string();
    let options = fleet.worker_options().with("MODELUX_PROXY_TLS_CERTIFICATE", file(&certificate.certificate_file()));
    options.with("MODELUX_PROXY_TLS_KEY", file(&certificate.key_file()))
}

#[tokio::test]
async fn with_a_certificate_callers_speak_tls_and_get_a_new_one_when_its_files_change() {
    let (mut fleet, key) = Fleet::governed().await;
    let certificate = TestCertificate::new();
    let options = secured(&fleet, &certificate);
    let origin = format!("https://localhost:{}", fleet.join(options).await.address().port());
    let two = client(Some(&certificate), |builder| builder);
    let reply = chat(&two, &origin, &key, true).await;
    assert_eq!((reply.version(), reply.status().as_u16()), (Version::HTTP_2, 200));
    let one = client(Some(&certificate), ClientBuilder::http1_only);
    assert_eq!(chat(&one, &origin, &key, false).await.version(), Version::HTTP_11);
    let old = certificate.der().clone();
    let certificate = certificate.replaced();
    assert_ne!(&old, certificate.der());
    until("the new certificate is shown", SOON, || async {
        let fresh = client(Some(&certificate), |builder| builder);
        fresh.get(format!("{origin}/healthz")).send().await.is_ok().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_can_not_be_used_is_named_and_the_worker_does_not_start() {
    let fleet = Fleet::start().await;
    let certificate = TestCertificate::new();
    std::fs::write(certificate.key_file(), "nothing").expect("room");
    let mut worker = TestWorker::launch(secured(&fleet, &certificate));
    let status = worker.process_mut().end(SOON).await;
    assert!(!status.success());
    let said = worker.process().stderr();
    assert!(said.contains("key.pem") && said.contains("TLS"), "{said}");
}

/// Providers that offer HTTP/2 get it, and many requests on one connection; a caller that leaves ends its own only.
#[tokio::test]
async fn providers_are_spoken_to_in_what_tls_agreed_on() {
    for (offered, requests) in [(&["h2", "http/1.1"][..], 7), (&["http/1.1"], 0)] {
        let mut fleet = Fleet::start().await;
        let certificate = TestCertificate::new();
        let front = SecuredFront::start(&certificate, offered, fleet.provider.address()).await;
        let mut wanted = manifest(&fleet.provider);
        wanted["providers"][0]["base_url"] = json!(front.base_url());
        let applied = fleet.apply(&wanted).await;
        let key = applied.key("app/main");
        let trusted = certificate.certificate_file().display().to_string();
        let options = fleet.worker_options().with("SSL_CERT_FILE", trusted);
        fleet.join(options).await;
        fleet.enforced(&applied).await;

        let reply = fleet.chat(&key, "sim/gpt-test").ok().await;
        assert!(reply.json()["choices"][0]["message"]["content"].is_string());
        let gate = Gate::default();
        let words: Vec<String> = (0..3).map(|word| format!("word{word} ")).collect();
        fleet.provider.next(Answer::stream(stream_pieces("gpt-test", &words, None)).held_after_the_first_piece(&gate));
        let mut leaving = fleet.chat(&key, "sim/gpt-test").streamed().open().await;
        leaving.head().await.expect("a head");
        leaving.until("\"role\"").await;
        let beside = (0..5).map(|_| fleet.chat(&key, "sim/gpt-test").streamed());
        let beside: Vec<_> = beside.collect();
        for reply in futures::future::join_all(beside.iter().map(tests::caller::Chat::ok)).await {
            assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
        }
        drop(leaving);
        until("the provider notices", SOON, || async { fleet.provider.requests().iter().any(|seen| seen.abandoned).then_some(()) }).await;
        assert_eq!(front.multiplexed(), requests, "{offered:?}");
        assert!(requests == 0 || front.connections() <= 3, "{} connections", front.connections());
        let logs = fleet.logged(7, "model: \"gpt-test\"").await;
        assert_eq!(logs.iter().filter(|log| log["status"] == 200).count(), 6, "{logs:#?}");
    }
}
