//! How far a measurement is: a bar on a terminal, a line per step elsewhere. On standard error, so that the table can be piped.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(crate) fn new(steps: usize) -> anyhow::Result<Self> {
        if !std::io::stderr().is_terminal() {
            return Ok(Self(None));
        }
        let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len}  {msg:40!}")?;
        let bar = ProgressBar::new(steps as u64).with_style(style);
        bar.enable_steady_tick(std::time::Duration::from_millis(500));
        Ok(Self(Some(bar)))
    }

    /// Says what is done next.
    pub(crate) fn step(&self, what: &str) {
        match &self.0 {
            Some(bar) => {
                bar.set_message(what.to_owned());
                bar.inc(1);
            }
            // Nobody listening is no reason to stop measuring.
            None => drop(writeln!(std::io::stderr(), "bench: {what}")),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
