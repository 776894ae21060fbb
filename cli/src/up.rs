//! `modelux up`: control plane and one worker in this process, on embedded SQLite, from an empty directory.
//!
//! Promises: one line on stdout says that both planes are ready, and where; below it a request to paste. A second start on the same
//! directory continues where the first left off, and two at once on one directory are refused. SIGTERM and SIGINT drain the worker first
//! and the control plane after it, so that the last usage events are booked; a second signal ends everything at once.
//!
//! Logs go to stderr, so that stdout has the ready line and the request and nothing else.
//!
//! Leaves out: restarting a plane that ends by itself. That ends the other one too, and the process says why.

mod options;
mod planes;
mod ready;
mod welcome;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::output::{self, Progress};

pub(crate) use options::UpArguments;
use options::UpOptions;
use planes::Planes;

/// Runs both planes until a signal.
pub(crate) fn up(arguments: &UpArguments) -> anyhow::Result<ExitCode> {
    let options = UpOptions::find(arguments)?;
    api::telemetry::start_logging(&options.api.telemetry).context("logging can't be set up")?;
    make_private_directory(&options.api.data_dir)?;
    let _lock = lock(&options.api.data_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("modelux-api").enable_all().build()?;
    let ended = runtime.block_on(serve(&options));
    api::telemetry::flush();
    // What still runs after a second signal is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(options: &UpOptions) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("signals can't be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("signals can't be watched")?;
    let mut planes = tokio::select! {
        started = start(options) => started?,
        () = either(&mut interrupt, &mut terminate) => anyhow::bail!("stopped before it was ready"),
    };
    let ended = tokio::select! {
        ended = planes.ended() => Some(ended),
        () = either(&mut interrupt, &mut terminate) => None,
    };
    output::note("stopping: requests in progress may end");
    tokio::select! {
        stopped = planes.stop() => stopped?,
        () = either(&mut interrupt, &mut terminate) => anyhow::bail!("stopped before everything had ended"),
    }
    match ended {
        Some(reason) => Err(reason),
        None => Ok(ExitCode::SUCCESS),
    }
}

async fn start(options: &UpOptions) -> anyhow::Result<Planes> {
    let progress = Progress::of("starting");
    let planes = Planes::start(options).await?;
    ready::wait_until_ready(&planes.addresses()).await?;
    let credentials = planes.write_credentials(options)?;
    drop(progress);
    welcome::print(&credentials, &options.api.data_dir)?;
    Ok(planes)
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn make_private_directory(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("data directory `{}` can't be made", path.display()))
}

/// Held as long as the file is open.
fn lock(directory: &Path) -> anyhow::Result<std::fs::File> {
    let path = directory.join("lock");
    let options = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = options.with_context(|| format!("`{}` can't be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            anyhow::bail!("another `modelux up` runs on `{}`; give this one another --data-dir", directory.display())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("`{}` can't be locked", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_at_once_on_one_directory_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path()).unwrap();
        assert!(lock(directory.path()).unwrap_err().to_string().contains("another `modelux up`"));
        drop(first);
        assert!(lock(directory.path()).is_ok());
    }
}
