//! The mock provider and the two proxies the worker is held against.

use std::fmt::Write;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::{Contestant, Name, answers, wait_until_ready};
use crate::accounting;
use crate::load::{Peers, RequestText};
use crate::process::{Placement, Process, Program, Starter, free_address};

const START_LIMIT: Duration = Duration::from_secs(10);

/// A mock provider that runs.
pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Mock {
    /// `chunk_delay` apart from zero makes streams last, so that many can be open at once.
    pub(crate) fn start(starter: &Starter<'_>, chunk_delay: Duration) -> anyhow::Result<Self> {
        let address = free_address()?;
        let delay = chunk_delay.as_millis();
        let arguments = ["mock-upstream", "--listen", &address.to_string(), "--chunk-delay-ms", &delay.to_string()].map(str::to_owned);
        let mut process = start_own(starter, &format!("mock-{delay}"), arguments.to_vec(), Placement::Load)?;
        wait_until_ready(&mut process, address, "/", START_LIMIT)?;
        Ok(Self { address, _process: process })
    }

    /// Tells it what to do while nothing is there for it.
    pub(crate) fn stay(&self, peers: Peers) -> anyhow::Result<()> {
        self.tell(match peers {
            Peers::Awake => "/awake",
            Peers::Asleep => "/asleep",
        })
    }

    /// Tells it to keep all streams half-way, or to let them go on.
    pub(crate) fn hold(&self, held: bool) -> anyhow::Result<()> {
        self.tell(if held { "/hold" } else { "/release" })
    }

    fn tell(&self, path: &str) -> anyhow::Result<()> {
        let status = answers(self.address, &RequestText::get(path));
        anyhow::ensure!(status == Some(200), "the mock provider does not answer");
        Ok(())
    }

    pub(crate) fn contestant(&self) -> Contestant {
        Contestant { name: Name::Direct, address: self.address, processes: Vec::new(), key: "none".into(), model: "gpt-test".into() }
    }
}

/// A proxy that runs.
pub(crate) struct Baseline {
    name: Name,
    address: SocketAddr,
    process: Process,
}

impl Baseline {
    pub(crate) fn bare_pingora(starter: &Starter<'_>, upstream: SocketAddr) -> anyhow::Result<Self> {
        let address = free_address()?;
        let arguments = ["bare-pingora", "--listen", &address.to_string(), "--upstream", &upstream.to_string()].map(str::to_owned);
        let mut process = start_own(starter, "bare-pingora", arguments.to_vec(), Placement::Measured)?;
        wait_until_ready(&mut process, address, "/", START_LIMIT)?;
        Ok(Self { name: Name::BarePingora, address, process })
    }

    pub(crate) fn nginx(starter: &Starter<'_>, directory: &Path, upstream: SocketAddr) -> anyhow::Result<Self> {
        let address = free_address()?;
        let configuration = directory.join("nginx.conf");
        std::fs::write(&configuration, nginx_configuration(directory, address, upstream)?)?;
        let path = which("nginx")?;
        let arguments = ["-p", &directory.to_string_lossy(), "-c", &configuration.to_string_lossy(), "-e", "stderr"].map(str::to_owned);
        let program =
            Program { path: path.as_ref(), arguments: arguments.to_vec(), environment: Vec::new(), placement: Placement::Measured };
        let mut process = starter.start("nginx", program)?;
        wait_until_ready(&mut process, address, "/", START_LIMIT)?;
        Ok(Self { name: Name::Nginx, address, process })
    }

    pub(crate) fn contestant(&self) -> Contestant {
        let mut processes = vec![self.process.id()];
        processes.extend(accounting::children(self.process.id()));
        Contestant { name: self.name, address: self.address, processes, key: "caller".into(), model: "gpt-test".into() }
    }
}

/// This program again, as one of its other subcommands.
fn start_own(starter: &Starter<'_>, name: &str, arguments: Vec<String>, placement: Placement) -> anyhow::Result<Process> {
    let path = std::env::current_exe()?;
    starter.start(name, Program { path: path.as_os_str(), arguments, environment: Vec::new(), placement })
}

/// Debian keeps servers where an ordinary user's path does not lead.
fn which(program: &str) -> anyhow::Result<String> {
    let places = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];
    let found = places.iter().map(|place| format!("{place}/{program}")).find(|path| Path::new(path).exists());
    found.with_context(|| format!("`{program}` is not installed"))
}

/// One worker, keep-alive both ways, no log, and no buffering of replies: a gateway for streams cannot have any. Requests of every size that
/// is measured stay in memory; a short one takes no more of it for that.
fn nginx_configuration(directory: &Path, listen: SocketAddr, upstream: SocketAddr) -> anyhow::Result<String> {
    let mut text = String::new();
    if std::fs::metadata("/proc/self")?.uid() == 0 {
        text.push_str("user root;\n");
    }
    let place = directory.display();
    write!(
        text,
        "daemon off;\nworker_processes 1;\npid {place}/nginx.pid;\nerror_log stderr warn;\nworker_rlimit_nofile 16384;\n\
         events {{ worker_connections 16384; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  keepalive_timeout 300s;\n  client_body_buffer_size 2m;\n\
         \x20 client_max_body_size 16m;\n\
         \x20 client_body_temp_path {place}/body;\n  proxy_temp_path {place}/proxy;\n  fastcgi_temp_path {place}/fastcgi;\n\
         \x20 uwsgi_temp_path {place}/uwsgi;\n  scgi_temp_path {place}/scgi;\n\
         \x20 upstream provider {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}\n\
         \x20 server {{\n    listen {listen};\n    location / {{\n      proxy_pass http://provider;\n      proxy_http_version 1.1;\n\
         \x20     proxy_set_header Connection \"\";\n      proxy_set_header Authorization \"Bearer upstream-key\";\n\
         \x20     proxy_buffering off;\n    }}\n  }}\n}}\n"
    )?;
    Ok(text)
}
