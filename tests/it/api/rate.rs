//! How often the control plane may be called (contract 5, `RATE_LIMITED`).

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tests::api::{ApiOptions, TestApi};
use tests::wait::{SOON, within};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const QUERY: &str = "{ viewer { name } }";

/// Refills so slowly that a test sees the burst and nothing else.
async fn strict_api(burst: u32, failures: u32) -> TestApi {
    let variables = [("KEY_REQUESTS_PER_MINUTE", 1), ("KEY_REQUEST_BURST", burst), ("FAILED_KEYS_PER_MINUTE", failures)];
    let environment = variables.map(|(name, value)| (format!("MODELUX_{name}"), value.to_string())).into();
    TestApi::start_with(ApiOptions { environment, ..ApiOptions::default() }).await
}

fn seconds(retry_after: Option<&str>) -> u64 {
    retry_after.and_then(|value| value.parse().ok()).expect("whole seconds in `Retry-After`")
}

#[tokio::test]
async fn a_key_that_calls_too_often_is_told_when_to_come_back() {
    let api = strict_api(3, 0).await;
    let owner = api.owner();
    let made = "mutation { createManagementKey(input: {name: \"other\", role: admin}) { secret } }";
    let other = owner.run(made, json!({})).await["createManagementKey"]["secret"].as_str().unwrap().to_owned();
    owner.query(QUERY).await;
    owner.query(QUERY).await;
    let reply = owner.send(QUERY, &json!({})).await;
    assert_eq!(reply.status(), 429, "{}", reply.text());
    assert!((30..=61).contains(&seconds(reply.header("retry-after"))), "{:?}", reply.head);
    let extensions = &reply.json()["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED");
    assert!(extensions["retryAfter"].is_u64(), "{extensions}");
    owner.with_key(&other).query(QUERY).await;
}

#[tokio::test]
async fn keys_that_nobody_has_are_limited_by_address_and_good_ones_are_not() {
    let api = strict_api(10, 2).await;
    let guess = api.owner().with_key("mlx_mk_guessed");
    for _ in 0..2 {
        assert_eq!(guess.refusal(QUERY, json!({})).await.code, "UNAUTHENTICATED");
    }
    let reply = guess.send(QUERY, &json!({})).await;
    assert_eq!((reply.status(), reply.json()["errors"][0]["extensions"]["code"].as_str()), (429, Some("RATE_LIMITED")));
    assert!(seconds(reply.header("retry-after")) > 0);
    assert_eq!(api.owner().anonymous().refusal(QUERY, json!({})).await.code, "UNAUTHENTICATED");
    api.owner().query(QUERY).await;
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.expect("an open socket");
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = within("a message", SOON, socket.next()).await.expect("an open socket").expect("a message");
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).expect("a message of JSON");
        }
    }
}

/// A socket asks once who calls, and then says much: each operation counts.
#[tokio::test]
async fn operations_over_a_socket_are_counted_one_by_one() {
    let api = strict_api(3, 0).await;
    let mut request = format!("ws://{}/graphql", api.address()).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = connect_async(request).await.expect("an upgrade");
    let bearer = format!("Bearer {}", api.credential("management_key"));
    say(&mut socket, json!({"type": "connection_init", "payload": {"Authorization": bearer}})).await;
    assert_eq!(hear(&mut socket).await["type"], "connection_ack");
    for id in ["1", "2"] {
        say(&mut socket, json!({"type": "subscribe", "id": id, "payload": {"query": QUERY}})).await;
        assert_eq!(hear(&mut socket).await["payload"]["data"]["viewer"]["name"], "owner");
        assert_eq!(hear(&mut socket).await["type"], "complete");
    }
    say(&mut socket, json!({"type": "subscribe", "id": "3", "payload": {"query": QUERY}})).await;
    let refused = hear(&mut socket).await;
    assert!(refused.to_string().contains("RATE_LIMITED"), "{refused}");
}
