//! Prints the reference of the rule language, from the vocabulary that the checker itself reads: `make gen` writes it to `docs/reference/rules.md`.

use policy::rule::{FUNCTIONS, RESPONSE_VARIABLES, VARIABLES, Variable};

const HEAD: &str = "# Rules

<!-- made by `make gen` from policy/rule; edit the vocabulary there -->

A rule is one [CEL](https://cel.dev) expression that is true or false, such as `tags.team == 'support' && request.stream`. It is checked
when it is saved: unknown names, types that can't fit and expressions that are too large are refused with line and column.

A missing tag is null: equal only to null, neither smaller nor larger than anything. An expression that fails at run time counts as
false, except in a rule that denies, where it counts as true; the decision trace says so. `used_pct` is a fraction (0.9 = 90 %) of what is settled
and reserved. Hours and weekdays (0 = Sunday) are in the organization's time zone.

## Variables

| name | type | what it is |
| --- | --- | --- |
";

const ANSWERS: &str = "
## Variables of `accept`

`accept` of a `cascade` judges the answer of its step. It is the same language with these variables alone; an expression that fails accepts
nothing.

| name | type | what it is |
| --- | --- | --- |
";

#[expect(clippy::print_stdout, reason = "printing is what this program is for")]
fn main() {
    print!("{HEAD}");
    let line = |variable: &Variable| println!("| `{}` | {} | {} |", variable.name, variable.ty, variable.doc);
    VARIABLES.iter().for_each(line);
    print!("{ANSWERS}");
    RESPONSE_VARIABLES.iter().for_each(line);
    println!("\n## Functions\n\n| name | written | what it answers |\n| --- | --- | --- |");
    for function in FUNCTIONS {
        println!("| `{}` | `{}` | {} |", function.name, function.usage.replace('|', "\\|"), function.doc);
    }
    println!("\nBesides these: `&&`, `||`, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `? :`, and arithmetic on numbers of one kind.");
}
