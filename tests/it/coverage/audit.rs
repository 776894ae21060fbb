//! Every mutation leaves exactly one audit event.

use serde_json::{Value, json};
use tests::api::{ApiOptions, TestApi};
use tests::database::Kind;
use tests::graphql::GraphQl;

use super::cases::MUTATIONS;
use super::exceptions::excused_from;
use super::world::{World, text};

const EVENTS: &str = "{ auditEvents(first: 20) { nodes { id sequence time action origin actor { kind id name } target { kind id name } ip requestId diff hash previousHash } } }";

/// Newest first.
async fn events(owner: &GraphQl) -> Vec<Value> {
    let events = owner.query(EVENTS).await;
    events["auditEvents"]["nodes"].as_array().unwrap().clone()
}

/// Runs the case named `name`; the answer's data and the request's id.
async fn run(owner: &GraphQl, document: &str) -> (Value, String) {
    let reply = owner.send(document, &json!({})).await;
    let answer = reply.json();
    assert!(answer["errors"].is_null(), "{document}\n{answer}");
    (answer["data"].clone(), reply.header("x-modelux-request-id").expect("a request id").to_owned())
}

/// R-37, R-38: one event with actor, origin, target, request id and diff; secrets are not in it; the chain goes on.
#[tokio::test]
async fn every_mutation_leaves_exactly_one_event_that_says_who_what_and_how() {
    let api = TestApi::start_with(ApiOptions { database: Kind::Postgres, ..ApiOptions::default() }).await;
    let owner = api.owner();
    let excused = excused_from("audit");
    for case in MUTATIONS.iter().filter(|case| !excused.contains(&case.name)) {
        let world = World::fresh(&owner).await;
        let before = events(&owner).await;
        let key = format!("idempotency-{}", world.marker);
        let document = case.document("mutation", &world, &format!("idempotencyKey: \"{key}\", "));
        let (data, request_id) = run(&owner, &document).await;
        // The first event of a new organization is in its own chain.
        let reader = match case.name {
            "createOrganization" => owner.with_key(&text(&data, "/createOrganization/managementKey")),
            _ => owner.clone(),
        };
        let after = events(&reader).await;
        if case.name == "createOrganization" {
            assert_eq!(after.len(), 1, "{after:?}");
            assert_eq!(after[0]["previousHash"], "", "a chain begins here: {}", after[0]);
            assert_eq!(events(&owner).await[0], before[0], "nothing in the founder's own chain");
        } else {
            assert_eq!(after[1], before[0], "{}: exactly one event", case.name);
            assert_eq!(after[0]["previousHash"], before[0]["hash"], "{}", case.name);
        }
        check(case.name, &after[0], &request_id, &world, &data);

        // The same key again is the same answer, and no second event.
        let (again, _) = run(&owner, &document).await;
        let (mut one, mut two) = (data[case.name].clone(), again[case.name].clone());
        for secret in ["secret", "managementKey"] {
            // Shown once.
            one.as_object_mut().unwrap().remove(secret);
            assert!(
                two.as_object_mut().unwrap().remove(secret).is_none_or(|secret| secret.is_null() || secret.is_object()),
                "{}",
                case.name
            );
        }
        if !case.name.starts_with("create") || case.name == "createProject" {
            assert_eq!(one["revision"], two["revision"], "{}", case.name);
        }
        assert_eq!(events(&reader).await[0], after[0], "{}: a repeated call leaves no event", case.name);
    }
    let verified = owner.query("{ auditVerification { intact events problem } }").await;
    assert_eq!(verified["auditVerification"]["intact"], true, "{verified}");
}

fn check(name: &str, event: &Value, request_id: &str, world: &World, data: &Value) {
    assert_eq!(event["action"], name, "{event}");
    assert_eq!(event["origin"], "api", "{event}");
    assert_eq!(event["actor"]["kind"], "key", "{event}");
    assert!(event["actor"]["id"].as_str().is_some_and(|id| id.starts_with("mky_")) && event["actor"]["name"].is_string(), "{event}");
    assert!(event["target"]["kind"].is_string() && event["target"]["id"].as_str().is_some_and(|id| id.contains('_')), "{event}");
    assert_eq!(event["ip"], "127.0.0.1", "{event}");
    assert_eq!(event["requestId"], request_id, "{event}");
    let diff = event["diff"].as_array().unwrap_or_else(|| panic!("no diff: {event}"));
    assert!(!diff.is_empty(), "{name} changed nothing? {event}");
    for step in diff {
        assert!(step["op"].is_string() && step["path"].is_string(), "RFC 6902: {event}");
        assert!(step["op"] == "add" || step.as_object().unwrap().keys().any(|field| field == "was"), "old values: {step}");
    }
    let written = event.to_string();
    for secret in world.secrets.iter().map(String::as_str).chain(secrets_in(data)) {
        assert!(!written.contains(secret), "{name}: a secret is in the event");
    }
}

/// Whatever an answer showed this once.
fn secrets_in(data: &Value) -> Vec<&str> {
    match data {
        Value::String(text) if text.starts_with("mlx_") => vec![text],
        Value::Array(items) => items.iter().flat_map(secrets_in).collect(),
        Value::Object(fields) => fields.values().flat_map(secrets_in).collect(),
        _ => Vec::new(),
    }
}

/// R-38: what is refused or rolled back leaves neither revision nor event.
#[tokio::test]
async fn a_refused_change_leaves_no_event_and_no_revision() {
    let api = TestApi::start().await;
    let owner = api.owner();
    World::fresh(&owner).await;
    let before = (events(&owner).await, owner.query("{ organization { revision } }").await);
    let refused = [
        r#"createBudget(input: {name: "x", scope: {project: "nowhere"}, period: monthly, capUsd: "1"}) { revision }"#,
        r#"createBudget(input: {name: "x", scope: "organization", period: monthly, capUsd: "-1"}) { revision }"#,
        r#"updateOrganization(input: {entryPolicy: "@nowhere"}) { revision }"#,
        r#"createRoutingConfig(input: {slug: "x", document: {strategy: "custom_rules", rules: [{if: "1 +", then: "pass"}, {else: "pass"}]}}) { revision }"#,
        r#"applyManifest(manifest: {org: "default", budgets: [{name: "fine", scope: "organization", period: "monthly", cap_usd: 1}, {name: "bad", scope: {project: "nowhere"}, period: "monthly", cap_usd: 1}]}) { revision }"#,
    ];
    for mutation in refused {
        let refusal = owner.refusal(&format!("mutation {{ {mutation} }}"), json!({})).await;
        assert_eq!(refusal.code, "INVALID", "{mutation}: {refusal:?}");
        assert!(refusal.field.is_some(), "{mutation}: {refusal:?}");
    }
    assert_eq!((events(&owner).await, owner.query("{ organization { revision } }").await), before);
}

/// Contract 6: events of the command line say so, and the chain verifies.
#[tokio::test]
async fn events_of_the_command_line_say_so_and_the_chain_is_verified() {
    let fleet = tests::fleet::Fleet::start_with(ApiOptions::default(), 0).await;
    fleet.apply(&json!({"org": "default", "budgets": [{"name": "b", "scope": "organization", "period": "monthly", "cap_usd": 1}]})).await;
    let newest = events(&fleet.owner()).await[0].clone();
    assert_eq!((newest["action"].as_str(), newest["origin"].as_str()), (Some("applyManifest"), Some("cli")), "{newest}");
    let (status, output, errors) = fleet.modelux(&["audit", "verify"]).await;
    assert_eq!(status, 0, "{output}{errors}");
}
