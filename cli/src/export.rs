//! `modelux export`: what is there, as a manifest that changes nothing when it is applied.
//!
//! Secrets are not in it; a manifest without them keeps them.

use std::process::ExitCode;

use anyhow::Context as _;
use policy::source::Manifest;
use web_schema::ExportManifest;

use crate::arguments::{ExportArguments, Format};
use crate::config::Target;
use crate::control::ControlPlane;
use crate::output::{self, Progress};

/// Prints the manifest.
pub(crate) async fn export(arguments: &ExportArguments) -> anyhow::Result<ExitCode> {
    let control = ControlPlane::new(Target::find(&arguments.target)?)?;
    let progress = Progress::of("exporting");
    let answer = control.ask(&ExportManifest::default()).await?;
    drop(progress);
    let manifest = serde_json::from_value(answer.export_manifest)
        .context("the control plane's manifest can't be read; is it newer than this tool?")?;
    match arguments.output {
        Format::Text => output::line(to_yaml(&manifest)?.trim_end())?,
        Format::Json => output::line(serde_json::to_string_pretty(&manifest)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Choices such as `{downgrade: "@cheap"}` are written as objects; YAML's own way would be tags.
pub(crate) fn to_yaml(manifest: &Manifest) -> Result<String, serde_yaml_ng::Error> {
    let mut text = Vec::new();
    let mut serializer = serde_yaml_ng::Serializer::new(&mut text);
    serde_yaml_ng::with::singleton_map_recursive::serialize(manifest, &mut serializer)?;
    drop(serializer);
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::{Secrets, Source};

    #[test]
    fn what_is_exported_reads_back_as_it_was() {
        let manifest: Manifest = serde_json::from_value(json!({
            "org": "default",
            "settings": {"time_zone": "Europe/Berlin", "entry_policy": "@entry", "ip_allowlist": {"management": ["10.0.0.0/8"], "proxy": ["::1/128"]},
                "deny_private_upstreams": true, "unpriced_models": "deny", "retention_days": 7},
            "providers": [{"name": "sim", "vendor": "simulated"}, {"name": "own", "vendor": "openai_compatible", "base_url": "http://127.0.0.1:1/v1", "health_check": {"path": "/health"}}],
            "models": [{"model": "own/m", "input_usd_per_mtok": "0.000000001", "output_usd_per_mtok": 123456.789, "context_tokens": 1, "max_output_tokens": 1,
                "cached_input_usd_per_mtok": 0.1, "cache_write_usd_per_mtok": 1, "reasoning_usd_per_mtok": 3, "quality_tier": "premium"}],
            "routing_configs": [
                {"slug": "entry", "strategy": "custom_rules", "rules": [{"if": "tags.team == 'no'", "then": {"deny": "no: \"never\" # at all"}}, {"else": "pass"}]},
                {"slug": "f", "strategy": "fallback", "attempts": [{"model": "own/m", "timeout_ms": 5}, {"model": "@l"}], "retry_on": ["429", "5xx"], "total_budget_ms": 9},
                {"slug": "l", "strategy": "allowlist", "models": ["*", "own/m"], "otherwise": "own/m", "embedding_dimensions": 512}],
            "projects": [{"name": "123", "tags": {"yes": "no", "a": "null", "b": "1.0", "c": ""}, "settings": {"auto_resolve_bare_model": false, "strict_capabilities": true, "entry_policy": "@entry",
                    "guardrails": {"detection": {"action": "off", "mode": "shadow"}, "webhook": {"url": "https://guard.example.com", "fail": "open"}}},
                "routing_configs": [{"slug": "own", "strategy": "single", "model": "@f"}],
                "keys": [{"name": "k", "tags": {"x": "y"}, "rpm": 1, "expires": "2027-01-01", "allowed_models": ["own/*"], "ip_allowlist": ["127.0.0.1/32"], "owner": "a@b.c"},
                         {"name": "l", "expires": "2027-01-01T10:00:00.5Z"}]}],
            "budgets": [
                {"name": "a", "scope": "organization", "period": "monthly", "cap_usd": 100, "at_cap": {"downgrade": "@f"}, "downgrade_at": 0.9, "thresholds": [0.5, 0.8], "anchor_day": 5, "time_zone": "UTC", "mode": "shadow"},
                {"name": "b", "scope": {"tag": "team", "value": "x"}, "period": "total", "cap_usd": "0.000000001", "at_cap": "block", "clamp_output": true, "thresholds": []},
                {"name": "c", "scope": "end_user", "period": "daily", "cap_usd": 1, "at_cap": "warn_only"}],
            "members": [{"email": "a@b.c", "role": "admin"}],
        }))
        .unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("m.yaml"), to_yaml(&manifest).unwrap()).unwrap();
        let read = Source::read(directory.path(), &Secrets::Leave)
            .unwrap_or_else(|problems| panic!("{problems:?}\n{}", to_yaml(&manifest).unwrap()));
        assert_eq!(read.manifest, manifest);
    }
}
