//! A policy is tried on the requests of yesterday before it is published (contract 1, `modelux replay`).

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest};

/// Two requests of team `a`, one with tools and one that the policy in force denies.
async fn logged() -> (Fleet, Value) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@company"});
    let rules = json!([{"if": "tags.team == 'shut'", "then": {"deny": "not you"}}, {"else": "pass"}]);
    wanted["routing_configs"] = json!([{"slug": "company", "strategy": "custom_rules", "rules": rules}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    for _ in 0..2 {
        fleet.chat(&key, "sim/cents").header("X-Modelux-User-Tags", "team=a").ok().await;
    }
    let tool = json!([{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]);
    fleet.chat(&key, "sim/free").with("tools", tool).ok().await;
    assert_eq!(fleet.chat(&key, "sim/free").header("X-Modelux-User-Tags", "team=shut").send().await.status(), 403);
    fleet.logged(4, "").await;
    (fleet, wanted)
}

async fn replay(fleet: &Fleet, candidate: &Value, more: &[&str]) -> Value {
    let file = fleet.write(candidate);
    let (status, output, errors) = fleet.modelux(&[&["replay", "-f", &file, "-o", "json"], more].concat()).await;
    assert_eq!(status, 0, "{output}{errors}");
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// D3: newly denied, newly allowed, rerouted, cost; read-only.
#[tokio::test]
async fn a_candidate_policy_is_tried_on_the_log_and_changes_nothing() {
    let (fleet, _) = logged().await;
    let state = "{ organization { revision } requestLogs(first: 9) { nodes { id } } auditEvents(first: 9) { nodes { id } } }";
    let (before, asked) = (fleet.owner().query(state).await, fleet.provider.count());
    let rules = json!([
        {"if": "tags.team == 'a' && request.max_output_tokens == 100 && request.input_tokens > 0", "then": "sim/free"},
        {"if": "request.has_tools", "then": {"deny": "no tools"}},
        {"else": "pass"}]);
    let candidate = json!({"org": "default", "routing_configs": [{"slug": "company", "strategy": "custom_rules", "rules": rules}]});
    let report = replay(&fleet, &candidate, &[]).await;
    let counts = ["requests", "skipped", "denied", "permitted", "rerouted", "repriced"].map(|name| report[name].as_u64());
    assert_eq!(counts, [4, 0, 1, 1, 2, 0].map(Some), "{report:#}");
    let spent = |name: &str| report[name].as_str().unwrap().parse::<policy::money::NanoUsd>().unwrap();
    assert!(spent("cost_before_usd") > spent("cost_after_usd"), "{report:#}");
    let rerouted = report["groups"].as_array().unwrap().iter().find(|group| group["difference"] == "rerouted").unwrap();
    assert_eq!((&rerouted["before"], &rerouted["requests"]), (&json!("sim/cents (@company else)"), &json!(2)));
    assert_eq!(rerouted["after"], "sim/free (@company rule 1)");
    assert_eq!(fleet.owner().query(state).await, before);
    assert_eq!(fleet.provider.count(), asked, "nothing is sent to a provider");
    let file = fleet.write(&candidate);
    let (status, table, errors) = fleet.modelux(&["replay", "-f", &file, "--limit", "3", "--key", "app/main"]).await;
    assert_eq!(status, 0, "{errors}");
    assert!(table.starts_with("3 requests of the log decided again; there are older ones (--limit)"), "{table}");
}

/// What is replayed against the policy in force is decided as it was, and a manifest that can't be applied is refused by its line.
#[tokio::test]
async fn the_policy_in_force_decides_as_it_did_and_a_bad_candidate_is_refused() {
    let (fleet, wanted) = logged().await;
    let report = replay(&fleet, &wanted, &[]).await;
    assert_eq!((&report["requests"], &report["changes"]), (&json!(4), &json!([])), "{report:#}");
    assert_eq!(report["cost_before_usd"], report["cost_after_usd"]);
    let file = fleet.write(&json!({"org": "default", "routing_configs": [{"slug": "x", "strategy": "single", "model": "@nowhere"}]}));
    let (status, _, errors) = fleet.modelux(&["replay", "-f", &file]).await;
    assert!(status == 1 && errors.contains(".yaml:") && errors.contains("nowhere"), "{errors}");
}

/// What rules could see of a request is in the log.
#[tokio::test]
async fn the_log_has_the_facts_of_a_request() {
    let (fleet, _) = logged().await;
    let query = "{ requestLogs(first: 1, filter: {model: \"sim/free\", status: 200}) { nodes { facts {
        inputTokens inputTokensBound maxOutputTokens choices hasTools hasImages client peer } } } }";
    let facts = fleet.owner().query(query).await["requestLogs"]["nodes"][0]["facts"].clone();
    let said = json!([facts["maxOutputTokens"], facts["choices"], facts["hasTools"], facts["hasImages"], facts["client"], facts["peer"]]);
    assert_eq!(said, json!([100, 1, true, false, null, "127.0.0.1"]));
    assert!(facts["inputTokens"].as_u64() > Some(0) && facts["inputTokensBound"].as_u64() >= facts["inputTokens"].as_u64(), "{facts}");
}

/// What a request says, with nothing to be found in it, an e-mail address, and a key of AWS's.
fn said() -> [String; 3] {
    ["What is a budget?".to_owned(), "Write to bob@example.com, please.".to_owned(), format!("Use {}IOSFODNN7EXAMPLE.", "AKIA")]
}

/// How each of [`said`] is answered: the model that serves it, or why none does.
async fn answers(fleet: &Fleet, key: &str) -> Vec<String> {
    let mut answers = Vec::new();
    for text in said() {
        let reply = fleet.chat(key, "sim/cents").with("messages", json!([{"role": "user", "content": text}])).send().await;
        let served = reply.header("x-modelux-model-used").map(|model| format!("sim/{model}"));
        answers.push(served.unwrap_or_else(|| reply.error(403)["code"].as_str().unwrap().to_owned()));
    }
    answers
}

/// What the trace of a logged request says that was found in it.
fn found(log: &Value) -> Option<Value> {
    let steps = log["trace"]["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == "guardrail").map(|step| step["findings"].clone())
}

/// Guardrails find something once, when a request comes; a rule about it that is written later decides by what the log has of it.
#[tokio::test]
async fn a_rule_about_what_guardrails_found_decides_on_the_log_as_the_worker_would_have() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@company"});
    wanted["projects"][0]["settings"] = json!({"guardrails": {"detection": {"action": "tag"}}});
    wanted["routing_configs"] = json!([{"slug": "company", "strategy": "custom_rules", "rules": [{"else": "pass"}]}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    assert_eq!(answers(&fleet, &key).await, ["sim/cents"; 3], "a tag alone changes nothing");
    let logged = fleet.logged(3, "").await;
    let findings: Vec<_> = logged.iter().rev().map(found).collect();
    assert_eq!(findings, [None, Some(json!({"email": 1})), Some(json!({"cloud_secret": 1}))], "{logged:#?}");

    let mut candidate = wanted.clone();
    candidate["routing_configs"][0]["rules"] = json!([
        {"if": "'secret' in request.findings", "then": {"deny": "no secrets"}},
        {"if": "request.sensitivity == 'pii' && request.findings.email == 1", "then": "sim/free"},
        {"else": "pass"}]);
    let report = replay(&fleet, &candidate, &[]).await;
    let counts = ["requests", "skipped", "denied", "permitted", "rerouted", "repriced"].map(|name| report[name].as_u64());
    assert_eq!(counts, [3, 0, 1, 0, 1, 0].map(Some), "{report:#}");
    let foreseen: Vec<_> = logged.iter().rev().map(|log| foreseen(&report, log)).collect();
    fleet.enforce(&candidate).await;
    assert_eq!(answers(&fleet, &key).await, foreseen, "{report:#}");

    // The other way round: by the rules before, what is refused now is permitted, and what is led elsewhere now is not.
    fleet.logged(6, "").await;
    let report = replay(&fleet, &wanted, &["--limit", "3"]).await;
    let counts = ["requests", "denied", "permitted", "rerouted"].map(|name| report[name].as_u64());
    assert_eq!(counts, [3, 0, 1, 1].map(Some), "{report:#}");
}

/// Who would answer a logged request by the report, or why nobody would; who did, where nothing would be different.
fn foreseen(report: &Value, log: &Value) -> String {
    let changes = report["changes"].as_array().unwrap();
    let Some(after) = changes.iter().find(|change| change["id"] == log["id"]).map(|change| &change["after"]) else {
        return format!("{}/{}", log["provider"].as_str().unwrap(), log["model"].as_str().unwrap());
    };
    let refused = after["errorCode"].as_str();
    refused.or_else(|| after["targets"][0].as_str()).unwrap_or_else(|| panic!("neither served nor refused: {after}")).to_owned()
}
