//! Bad input: a clear error in the caller's dialect, the connection in a safe state, the worker alive.

use std::time::Duration;

use serde_json::json;
use tests::fleet::Fleet;
use tests::http::{Connection, Reply, Request};
use tests::worker::TestWorker;

fn post(key: &str) -> Request {
    Request::new("POST", "/v1/chat/completions")
        .header("Authorization", &format!("Bearer {key}"))
        .header("Content-Type", "application/json")
}

fn refused(reply: &Reply, status: u16) {
    let error = reply.error(status);
    assert!(error["message"].is_string() && error["code"].is_string(), "{error}");
    assert!(reply.header("x-modelux-request-id").is_some(), "{:?}", reply.head);
}

/// A worker with small limits and short patience.
async fn strict_worker() -> (Fleet, String) {
    let mut fleet = Fleet::start().await;
    let options = fleet.worker_options();
    let options = options.with("MODELUX_BODY_LIMIT_BYTES", 4096).with("MODELUX_HEADER_LIMIT_BYTES", 8192);
    let options = options.with("MODELUX_HEADER_TIMEOUT_MS", 300).with("MODELUX_BODY_TIMEOUT_MS", 300);
    fleet.workers.clear();
    fleet.join(options).await;
    let applied = fleet.apply(&tests::fleet::manifest(&fleet.provider)).await;
    fleet.enforced(&applied).await;
    let key = applied.key("app/main");
    (fleet, key)
}

async fn still_serves(fleet: &Fleet, key: &str) {
    assert_eq!(fleet.chat(key, "sim/free").send().await.status(), 200);
}

/// Issue 2, "Bad input": bodies that are no requests.
#[tokio::test]
async fn bodies_that_are_no_requests_are_refused() {
    let (fleet, key) = Fleet::governed().await;
    let bodies: [(&str, &[u8]); 14] = [
        ("nothing", b""),
        ("no JSON", b"hello"),
        ("cut JSON", b"{\"model\":\"sim/free\",\"messages\":["),
        ("a list", b"[]"),
        ("no model", b"{\"messages\":[]}"),
        ("a model of the wrong type", b"{\"model\":7,\"messages\":[]}"),
        ("an empty model", b"{\"model\":\"\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"),
        ("messages of the wrong type", b"{\"model\":\"sim/free\",\"messages\":\"x\"}"),
        ("a limit of the wrong type", b"{\"model\":\"sim/free\",\"messages\":[],\"max_tokens\":\"many\"}"),
        ("a negative limit", b"{\"model\":\"sim/free\",\"messages\":[],\"max_tokens\":-1}"),
        ("a stream flag of the wrong type", b"{\"model\":\"sim/free\",\"messages\":[],\"stream\":\"yes\"}"),
        ("two models", b"{\"model\":\"sim/free\",\"model\":\"sim/cents\",\"messages\":[]}"),
        ("bytes that are no UTF-8", b"{\"model\":\"sim/free\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}"),
        ("something behind the end", b"{\"model\":\"sim/free\",\"messages\":[]} {}"),
    ];
    for (what, body) in bodies {
        let reply = post(&key).body(body).send(fleet.worker().address()).await;
        assert_eq!(reply.status(), 400, "{what}: {}", reply.text());
        refused(&reply, 400);
    }
    let deep = format!("{{\"model\":\"sim/free\",\"messages\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&post(&key).body(deep).send(fleet.worker().address()).await, 400);
    assert_eq!(fleet.provider.count(), 0);
    still_serves(&fleet, &key).await;
}

/// Issue 2, "Bad input": headers of ours that can't be read.
#[tokio::test]
async fn headers_that_cannot_be_read_are_refused_by_name() {
    let (fleet, key) = Fleet::governed().await;
    for (name, value) in
        [("X-Modelux-User-Tags", "team"), ("X-Modelux-User-Tags", "a=%zz"), ("X-Modelux-Dry-Run", "perhaps"), ("X-Modelux-User-Id", "")]
    {
        let reply = fleet.chat(&key, "sim/free").header(name, value).send().await;
        refused(&reply, 400);
        assert_eq!(reply.json()["error"]["param"], name, "{}", reply.text());
    }
    let long = "x".repeat(300);
    refused(&fleet.chat(&key, "sim/free").header("X-Modelux-User-Id", &long).send().await, 400);
}

/// Contract 2.4: 413; the limit holds for announced and for chunked bodies.
#[tokio::test]
async fn bodies_over_the_limit_are_refused_however_they_are_framed() {
    let (fleet, key) = strict_worker().await;
    let body = json!({"model": "sim/free", "messages": [{"role": "user", "content": "x".repeat(8000)}]}).to_string();
    refused(&post(&key).body(body.clone()).send(fleet.worker().address()).await, 413);
    let reply = chunked(fleet.worker(), &key, "", &[body.as_bytes()]).await;
    refused(&reply, 413);
    still_serves(&fleet, &key).await;
}

async fn chunked(worker: &TestWorker, key: &str, more: &str, pieces: &[&[u8]]) -> Reply {
    let mut connection = Connection::open(worker.address()).await;
    let mut bytes = post(key).head_bytes(&format!("Transfer-Encoding: chunked\r\n{more}"));
    for piece in pieces {
        bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    connection.write(&bytes).await.expect("a request that can be written");
    connection.reply().await.expect("an answer")
}

/// A chunked body is a body like any other.
#[tokio::test]
async fn a_chunked_body_is_read() {
    let (fleet, key) = Fleet::governed().await;
    let body = br#"{"model":"sim/free","messages":[{"role":"user","content":"x"}]}"#;
    let reply = chunked(fleet.worker(), &key, "", &[&body[..10], &body[10..]]).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
}

/// Two lengths could be read in two ways by two servers: neither is believed.
#[tokio::test]
async fn chunked_with_a_length_is_refused_and_the_connection_closed() {
    let (fleet, key) = Fleet::governed().await;
    let body = br#"{"model":"sim/free","messages":[{"role":"user","content":"x"}]}"#;
    let reply = chunked(fleet.worker(), &key, &format!("Content-Length: {}\r\n", body.len()), &[body]).await;
    refused(&reply, 400);
    assert_eq!(reply.header("connection").map(str::to_lowercase).as_deref(), Some("close"));
    assert_eq!(fleet.provider.count(), 0);
    still_serves(&fleet, &key).await;
}

/// A coding that is not read leaves the end of the body in doubt, and a request without a host could be meant for another one.
#[tokio::test]
async fn codings_and_hosts_that_are_not_right_are_refused_and_the_connection_closed() {
    let (fleet, key) = Fleet::governed().await;
    let body = r#"{"model":"sim/free","messages":[{"role":"user","content":"x"}]}"#;
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let length = format!("Content-Length: {}\r\n", body.len());
    for (framing, rest) in [
        ("Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", &*chunks),
        ("Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &chunks),
        ("Host: x\r\nTransfer-Encoding: gzip\r\n", &chunks),
        ("Transfer-Encoding: chunked\r\n", &chunks),
        (&length, body),
        (&format!("Host: x\r\nHost: y\r\n{length}"), body),
    ] {
        let mut connection = Connection::open(fleet.worker().address()).await;
        let head = format!("POST /anthropic/v1/messages HTTP/1.1\r\nx-api-key: {key}\r\nContent-Type: application/json\r\n{framing}\r\n");
        connection.write(format!("{head}{rest}").as_bytes()).await.expect("a request that can be written");
        let reply = connection.reply().await.expect("an answer");
        assert_eq!(reply.status(), 400, "{framing}: {}", reply.text());
        let answer = reply.json();
        assert_eq!((&answer["type"], &answer["error"]["type"]), (&json!("error"), &json!("invalid_request_error")), "{framing}: {answer}");
        assert_eq!(reply.header("connection").map(str::to_lowercase).as_deref(), Some("close"), "{framing}");
        assert!(connection.closed_within(Duration::from_secs(5)).await, "{framing}");
    }
    assert_eq!(fleet.provider.count(), 0);
    still_serves(&fleet, &key).await;
}

/// Behind a body whose end is not known, bytes of the caller's would be read as a request of its own.
#[tokio::test]
async fn what_follows_a_broken_body_is_not_read_as_a_request() {
    let (fleet, key) = Fleet::governed().await;
    for (path, broken) in [
        ("/v1/chat/completions", &b"zz\r\n\r\n"[..]),
        ("/v1/chat/completions", b"ffffffffffffffffff\r\n"),
        ("/v1/chat/completions", b"2\r\n{}XX0\r\n\r\n"),
        ("/nowhere", b"zz\r\n\r\n"),
    ] {
        let request = Request::new("POST", path).header("Authorization", &format!("Bearer {key}"));
        let mut connection = Connection::open(fleet.worker().address()).await;
        let head = request.head_bytes("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n");
        connection.write(&[head, broken.to_vec()].concat()).await.expect("a request that can be written");
        let reply = connection.reply().await.expect("an answer");
        assert!([400, 404].contains(&reply.status()), "{}", reply.text());
        assert_eq!(reply.header("connection").map(str::to_lowercase).as_deref(), Some("close"), "{broken:?}");
        if connection.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok() {
            assert!(connection.reply().await.is_err(), "answered behind {broken:?}");
        }
    }
    still_serves(&fleet, &key).await;
}

/// Slow callers are told so, or cut off; they hold nothing.
#[tokio::test]
async fn slow_heads_and_slow_bodies_end_after_their_time() {
    let (fleet, key) = strict_worker().await;
    let mut slow_head = Connection::open(fleet.worker().address()).await;
    slow_head.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut slow_body = Connection::open(fleet.worker().address()).await;
    slow_body.write(&[post(&key).head_bytes("Content-Length: 500\r\n"), b"{\"model\"".to_vec()].concat()).await.unwrap();
    let reply = slow_body.reply().await.expect("an answer");
    refused(&reply, 408);
    match slow_head.reply().await {
        Ok(reply) => assert_eq!(reply.status(), 408),
        Err(_) => assert!(slow_head.closed_within(Duration::from_secs(1)).await),
    }
    still_serves(&fleet, &key).await;
}

/// A body that ends before its announced length is no request.
#[tokio::test]
async fn a_body_that_breaks_off_is_not_sent_on() {
    let (fleet, key) = Fleet::governed().await;
    let mut connection = Connection::open(fleet.worker().address()).await;
    connection.write(&[post(&key).head_bytes("Content-Length: 500\r\n"), b"{\"model\":\"sim/free\"".to_vec()].concat()).await.unwrap();
    connection.finish().await;
    if let Ok(reply) = connection.reply().await {
        assert_eq!(reply.status(), 400);
    }
    assert_eq!(fleet.provider.count(), 0);
    still_serves(&fleet, &key).await;
}

/// Heads that are no HTTP, or too large.
#[tokio::test]
async fn heads_that_cannot_be_read_end_the_connection() {
    let (fleet, key) = strict_worker().await;
    for head in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not TLS here\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nbad header\r\n\r\n",
    ] {
        let mut connection = Connection::open(fleet.worker().address()).await;
        connection.write(head).await.unwrap();
        if let Ok(reply) = connection.reply().await {
            assert_eq!(reply.status(), 400, "{:?}", String::from_utf8_lossy(head));
        }
    }
    let reply = fleet.chat(&key, "sim/free").header("X-Large", &"x".repeat(20_000)).try_send().await;
    if let Ok(reply) = reply {
        assert!([400, 431].contains(&reply.status()), "{}", reply.status());
    }
    still_serves(&fleet, &key).await;
}

/// A compressed body is not guessed at.
#[tokio::test]
async fn a_compressed_body_is_refused() {
    let (fleet, key) = Fleet::governed().await;
    let reply = fleet.chat(&key, "sim/free").header("Content-Encoding", "gzip").send().await;
    refused(&reply, 415);
}
