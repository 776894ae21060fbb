//! Spans to an OTLP collector, where one is configured.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub(super) const SERVICE: &str = "modelux-api";
/// Time for one batch.
const EXPORT_LIMIT: Duration = Duration::from_secs(10);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// A tracer whose spans go to `endpoint`, in batches, from a thread of their own. TLS has to be set up before.
pub(super) fn tracer(endpoint: &str) -> anyhow::Result<SdkTracer> {
    let address = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_http_client(blocking_client()?).with_endpoint(address).build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = PROVIDER.get_or_init(|| provider);
    Ok(provider.tracer(SERVICE))
}

/// Who speaks.
pub(super) fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder().with_service_name(SERVICE).with_attribute(version).build()
}

/// The exporter's thread is in no runtime. A blocking client brings one of its own, and must not be made inside of another.
pub(super) fn blocking_client() -> anyhow::Result<reqwest::blocking::Client> {
    let made = std::thread::spawn(|| reqwest::blocking::Client::builder().timeout(EXPORT_LIMIT).build());
    Ok(made.join().map_err(|_| anyhow::anyhow!("the client of the collector can't be made"))??)
}

/// Sends what is waiting to be sent; the last thing before a process ends.
pub fn flush() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown()
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "the last spans could not be sent");
    }
}
