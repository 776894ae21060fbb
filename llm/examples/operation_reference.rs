//! Prints the reference of what is passed through, from the table that workers read: `make gen` writes it to `docs/reference/passthrough.md`.

use llm::operation::{Cost, Family, Names, Operation, Takes, all};

const HEAD: &str = "# What is passed through

<!-- made by `make gen` from llm/operation; edit the table there -->

The operations of vendors that workers pass through, by the names that rules know them by (`request.operation`). The first part of a path may be left
out: `/v1/files` is `/openai/v1/files`. [passthrough.md](../passthrough.md) says how they are governed.

- **cost**: `free`; `free at OpenAI`, and tokens elsewhere; `tokens` of the model that is named, priced as its answers are; `unknown`, which
  no budget that blocks lets pass.
- **model**: where the request names one. Where it names none, a key needs all of the provider's models for what is not free.
";

fn takes(takes: Takes) -> &'static str {
    match takes {
        Takes::Nothing => "–",
        Takes::Json => "JSON",
        Takes::Form => "form",
        Takes::JsonOrForm => "JSON or form",
        Takes::Anything => "anything",
    }
}

fn names(names: Names) -> &'static str {
    match names {
        Names::Nothing => "–",
        Names::Body => "`model`",
        Names::Path => "in the path",
        Names::EachRequest => "`requests[].params.model`",
    }
}

fn cost(cost: Cost) -> &'static str {
    match cost {
        Cost::Free => "free",
        Cost::FreeAtOpenAi => "free at OpenAI",
        Cost::Tokens | Cost::TokensOfMedia => "tokens",
        Cost::Unknown => "unknown",
    }
}

#[expect(clippy::print_stdout, reason = "printing is what this program is for")]
fn main() {
    print!("{HEAD}");
    for (family, title) in [(Family::OpenAi, "OpenAI"), (Family::Anthropic, "Anthropic"), (Family::Gemini, "Gemini")] {
        println!("\n## {title}\n\n| operation | body | model | cost |\n| --- | --- | --- | --- |");
        for operation in all().filter(|operation| operation.family == family) {
            let Operation { takes: body, names: model, cost: price, .. } = *operation;
            println!("| `{}` | {} | {} | {} |", operation.name(), takes(body), names(model), cost(price));
        }
    }
}
