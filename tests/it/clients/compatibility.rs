//! `docs/compatibility.md`: what each client could do, as the tests saw it.
//!
//! A section belongs to one client. When what a test saw is not what the document says, the section is written anew and the test fails, so
//! that a change is looked at and committed. Tests run at the same time in processes of their own; a lock keeps their sections apart.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use serde::Deserialize;

use super::installed::Ecosystem;

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Row {
    /// The surface, in the words of its vendor.
    pub(super) surface: String,
    /// The kind of provider; empty where none is asked.
    pub(super) provider: String,
    /// See [`CASES`].
    pub(super) case: String,
    /// `ok`, or what went wrong.
    pub(super) found: String,
}

/// Cases as scripts call them, and as people do.
const CASES: [(&str, &str); 9] = [
    ("plain", "plain"),
    ("stream", "stream"),
    ("tools_whole", "tools"),
    ("tools_streamed", "tools, streamed"),
    ("structured", "structured output"),
    ("errors", "errors"),
    ("disconnect", "disconnect"),
    ("task", "task with its tools"),
    ("refused", "budget spent"),
];

const BEGINNING: &str = "# Compatibility

What real clients did through a worker when the tests last ran, in the versions that `tests/clients` pins. This file is written by the tests
(`make test`), which fail where it is not what they see.

The planes and the clients are real; the provider is not: it is a scripted one that speaks each vendor's interface, written from the vendors'
references. *Passed through* means that the provider speaks the client's dialect, *converted* that it does not.

- *plain*, *stream*: a text with its usage, whole and in pieces
- *tools*: two calls of a function at once and the turn with both results; *streamed* with their arguments in pieces
- *structured output*: a JSON schema that reaches the provider
- *errors*: 400, 401, 402, 404 and 429 as the SDK's own classes
- *disconnect*: the client leaves in the middle of a stream; the request is settled and logged
- *task with its tools*: an agent writes a file as the model tells it, with a tool of its own
- *budget spent*: an agent ends and shows why it was refused

Agents declare tools that their provider runs by itself. Codex sends `web_search` with every request unless it is told not to. Nothing in a request
bounds what such a tool costs, so that where a budget blocks, a provider that would run it (`openai`, `azure`) is refused with 403 and
`cost_unbounded` ([ADR 9](adr/0009-what-nothing-bounds-is-refused-where-a-budget-blocks.md)), and Codex shows why:

> tool `web_search` is run by the provider as often as `openai/gpt-5` likes, so nothing bounds its cost, and budget `team` blocks; leave the
> tool out, or let budget `team` not block (`at_cap: warn_only`)

To leave it out, say so at the top of Codex's `config.toml` (in `~/.codex`, or where `CODEX_HOME` points), as the tests here do:

```toml
web_search = \"disabled\"
```

Through every other provider it is left out and named in `X-Modelux-Dropped`; nothing has to be switched off.
";

/// Compares one client's section with the document, and writes it where it differs.
pub(super) fn keep(client: &str, version: &str, ecosystem: Ecosystem, rows: &[Row]) {
    let failed: Vec<_> = rows.iter().filter(|row| row.found != "ok").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let title = format!("## {client} {version} ({ecosystem:?})");
    let section = format!("{title}\n\n{}", table(rows));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).expect("docs/compatibility.md");
    file.lock().expect("a lock");
    let mut before = String::new();
    file.read_to_string(&mut before).expect("text");
    let mut sections: Vec<String> = before.split("\n## ").skip(1).map(|rest| format!("## {}\n", rest.trim_end())).collect();
    sections.retain(|other| whose(other) != whose(&section));
    sections.push(section);
    sections.sort();
    let after = format!("{BEGINNING}\n{}", sections.join("\n"));
    if after != before {
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(after.as_bytes()))
            .expect("docs/compatibility.md is written");
        panic!("`docs/compatibility.md` said otherwise about {client}; it is written anew: look at the difference");
    }
}

/// Client and ecosystem of a section: the words around the version in its title.
fn whose(section: &str) -> Option<(&str, &str)> {
    let (client, rest) = section.lines().next()?.strip_prefix("## ")?.split_once(' ')?;
    Some((client, rest.rsplit(' ').next()?))
}

/// Surface and provider down, cases across; only cases that occur.
fn table(rows: &[Row]) -> String {
    let cases: Vec<_> = CASES.iter().filter(|(case, _)| rows.iter().any(|row| row.case == *case)).collect();
    let mut text = "| surface | provider | |".to_owned();
    text.extend(cases.iter().map(|(_, name)| format!(" {name} |")));
    text.push_str(&format!("\n| --- | --- | --- |{}\n", " --- |".repeat(cases.len())));
    let mut places: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        let place = (row.surface.as_str(), row.provider.as_str());
        if !places.contains(&place) {
            places.push(place);
        }
    }
    for (surface, provider) in places {
        let way = if provider.is_empty() {
            "answered by the worker"
        } else if native(surface) == provider {
            "passed through"
        } else {
            "converted"
        };
        text.push_str(&format!("| {surface} | {} | {way} |", if provider.is_empty() { "–" } else { provider }));
        for (case, _) in &cases {
            let has = rows.iter().any(|row| (row.surface.as_str(), row.provider.as_str(), row.case.as_str()) == (surface, provider, case));
            text.push_str(if has { " yes |" } else { " – |" });
        }
        text.push('\n');
    }
    text
}

/// Whose surface it is.
fn native(surface: &str) -> &'static str {
    match surface {
        "messages" => "anthropic",
        "generateContent" | "embedContent" => "google",
        _ => "openai",
    }
}
