//! The counters and gauges of the control plane to an OTLP collector, where one is configured, under the names that a scraper sees.
//!
//! Leaves out histograms: how long requests take is in their spans.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter, MeterProvider as _};
use opentelemetry_otlp::{MetricExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::Registry;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use tokio_util::sync::CancellationToken;

use super::traces::{SERVICE, blocking_client, resource};

/// Between two exports.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sends what `registry` has to `endpoint` until `stop`, and then what is left.
pub(crate) async fn export(registry: Registry, endpoint: String, stop: CancellationToken) -> anyhow::Result<()> {
    let mut points = Points::of(registry, &endpoint)?;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(INTERVAL / 2) => points.update(),
        }
    }
    tokio::task::spawn_blocking(move || points.finish()).await?;
    Ok(())
}

/// A registry and the instruments that repeat it.
struct Points {
    registry: Registry,
    provider: SdkMeterProvider,
    meter: Meter,
    counters: HashMap<String, (Counter<f64>, HashMap<Labels, f64>)>,
    gauges: HashMap<String, Gauge<f64>>,
}

/// Names and values, in the registry's order.
type Labels = Vec<(String, String)>;

impl Points {
    /// Sends what `registry` has to `endpoint`, from a thread of its own. TLS has to be set up before.
    fn of(registry: Registry, endpoint: &str) -> anyhow::Result<Self> {
        let address = format!("{}/v1/metrics", endpoint.trim_end_matches('/'));
        let exporter = MetricExporter::builder().with_http().with_http_client(blocking_client()?).with_endpoint(address).build()?;
        let reader = PeriodicReader::builder(exporter).with_interval(INTERVAL).build();
        let provider = SdkMeterProvider::builder().with_resource(resource()).with_reader(reader).build();
        let meter = provider.meter(SERVICE);
        Ok(Self { registry, provider, meter, counters: HashMap::new(), gauges: HashMap::new() })
    }

    /// Brings the instruments up to date.
    fn update(&mut self) {
        for family in self.registry.gather() {
            match family.get_field_type() {
                MetricType::COUNTER => self.count(&family),
                MetricType::GAUGE => self.gauge(&family),
                MetricType::HISTOGRAM | MetricType::SUMMARY | MetricType::UNTYPED => {}
            }
        }
    }

    /// Sends what is left. Blocks.
    fn finish(&mut self) {
        self.update();
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the last metrics could not be sent");
        }
    }

    fn count(&mut self, family: &MetricFamily) {
        let Self { meter, counters, .. } = self;
        let name = family.name();
        let make = || (meter.f64_counter(name.to_owned()).with_description(family.help().to_owned()).build(), HashMap::new());
        let (counter, before) = counters.entry(name.to_owned()).or_insert_with(make);
        for metric in family.get_metric() {
            let (labels, value) = (labels_of(metric), metric.get_counter().get_value());
            let attributes = to_attributes(&labels);
            counter.add(value - before.insert(labels, value).unwrap_or(0.0), &attributes);
        }
    }

    fn gauge(&mut self, family: &MetricFamily) {
        let Self { meter, gauges, .. } = self;
        let name = family.name();
        let make = || meter.f64_gauge(name.to_owned()).with_description(family.help().to_owned()).build();
        let gauge = gauges.entry(name.to_owned()).or_insert_with(make);
        for metric in family.get_metric() {
            gauge.record(metric.get_gauge().get_value(), &to_attributes(&labels_of(metric)));
        }
    }
}

fn labels_of(metric: &Metric) -> Labels {
    metric.get_label().iter().map(|label| (label.name().to_owned(), label.value().to_owned())).collect()
}

fn to_attributes(labels: &Labels) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone())).collect()
}
