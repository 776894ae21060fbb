//! What the tool prints, and the questions it asks: the one place that writes to the terminal.
//!
//! Promises: answers go to stdout, everything else to stderr. A reader that goes away (`| head`) ends the command quietly. Colours and
//! spinners appear on terminals only, a spinner only for work that takes longer than people notice.

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this is not worth a spinner.
const NOTICEABLE: Duration = Duration::from_millis(300);

/// Prints one line, or several, of the answer.
pub(crate) fn line(text: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints something beside the answer. What stderr does not take is lost; there is nowhere left to say so.
pub(crate) fn note(text: impl Display) {
    writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
}

/// Prints an error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let label = console::style("error:").red().bold().for_stderr();
    note(format_args!("{label} {error:#}"));
}

/// Prints what clap says, help or a mistake in the command line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let failed = error.use_stderr();
    error.print().unwrap_or_default();
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether a person can be asked.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question that only `y` or `yes` agrees to.
pub(crate) fn confirm(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    drop(stderr);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// A sign of life while something takes long. Gone when dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of `work`, from now on.
    pub(crate) fn of(work: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(work);
        let late = bar.downgrade();
        std::thread::spawn(move || {
            std::thread::sleep(NOTICEABLE);
            if let Some(bar) = late.upgrade().filter(|bar| !bar.is_finished()) {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(Duration::from_millis(100));
            }
        });
        Self { bar }
    }

    /// Says how far it is.
    pub(crate) fn say(&self, text: String) {
        self.bar.set_message(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
