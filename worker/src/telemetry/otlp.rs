//! Spans and metrics to a collector, by OTLP over HTTP, from a thread of their own.
//!
//! Promises: an exchange never waits for the collector. It pushes one record into a bounded channel; when that is full, because the
//! collector is slow or away, the record is dropped and counted. What is in the channel when the worker stops is still sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use prometheus::{IntCounter, Registry};
use tokio::sync::oneshot;

use super::Metrics;
use super::finished::Finished;
use super::genai::GenAiMetrics;
use super::mirror::Mirror;
use crate::clock;
use crate::config::WorkerConfig;

const SERVICE: &str = "modelux-worker";
/// Exchanges that may wait for the collector.
const WAITING: usize = 4096;
/// Spans in one export at most, a few more for the attempts of the last exchange.
const BATCH: usize = 512;
/// How long an export gathers.
const GATHER: Duration = Duration::from_secs(1);
/// Time for one export.
const EXPORT_LIMIT: Duration = Duration::from_secs(4);
/// Between two exports of metrics.
const METRICS_INTERVAL: Duration = Duration::from_secs(10);

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// No HTTP client.
    #[error("no client for the collector can be made")]
    Client(#[from] reqwest::Error),
    /// An address or a header that can't be used.
    #[error("no exporter for `{endpoint}` can be made")]
    Exporter {
        /// The collector, without credentials.
        endpoint: String,
        /// Why not.
        source: ExporterBuildError,
    },
}

enum Message {
    Finished(Box<Finished>),
    Stop,
}

/// Where exchanges leave their records.
pub struct Otlp {
    sender: SyncSender<Message>,
    stopping: Arc<AtomicBool>,
    dropped: IntCounter,
}

impl Otlp {
    /// Both ends, where a collector is configured. TLS has to be set up before.
    pub(crate) fn open(config: &WorkerConfig, metrics: &Metrics) -> Result<Option<(Self, Exporting)>, OtlpError> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        let failed = |source| OtlpError::Exporter { endpoint: endpoint.host_str().unwrap_or_default().to_owned(), source };
        let client = reqwest::blocking::Client::builder().timeout(EXPORT_LIMIT).build()?;
        let address = |signal: &str| format!("{}/v1/{signal}", endpoint.as_str().trim_end_matches('/'));
        let spans = SpanExporter::builder().with_http().with_http_client(client.clone()).with_endpoint(address("traces"));
        let mut spans = spans.with_timeout(EXPORT_LIMIT).build().map_err(failed)?;
        let points = MetricExporter::builder().with_http().with_http_client(client).with_endpoint(address("metrics"));
        let points = points.with_timeout(EXPORT_LIMIT).build().map_err(failed)?;
        let instance = config.name.clone().unwrap_or_else(|| config.proxy_listen.to_string());
        let about = [KeyValue::new("service.version", env!("CARGO_PKG_VERSION")), KeyValue::new("service.instance.id", instance)];
        let resource = Resource::builder().with_service_name(SERVICE).with_attributes(about).build();
        spans.set_resource(&resource);
        let reader = PeriodicReader::builder(points).with_interval(METRICS_INTERVAL).build();
        let (sender, receiver) = sync_channel(WAITING);
        let stopping = Arc::new(AtomicBool::new(false));
        let exporting = Exporting {
            receiver,
            stopping: Arc::clone(&stopping),
            spans,
            meters: SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build(),
            registry: metrics.registry().clone(),
        };
        Ok(Some((Self { sender, stopping, dropped: metrics.untold() }, exporting)))
    }

    /// Leaves a record; never waits.
    pub(crate) fn record(&self, finished: Box<Finished>) {
        if self.sender.try_send(Message::Finished(finished)).is_err() {
            self.dropped.inc();
        }
    }

    /// What is waiting is sent, and the thread ends.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the thread; when there is no room it is awake.
        drop(self.sender.try_send(Message::Stop));
    }
}

/// The end that talks to the collector, not yet started.
pub(crate) struct Exporting {
    receiver: Receiver<Message>,
    stopping: Arc<AtomicBool>,
    spans: SpanExporter,
    meters: SdkMeterProvider,
    registry: Registry,
}

impl Exporting {
    /// Starts the thread. `look_around` brings the figures up to date that nobody counts while they happen. The receiver hears when
    /// everything was sent after [`Otlp::stop`].
    pub(crate) fn start(self, look_around: impl Fn() + Send + 'static) -> std::io::Result<oneshot::Receiver<()>> {
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("modelux-telemetry".to_owned());
        let run = move || {
            self.run(&look_around);
            if end.send(()).is_err() {
                tracing::debug!("nobody waits for the last export");
            }
        };
        thread.spawn(run)?;
        Ok(ended)
    }

    fn run(self, look_around: &dyn Fn()) {
        let meter = self.meters.meter(SERVICE);
        let (genai, mut mirror) = (GenAiMetrics::new(&meter), Mirror::of(self.registry.clone(), meter));
        let scope = InstrumentationScope::builder(SERVICE).with_version(env!("CARGO_PKG_VERSION")).build();
        let mut away = false;
        loop {
            // Before the channel is looked at: what was sent before the word to stop is in it.
            let last = self.stopping.load(Ordering::Acquire);
            let spans = self.gather(&genai, &scope, if last { Duration::ZERO } else { GATHER });
            let empty = spans.is_empty();
            self.export(spans, &mut away);
            look_around();
            mirror.update();
            if last && empty {
                break;
            }
        }
        if let Err(error) = self.meters.shutdown() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the last metrics could not be exported");
        }
    }

    /// Spans of what arrives within `time`.
    fn gather(&self, genai: &GenAiMetrics, scope: &InstrumentationScope, time: Duration) -> Vec<SpanData> {
        let until = clock::instant() + time;
        let mut spans = Vec::new();
        while spans.len() < BATCH {
            match self.receiver.recv_timeout(until.saturating_duration_since(clock::instant())) {
                Ok(Message::Finished(finished)) => {
                    genai.record(&finished);
                    spans.extend(finished.to_spans(scope));
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        spans
    }

    /// Sends spans; says once that the collector is away, and once that it is back.
    fn export(&self, spans: Vec<SpanData>, away: &mut bool) {
        if spans.is_empty() {
            return;
        }
        let count = spans.len();
        match futures::executor::block_on(self.spans.export(spans)) {
            Ok(()) if *away => {
                *away = false;
                tracing::info!("spans are exported again");
            }
            Ok(()) => {}
            Err(error) if !*away => {
                *away = true;
                tracing::warn!(error = &error as &dyn std::error::Error, spans = count, "spans can't be exported");
            }
            Err(_) => {}
        }
    }
}
