//! Coding agents as people run them in scripts: each says what the model said, writes a file with its own tool because the model calls it, and
//! shows why it was refused; through a provider of its own vendor and through the others.
//!
//! Every request of theirs goes to the worker. They are told to look for nothing else: no updates, no telemetry.

use std::process::Command;
use std::time::Duration;

use tests::scratch::Scratch;

use super::compatibility::{Row, keep};
use super::installed::{Ecosystem, finished};
use super::scenario::{GREETING, GREETING_FILE, HELLO, PROVIDERS, Stage, TASK_DONE};

/// One run of an agent, which starts an interpreter and a shell on a machine that it shares with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// One agent: where it comes from, what it speaks, and how it is run.
struct Agent {
    package: &'static str,
    /// What of the package Node runs.
    entry: &'static str,
    surface: &'static str,
    /// The surface as the request log calls it.
    logged: &'static str,
    /// The arguments, settings and environment of one run.
    prepare: fn(&mut Command, &Scratch, &Run<'_>),
}

/// What one run is for.
struct Run<'a> {
    base_url: &'a str,
    key: &'a str,
    model: &'a str,
    prompt: &'a str,
}

/// What an agent printed, and whether it found that all went well.
struct Said {
    fine: bool,
    text: String,
}

impl Agent {
    async fn run(&self, stage: &Stage, key: &str, model: &str) -> (Said, Scratch) {
        let scratch = Scratch::new("agent");
        let mut command = Ecosystem::Node.program(&format!("{}/{}", self.package, self.entry), &scratch);
        command.env("TMPDIR", scratch.path());
        let prompt = format!("Write a greeting into {GREETING_FILE}.");
        (self.prepare)(&mut command, &scratch, &Run { base_url: &stage.base_url(), key, model, prompt: &prompt });
        let (status, output, errors) = finished("agent", command, &scratch, LIMIT).await;
        (Said { fine: status == Some(0), text: format!("{output}\n{errors}") }, scratch)
    }

    async fn works(&self) {
        let stage = Stage::set().await;
        let mut rows = Vec::new();
        let mut row = |provider: &str, case: &str| {
            rows.push(Row {
                surface: self.surface.to_owned(),
                provider: provider.to_owned(),
                case: case.to_owned(),
                found: "ok".to_owned(),
            });
        };
        for provider in PROVIDERS {
            let (said, _scratch) = self.run(&stage, &stage.key, &format!("{provider}/hello")).await;
            assert!(said.fine && said.text.contains(HELLO), "{provider}: {}", said.text);
            row(provider, "stream");

            let (said, scratch) = self.run(&stage, &stage.key, &format!("{provider}/task")).await;
            assert!(said.fine && said.text.contains(TASK_DONE), "{provider}: {}", said.text);
            let written = std::fs::read_to_string(scratch.join(GREETING_FILE)).unwrap_or_else(|error| panic!("{error}\n{}", said.text));
            assert_eq!(written.trim_end(), GREETING, "{provider}");
            row(provider, "task");

            let (said, _scratch) = self.run(&stage, &stage.spent_key, &format!("{provider}/hello")).await;
            assert!(said.text.contains("budget `spent`"), "{provider}: {}", said.text);
            row(provider, "refused");
        }
        // What the provider was asked is in the log, each under the agent's surface: at least one request for a text and two for a task.
        let asked = stage.fleet.provider.requests();
        assert!(asked.iter().all(|request| request.header("authorization").is_none_or(|value| !value.contains(&stage.key))));
        let logs = stage.fleet.logged(asked.len(), "status: 200").await;
        assert_eq!(logs.len(), asked.len());
        assert!(asked.len() >= 3 * PROVIDERS.len(), "{}", asked.len());
        for log in &logs {
            assert_eq!((&log["surface"], &log["stream"]), (&self.logged.into(), &true.into()), "{log}");
        }
        stage.nothing_is_held().await;
        keep(self.package, &Ecosystem::Node.version(self.package), Ecosystem::Node, &rows);
    }
}

#[tokio::test]
async fn claude_code_talks_and_does_a_task_with_every_provider() {
    let prepare = |claude: &mut Command, scratch: &Scratch, run: &Run<'_>| {
        claude.args(["-p", run.prompt, "--output-format", "json", "--permission-mode", "acceptEdits", "--allowedTools", "Write"]);
        claude.env("ANTHROPIC_BASE_URL", run.base_url).env("ANTHROPIC_API_KEY", run.key);
        claude.env("ANTHROPIC_MODEL", run.model).env("ANTHROPIC_SMALL_FAST_MODEL", run.model);
        claude.env("CLAUDE_CONFIG_DIR", scratch.join("settings")).env("CLAUDE_CODE_MAX_RETRIES", "0");
        for off in [
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_TELEMETRY",
            "DISABLE_ERROR_REPORTING",
            "DISABLE_AUTOUPDATER",
            "DISABLE_BUG_COMMAND",
        ] {
            claude.env(off, "1");
        }
    };
    let (package, entry) = ("@anthropic-ai/claude-code", "cli-wrapper.cjs");
    Agent { package, entry, surface: "messages", logged: "anthropic_messages", prepare }.works().await;
}

/// Codex, with such lines at the top of its settings.
fn prepare_codex(codex: &mut Command, scratch: &Scratch, run: &Run<'_>, more: &str) {
    let settings = scratch.join("settings");
    std::fs::create_dir_all(&settings).expect("a directory");
    let text = format!(
        "model = \"{}\"\nmodel_provider = \"worker\"\n{more}check_for_update_on_startup = false\n[analytics]\nenabled = false\n\
         [model_providers.worker]\nname = \"worker\"\nbase_url = \"{}/v1\"\nenv_key = \"WORKER_KEY\"\nwire_api = \"responses\"\n\
         request_max_retries = 0\nstream_max_retries = 0\nsupports_websockets = false\n",
        run.model, run.base_url
    );
    std::fs::write(settings.join("config.toml"), text).expect("a file");
    codex.env("CODEX_HOME", settings).env("WORKER_KEY", run.key);
    // The test's own directory is all there is to guard, and sandboxes do not nest on every machine.
    codex.args(["exec", "--skip-git-repo-check", "--json", "--sandbox", "danger-full-access", run.prompt]);
}

fn codex(prepare: fn(&mut Command, &Scratch, &Run<'_>)) -> Agent {
    let (package, entry) = ("@openai/codex", "bin/codex.js");
    Agent { package, entry, surface: "responses", logged: "openai_responses", prepare }
}

#[tokio::test]
async fn codex_talks_and_does_a_task_with_every_provider() {
    // A search that the provider runs by itself has no bound, and the budget here blocks (ADR 9): Codex is told to go without.
    codex(|codex, scratch, run| prepare_codex(codex, scratch, run, "web_search = \"disabled\"\n")).works().await;
}

/// What `docs/compatibility.md` says of Codex that is not told to go without: refused where the search would run, served elsewhere.
#[tokio::test]
async fn codex_shows_why_its_search_is_refused_where_a_budget_blocks() {
    let stage = Stage::set().await;
    let agent = codex(|codex, scratch, run| prepare_codex(codex, scratch, run, ""));
    let (said, _scratch) = agent.run(&stage, &stage.key, "openai/hello").await;
    for told in ["tool `web_search` is run by the provider", "budget `all` blocks", "leave the tool out"] {
        assert!(!said.fine && said.text.contains(told), "`{told}`: {}", said.text);
    }
    assert_eq!(stage.fleet.logged(1, "status: 403").await[0]["errorCode"], "cost_unbounded");
    let (said, _scratch) = agent.run(&stage, &stage.key, "anthropic/hello").await;
    assert!(said.fine && said.text.contains(HELLO), "{}", said.text);
}

#[tokio::test]
async fn gemini_cli_talks_and_does_a_task_with_every_provider() {
    let prepare = |gemini: &mut Command, scratch: &Scratch, run: &Run<'_>| {
        let settings = scratch.join(".gemini");
        std::fs::create_dir_all(&settings).expect("a directory");
        let text = serde_json::json!({
            "general": {"maxAttempts": 1, "enableAutoUpdate": false},
            "privacy": {"usageStatisticsEnabled": false},
            "security": {"auth": {"selectedType": "gemini-api-key"}},
        });
        std::fs::write(settings.join("settings.json"), text.to_string()).expect("a file");
        gemini.env("GOOGLE_GEMINI_BASE_URL", run.base_url).env("GEMINI_API_KEY", run.key).env("GEMINI_CLI_TRUST_WORKSPACE", "true");
        gemini.args(["-m", run.model, "--approval-mode", "yolo", "--output-format", "json", "-p", run.prompt]);
    };
    let (package, entry) = ("@google/gemini-cli", "bundle/gemini.js");
    Agent { package, entry, surface: "generateContent", logged: "gemini", prepare }.works().await;
}
