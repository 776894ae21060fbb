//! The policy everything is measured under: entry policy with four rules of which three are tried in vain, four budgets
//! that apply to every request, one project and its key.

use std::fmt::Write;
use std::net::SocketAddr;

/// The key that load is sent with, as `apply` names it.
pub(crate) const LOAD_KEY: &str = "bench/load";
/// Organization, project, key and tag: all of them apply to every request.
const BUDGETS: [(&str, &str); 4] =
    [("org", "organization"), ("project", "{project: bench}"), ("key", "{key: bench/load}"), ("team", "{tag: team, value: platform}")];

/// What the providers serve: a name each for chat and for embeddings, so that the path and the dialect alone decide what an answer is.
const MODELS: [&str; 6] =
    ["openai/gpt-test", "openai/embedding-test", "anthropic/claude-test", "google/gemini-test", "google/embedding-test", "slow/gpt-test"];

/// The manifest, with `idle_keys` more keys that nobody uses.
pub(crate) fn write(mock: SocketAddr, slow_mock: SocketAddr, idle_keys: usize) -> String {
    let mut text = format!(
        "org: default\n\
         settings: {{entry_policy: \"@company-policy\"}}\n\
         providers:\n\
         \x20 - {{name: openai, vendor: openai, base_url: \"http://{mock}/v1\", api_key: \"${{BENCH_UPSTREAM_KEY}}\"}}\n\
         \x20 - {{name: anthropic, vendor: anthropic, base_url: \"http://{mock}\", api_key: \"${{BENCH_UPSTREAM_KEY}}\"}}\n\
         \x20 - {{name: google, vendor: google, base_url: \"http://{mock}\", api_key: \"${{BENCH_UPSTREAM_KEY}}\"}}\n\
         \x20 - {{name: slow, vendor: openai_compatible, base_url: \"http://{slow_mock}/v1\", api_key: \"${{BENCH_UPSTREAM_KEY}}\"}}\n\
         models:\n{}\
         routing_configs:\n\
         \x20 - slug: company-policy\n    strategy: custom_rules\n    rules:\n\
         \x20     - {{if: \"tags.team == 'support'\", then: \"@cheap\"}}\n\
         \x20     - {{if: \"tags.sensitivity == 'pii'\", then: \"@pii-safe\"}}\n\
         \x20     - {{if: \"budget.used_pct >= 0.9\", then: \"@cheap\"}}\n\
         \x20     - {{else: \"pass\"}}\n\
         \x20 - {{slug: cheap, strategy: single, model: openai/gpt-test}}\n\
         \x20 - {{slug: pii-safe, strategy: single, model: openai/gpt-test}}\n\
         projects:\n  - name: bench\n    tags: {{team: platform}}\n    keys:\n      - {{name: load}}\n",
        MODELS.map(model).concat(),
    );
    // Writing to a string cannot fail.
    for number in 0..idle_keys {
        writeln!(text, "      - {{name: idle-{number:05}}}").ok();
    }
    text.push_str("budgets:\n");
    for (name, scope) in BUDGETS {
        writeln!(text, "  - {{name: {name}, scope: {scope}, period: monthly, cap_usd: 1000000, at_cap: block}}").ok();
    }
    text
}

fn model(name: &str) -> String {
    format!(
        "  - {{model: {name}, input_usd_per_mtok: 1.0, cached_input_usd_per_mtok: 0.1, output_usd_per_mtok: 2.0, \
         context_tokens: 2000000, max_output_tokens: 4096, quality_tier: standard}}\n"
    )
}
