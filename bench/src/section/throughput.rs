//! Processor time per request at saturation: the main figure, of chat passed through at three sizes. How it is found is `saturation`'s.

use std::fmt::Write;

use super::saturation::{self, Field, Saturation};
use super::{Bench, Entry, Times};
use crate::contestant::{Contestant, Fleet, Mock, Name};
use crate::load::{Peers, Shape, WARM_UP};

/// Steps this section announces.
pub(crate) fn steps(rounds: usize, contestants: usize) -> usize {
    rounds * contestants * Shape::CHAT.len()
}

/// Who takes part in it.
pub(crate) struct Contest<'a> {
    pub(crate) contestants: &'a [Contestant],
    pub(crate) fleet: Option<&'a Fleet<'a>>,
    pub(crate) mock: &'a Mock,
}

/// Measures and returns the table.
pub(crate) fn measure(bench: &Bench<'_>, contest: &Contest<'_>, peers: Peers) -> anyhow::Result<String> {
    let Contest { contestants, fleet, mock } = contest;
    let entries = Entry::of_all(&Shape::CHAT, contestants);
    let times = Times { rounds: bench.rounds, warm_up: WARM_UP, seconds: bench.seconds };
    let found = saturation::measure(bench, &Field { entries: &entries, fleet: *fleet, mock, peers, times })?;
    table(&found, contestants.iter().map(|contestant| contestant.name))
}

fn table(found: &Saturation, names: impl Iterator<Item = Name>) -> anyhow::Result<String> {
    let mut text = String::from("| proxy |");
    for shape in Shape::CHAT {
        write!(text, " {}: CPU µs | × nginx | × bare Pingora |", shape.size())?;
    }
    text.push_str(" requests/s per full core: 1 kB / 32 kB / stream |\n|---|");
    text.push_str(&"---|".repeat(Shape::CHAT.len() * 3 + 1));
    for name in names {
        write!(text, "\n| {} |", name.title())?;
        for shape in Shape::CHAT {
            let ratio = |base| found.ratio_cell(name, base, shape);
            write!(text, " {} | {} | {} |", found.processor_cell(name, shape), ratio(Name::Nginx), ratio(Name::BarePingora))?;
        }
        write!(text, " {} |", rates(found, name))?;
    }
    text.push_str("\n\n");
    text.push_str(&found.notes()?);
    Ok(text)
}

fn rates(found: &Saturation, name: Name) -> String {
    let rate = |shape| found.processor_us(name, shape).map_or_else(|| "–".into(), |spread| format!("{:.0}", 1e6 / spread.median));
    Shape::CHAT.map(rate).join(" / ")
}
