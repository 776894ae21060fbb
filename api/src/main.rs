//! `modelux-api`: the control plane as a program of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use api::bootstrap::{Credentials, reachable};
use api::config::{ApiOptions, Config};
use api::{ControlPlane, telemetry};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(name = "modelux-api", version, about = "The control plane of modelux")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the control plane
    Serve(ApiOptions),
    /// Bring the database's schema up to date, and end
    Migrate(ApiOptions),
    /// What only who runs the deployment may do
    Admin(AdminArguments),
}

#[derive(Args)]
struct AdminArguments {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Print a new worker token
    CreateWorkerToken {
        /// What people call it
        #[arg(long, default_value = "worker")]
        name: String,
        #[command(flatten)]
        options: ApiOptions,
    },
    /// Wrap all secrets with the present master key
    RotateMasterKey(ApiOptions),
    /// Print who may do what
    Permissions,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("error: {error:#}"), &mut std::io::stderr());
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("TLS can't be set up");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve(options) => {
                // A fleet begins without the demo; `modelux up` begins with it.
                let demo = options.no_demo == Some(false);
                serve(Config { demo, ..options.into_config()? }).await
            }
            Command::Migrate(options) => ControlPlane::open(options.into_config()?).await.map(|_| ()).map_err(Into::into),
            Command::Admin(AdminArguments { command }) => administer(command).await,
        }
    })
}

async fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::start_logging(&config.telemetry)?;
    let (data_dir, proxy_url) = (config.data_dir.clone(), config.proxy_url.clone());
    let listening = ControlPlane::open(config).await?.listen().await?;
    let address = listening.address();
    listening.plane().bootstrap(|credentials| write_credentials(&data_dir, address, &proxy_url, credentials)).await?;
    tell(format_args!("modelux-api ready at http://{address}"), &mut std::io::stdout());
    listening.serve(told_to_stop()?).await;
    Ok(tokio::task::spawn_blocking(telemetry::flush).await?)
}

async fn administer(command: AdminCommand) -> anyhow::Result<()> {
    match command {
        AdminCommand::CreateWorkerToken { name, options } => {
            let plane = ControlPlane::open(options.into_config()?).await?;
            let tx = plane.state().database.begin().await?;
            let token = api::link::create_worker_token(&tx, &plane.state().clock, &name).await?;
            tx.commit().await?;
            tell(format_args!("{token}"), &mut std::io::stdout());
        }
        AdminCommand::RotateMasterKey(options) => {
            let plane = ControlPlane::open(options.into_config()?).await?;
            let tx = plane.state().database.begin().await?;
            let changed = plane.state().secrets.rewrap_all(&tx).await?;
            tx.commit().await?;
            tell(format_args!("{changed} wrapped anew"), &mut std::io::stdout());
        }
        AdminCommand::Permissions => {
            tell(format_args!("{}", api::authz::Matrix::load().await?.to_text().trim_end()), &mut std::io::stdout());
        }
    }
    Ok(())
}

/// Keeps the first secrets in the data directory, for its owner's eyes only.
fn write_credentials(data_dir: &Path, address: SocketAddr, proxy_url: &str, credentials: &Credentials) -> std::io::Result<()> {
    credentials.write(&data_dir.join("credentials.json"), &format!("http://{}", reachable(address)), proxy_url)
}

/// Ends with SIGTERM or Ctrl-C.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Writes one line for people; that nobody reads it is no reason to fail.
fn tell(line: std::fmt::Arguments<'_>, to: &mut dyn std::io::Write) {
    drop(writeln!(to, "{line}"));
    drop(to.flush());
}
