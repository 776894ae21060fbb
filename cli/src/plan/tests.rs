//! Manifests against a real control plane in this process.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::arguments::TargetArguments;
use crate::config::CREDENTIALS;
use crate::export::to_yaml;

/// A control plane with its directory, until dropped.
struct Running {
    directory: TempDir,
    _serving: JoinSet<()>,
}

impl Running {
    async fn start() -> Self {
        // Another test of this process may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let directory = tempfile::tempdir().unwrap();
        let mut config = api::config::Config::in_directory(directory.path().to_owned());
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        let listening = api::ControlPlane::open(config).await.unwrap().listen().await.unwrap();
        let url = format!("http://{}", listening.address());
        let path = directory.path().join(CREDENTIALS);
        listening.plane().bootstrap(|first| first.write(&path, &url, "http://127.0.0.1:1")).await.unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(listening.serve(std::future::pending()));
        Self { directory, _serving: serving }
    }

    fn arguments(&self, manifest: &str, prune: bool) -> PlanArguments {
        let file: PathBuf = self.directory.path().join("m.yaml");
        std::fs::write(&file, manifest).unwrap();
        let target = TargetArguments { data_dir: Some(self.directory.path().to_owned()), ..TargetArguments::default() };
        PlanArguments { file, prune, output: Format::Text, target }
    }

    fn work(&self, manifest: &str) -> Work {
        Work::prepare(&self.arguments(manifest, false)).unwrap_or_else(|failure| panic!("{}", describe(failure)))
    }

    async fn plan(&self, manifest: &str) -> Outcome {
        self.work(manifest).plan().await.unwrap_or_else(|failure| panic!("{}", describe(failure)))
    }

    async fn apply(&self, manifest: &str) -> Outcome {
        self.work(manifest).apply().await.unwrap_or_else(|failure| panic!("{}", describe(failure)))
    }

    async fn export(&self) -> policy::source::Manifest {
        let target = Target::find(&self.arguments("", false).target).unwrap();
        let answer = ControlPlane::new(target).unwrap().ask(&web_schema::ExportManifest::default()).await.unwrap();
        serde_json::from_value(answer.export_manifest).unwrap()
    }
}

fn describe(failure: Failure) -> String {
    match failure {
        Failure::Manifest(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Failure::Other(error) => format!("{error:#}"),
    }
}

/// Every field of every resource, none at its default.
pub(crate) fn full() -> Value {
    json!({
        "org": "default",
        "settings": {"time_zone": "Europe/Berlin", "entry_policy": "@entry", "ip_allowlist": {"management": ["127.0.0.0/8"], "proxy": ["::1/128"]},
            "deny_private_upstreams": false, "unpriced_models": "deny", "retention_days": 7},
        "providers": [{"name": "sim", "vendor": "simulated"}, {"name": "own", "vendor": "openai_compatible", "base_url": "http://127.0.0.1:1/v1"}],
        "models": [{"model": "own/m", "input_usd_per_mtok": "0.000000001", "output_usd_per_mtok": 123456.789, "context_tokens": 1, "max_output_tokens": 1,
            "cached_input_usd_per_mtok": 0.1, "cache_write_usd_per_mtok": 1, "reasoning_usd_per_mtok": 3, "quality_tier": "premium"}],
        "routing_configs": [
            {"slug": "entry", "strategy": "custom_rules", "rules": [{"if": "tags.team == 'no'", "then": {"deny": "no: \"never\" # at all"}}, {"else": "pass"}]},
            {"slug": "f", "strategy": "fallback", "attempts": [{"model": "own/m", "timeout_ms": 5}, {"model": "@l"}], "retry_on": ["429", "5xx"], "total_budget_ms": 9},
            {"slug": "l", "strategy": "allowlist", "models": ["*", "own/m"], "otherwise": "own/m"}],
        "projects": [{"name": "123", "tags": {"yes": "no", "a": "null", "b": "1.0", "c": ""},
            "settings": {"auto_resolve_bare_model": false, "strict_capabilities": true, "entry_policy": "@entry",
                "guardrails": {"models": {"allow": ["own/*"], "deny": ["x"], "mode": "shadow"}, "detection": {"action": "off", "kinds": ["iban"]},
                    "webhook": {"url": "https://guard.example.com/a/", "timeout_ms": 5, "fail": "closed", "sends": "request"}}},
            "routing_configs": [{"slug": "own", "strategy": "single", "model": "@f"}],
            "keys": [{"name": "k", "tags": {"x": "y"}, "rpm": 1, "expires": "2037-01-01", "allowed_models": ["own/*"], "ip_allowlist": ["127.0.0.1/32"], "owner": "owner@localhost"},
                     {"name": "l", "expires": "2037-01-01T10:00:00.5Z"}]}],
        "budgets": [
            {"name": "a", "scope": "organization", "period": "monthly", "cap_usd": 100, "at_cap": {"downgrade": "@f"}, "downgrade_at": 0.9,
             "thresholds": [0.5, 0.8], "anchor_day": 5, "time_zone": "UTC", "mode": "shadow"},
            {"name": "b", "scope": {"tag": "team", "value": "x"}, "period": "total", "cap_usd": "0.000000001", "at_cap": "block", "clamp_output": true, "thresholds": []},
            {"name": "c", "scope": "end_user", "period": "daily", "cap_usd": 1, "at_cap": "warn_only"},
            {"name": "d", "scope": {"key": "123/k"}, "period": "weekly", "cap_usd": 1, "anchor_day": 3},
            {"name": "e", "scope": {"tag": "team"}, "period": "quarterly", "cap_usd": 1},
            {"name": "f", "scope": {"model": "own/*"}, "period": "yearly", "cap_usd": 1},
            {"name": "g", "scope": {"provider": "own"}, "period": "daily", "cap_usd": 1},
            {"name": "h", "scope": {"end_user": "u"}, "period": "daily", "cap_usd": 1},
            {"name": "i", "scope": {"project": "123"}, "period": "daily", "cap_usd": 1}],
        "members": [{"email": "a@b.c", "role": "admin"}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_applied_twice_changes_nothing_the_second_time() {
    let running = Running::start().await;
    let manifest = serde_yaml_ng::to_string(&full()).unwrap();
    let planned = running.plan(&manifest).await;
    let first = running.apply(&manifest).await;
    assert_eq!(first.changes, planned.changes);
    assert_eq!(first.created_keys.keys().collect::<Vec<_>>(), ["123/k", "123/l"]);
    let planned = running.plan(&manifest).await;
    assert_eq!(planned.changes, []);
    let second = running.apply(&manifest).await;
    assert_eq!((second.changes.len(), second.revision), (0, first.revision));
    assert!(second.created_keys.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_comes_back_as_it_was_declared_and_an_export_plans_empty() {
    let running = Running::start().await;
    running.apply(&serde_yaml_ng::to_string(&full()).unwrap()).await;
    let exported = running.export().await;
    assert_eq!(running.plan(&to_yaml(&exported).unwrap()).await.changes, []);
    let declared: policy::source::Manifest = serde_json::from_value(full()).unwrap();
    let exported = serde_json::to_value(exported).unwrap();
    let declared = serde_json::to_value(declared).unwrap();
    for (list, name) in [
        ("providers", "name"),
        ("models", "model"),
        ("routing_configs", "slug"),
        ("projects", "name"),
        ("budgets", "name"),
        ("members", "email"),
    ] {
        for wanted in declared[list].as_array().unwrap() {
            let found = exported[list].as_array().unwrap().iter().find(|found| found[name] == wanted[name]);
            assert_eq!(found, Some(wanted), "{list}");
        }
    }
    assert_eq!(exported["settings"], declared["settings"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_control_plane_refuses_is_shown_at_its_line() {
    let running = Running::start().await;
    let manifest = "org: default\nrouting_configs:\n- slug: a\n  strategy: custom_rules\n  rules:\n  - if: nonsense == 1\n    then: pass\n  - else: nowhere/x\n";
    let Err(Failure::Manifest(problems)) = running.work(manifest).plan().await else { panic!("accepted nonsense") };
    let mut lines: Vec<_> = problems.iter().map(|problem| (problem.line, problem.field.as_str())).collect();
    lines.sort_unstable();
    assert_eq!(lines, [(6, "rules[0].if"), (8, "rules[1].else")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_for_another_organization_is_refused() {
    let running = Running::start().await;
    let Err(Failure::Manifest(problems)) = running.work("# a comment\norg: other\n").apply().await else { panic!("accepted") };
    assert_eq!((problems[0].line, problems[0].field.as_str()), (2, "org"));
}
