//! `modelux-worker`: one data-plane worker, or a look at a bundle.
//!
//! SIGTERM and SIGINT drain: nothing new is accepted, what is in progress may end, what was spent is reported, and the process ends with 0.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use policy::bundle::v1::Bundle;
use policy::bundle::{Envelope, VerifyingKey};
use policy::engine::Engine;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use worker::config::WorkerOptions;
use worker::{Bound, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One data-plane worker of modelux.
#[derive(Parser)]
#[command(name = "modelux-worker", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve requests until SIGTERM
    Serve(Box<WorkerOptions>),
    /// Say whether a bundle could be enforced
    CheckBundle {
        /// A bundle, or an envelope with one, as JSON
        file: PathBuf,
        /// Also check an envelope's signature with this key, base 64
        #[arg(long)]
        verifying_key: Option<String>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(options) => serve(*options),
        Command::CheckBundle { file, verifying_key } => check_bundle(&file, verifying_key.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is closed there is nobody to tell.
            let told = writeln!(std::io::stderr(), "modelux-worker: {error:#}");
            ExitCode::from(if told.is_ok() { 1 } else { 2 })
        }
    }
}

fn serve(options: WorkerOptions) -> anyhow::Result<()> {
    let config = options.into_config()?;
    telemetry::logs::start(&config)?;
    let stop = CancellationToken::new();
    let (ready, bound) = oneshot::channel();
    let watch = std::thread::Builder::new().name("modelux-signals".to_owned());
    let on_signal = stop.clone();
    watch.spawn(move || watch_signals(&on_signal, bound)).context("no thread for signals")?;
    worker::run(config, stop, ready)?;
    Ok(())
}

/// Says when the worker is ready, and cancels `stop` at the first signal.
fn watch_signals(stop: &CancellationToken, bound: oneshot::Receiver<Bound>) {
    let watched = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        runtime.block_on(async {
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let signalled = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            let announced = async {
                if let Ok(bound) = bound.await {
                    announce(&bound);
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = signalled => {}
                () = announced => {}
            }
            Ok(())
        })
    });
    if let Err(error) = watched {
        tracing::error!(%error, "signals can't be watched");
    }
    stop.cancel();
}

fn announce(bound: &Bound) {
    let scheme = if bound.tls { "https" } else { "http" };
    let mut line = format!("modelux-worker is ready: {scheme}://{}", bound.proxy);
    if let Some(admin) = bound.admin {
        line.push_str(&format!(" (health and metrics also at http://{admin})"));
    }
    if writeln!(std::io::stdout(), "{line}").is_err() {
        tracing::warn!("stdout is closed; the worker is ready all the same");
    }
}

fn check_bundle(file: &Path, verifying_key: Option<&str>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("`{}` can't be read", file.display()))?;
    let bundle = read_bundle(&text, verifying_key).with_context(|| format!("`{}` is not usable", file.display()))?;
    let (org, revision) = (bundle.org.slug.clone(), bundle.revision);
    let counts = (bundle.projects.len(), bundle.keys.len(), bundle.configs.len(), bundle.budgets.len());
    Engine::load(bundle).context("the bundle can't be enforced")?;
    let (projects, keys, configs, budgets) = counts;
    writeln!(
        std::io::stdout(),
        "ok: `{org}` revision {revision}: {projects} projects, {keys} keys, {configs} routing configs, {budgets} budgets"
    )?;
    Ok(())
}

fn read_bundle(text: &str, verifying_key: Option<&str>) -> anyhow::Result<Bundle> {
    let envelope = serde_json::from_str::<Envelope>(text);
    match (envelope, verifying_key) {
        (Ok(envelope), Some(key)) => Ok(envelope.open(&VerifyingKey::from_base64(key)?)?),
        (Ok(envelope), None) => Ok(serde_json::from_str(envelope.body.get())?),
        (Err(_), Some(_)) => bail!("there is a key to check with, but no signature"),
        (Err(_), None) => Ok(serde_json::from_str(text)?),
    }
}
