//! What the clients talk to: one worker, three kinds of providers that are one scripted one, and a key whose budget is spent.

use serde_json::{Value, json};
use tests::fleet::{Fleet, nano};
use tests::provider::{Asked, Said, SimulatedProvider};
use tests::wait::{SOON, until};

/// What `hello` says.
pub(super) const HELLO: &str = "Grüße from Zürich 🦀, said in pieces.";
const CITIES: [&str; 2] = ["Zürich", "São Paulo"];

/// What `task` wants to have written, and where; and what it says when that was done.
pub(super) const GREETING: &str = "Grüße from an agent 🦀";
pub(super) const GREETING_FILE: &str = "greeting.txt";
pub(super) const TASK_DONE: &str = "The greeting is written.";

/// The kinds of providers, by their names and their vendors'.
pub(super) const PROVIDERS: [&str; 3] = ["openai", "anthropic", "google"];

/// Planes, and the keys that callers have.
pub(super) struct Stage {
    pub(super) fleet: Fleet,
    pub(super) key: String,
    pub(super) spent_key: String,
}

impl Stage {
    /// Everything started, the provider's models with their scripts.
    pub(super) async fn set() -> Self {
        let fleet = Fleet::start().await;
        play(&fleet.provider);
        let applied = fleet.enforce(&manifest(&fleet.provider)).await;
        let (key, spent_key) = (applied.key("app/main"), applied.key("spent/main"));
        Self { fleet, key, spent_key }
    }

    /// `http://…`
    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.fleet.worker().address())
    }

    /// Waits until all that was reserved is settled, and something was.
    pub(super) async fn nothing_is_held(&self) {
        until("nothing is held any more", SOON, || async {
            let budget = self.fleet.budget("all").await;
            (nano(&budget["reservedUsd"]) == 0 && nano(&budget["settledUsd"]) > 0).then_some(())
        })
        .await;
    }

    /// For scripts: where, and with which keys.
    pub(super) fn setting(&self) -> String {
        json!({"base_url": self.base_url(), "key": self.key, "spent_key": self.spent_key}).to_string()
    }
}

fn manifest(provider: &SimulatedProvider) -> Value {
    let at = |name: &str| {
        let base_url = if name == "openai" { provider.base_url() } else { format!("http://{}", provider.address()) };
        json!({"name": name, "vendor": name, "base_url": base_url, "api_key": "${UPSTREAM_KEY}"})
    };
    let priced = |model: String| json!({"model": model, "input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "max_output_tokens": 4096});
    let models: Vec<Value> = PROVIDERS.iter().flat_map(|name| [priced(format!("{name}/hello")), priced(format!("{name}/*"))]).collect();
    json!({
        "org": "default",
        "providers": PROVIDERS.map(at),
        "models": models,
        "projects": [{"name": "app", "keys": [{"name": "main"}]}, {"name": "spent", "keys": [{"name": "main"}]}],
        "budgets": [
            {"name": "all", "scope": {"project": "app"}, "period": "monthly", "cap_usd": 100},
            {"name": "spent", "scope": {"project": "spent"}, "period": "monthly", "cap_usd": "0.000001", "at_cap": "block"},
        ],
    })
}

fn play(provider: &SimulatedProvider) {
    provider.play("hello", |_| Said::Text(HELLO.to_owned()));
    provider.play("embed", |_| Said::Text(String::new()));
    provider.play("endless", |_| Said::Unfinished(HELLO.to_owned()));
    provider.play("missing", |_| Said::Error(404, "there is no such model".to_owned()));
    provider.play("busy", |_| Said::Error(429, "too many requests".to_owned()));
    for model in ["structured", "claude-sonnet-4-5"] {
        provider.play(model, structured);
    }
    provider.play("weather", weather);
    provider.play("task", task);
}

/// Answers as the schema says that it wants to see.
fn structured(asked: &Asked) -> Said {
    match asked.schema {
        true => Said::Text(json!({"city": CITIES[0], "degrees": 21}).to_string()),
        false => Said::Error(400, format!("no schema came along: {}", asked.body)),
    }
}

/// Asks for the weather of two cities at once, and reports what the tool said about each.
fn weather(asked: &Asked) -> Said {
    if asked.tools != ["get_weather"] {
        return Said::Error(400, format!("one tool should come along: {}", asked.body));
    }
    // Gemini's results are objects, on their way to others too.
    let said =
        |result: &String| serde_json::from_str::<Value>(result).ok().and_then(|object| text_in(&object)).unwrap_or_else(|| result.clone());
    match &*asked.results {
        [] => Said::Calls(CITIES.iter().map(|city| ("get_weather".to_owned(), json!({"city": city}))).collect()),
        [one, other] => Said::Text(format!("{}: {}. {}: {}.", CITIES[0], said(one), CITIES[1], said(other))),
        others => Said::Error(400, format!("two results should come along, not {others:?}")),
    }
}

/// Has the greeting written with whichever tool the agent has for it.
fn task(asked: &Asked) -> Said {
    if !asked.results.is_empty() {
        return Said::Text(TASK_DONE.to_owned());
    }
    let arguments = |tool: &str| match tool {
        "Write" | "write_file" => Some(json!({"file_path": GREETING_FILE, "content": GREETING})),
        "exec_command" => Some(json!({"cmd": format!("printf '%s' '{GREETING}' > {GREETING_FILE}")})),
        _ => None,
    };
    match asked.tools.iter().find_map(|tool| Some((tool.clone(), arguments(tool)?))) {
        Some(call) => Said::Calls(vec![call]),
        None => Said::Error(400, format!("a tool that writes should come along, not only {:?}", asked.tools)),
    }
}

/// The only text in an object, however it is called.
fn text_in(object: &Value) -> Option<String> {
    object.as_object()?.values().find_map(Value::as_str).map(str::to_owned)
}
