//! A collector of spans and metrics: OTLP over HTTP, in protobuf, on a free port.
//!
//! Keeps everything as it arrived, so that a test can look for what must not be in there, and reads it with the protocol's own types.
//! Leaves out: gRPC, compression, answers that refuse a part.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as wire;
use prost::Message;

use crate::provider::{Answer, SimulatedProvider};

pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// Names and values, values as text.
pub type Attributes = BTreeMap<String, String>;

/// Runs until dropped.
#[derive(Debug)]
pub struct TestCollector {
    /// A provider records every request whole; that it is none is nothing that an exporter can see.
    inbox: SimulatedProvider,
}

/// A span, its ids in hexadecimal.
#[derive(Debug, Clone)]
pub struct Span {
    /// `service.name` of the process it came from.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Whose side of a call it is.
    pub kind: SpanKind,
    /// The trace.
    pub trace_id: String,
    /// Itself.
    pub id: String,
    /// The span above; empty where the trace begins here.
    pub parent: String,
    /// What it says.
    pub attributes: Attributes,
}

/// One series of a metric.
#[derive(Debug, Clone)]
pub struct Series {
    /// `service.name` of the process it came from.
    pub service: String,
    /// Name of the metric.
    pub name: String,
    /// Its unit; empty without one.
    pub unit: String,
    /// What tells it from others of that name.
    pub attributes: Attributes,
    /// The latest sum; of a histogram, the sum of what was observed.
    pub sum: f64,
}

impl TestCollector {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let inbox = SimulatedProvider::start().await;
        inbox.always("", Answer::bytes("").header("Content-Type", "application/x-protobuf"));
        Self { inbox }
    }

    /// What goes into `MODELUX_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.inbox.address())
    }

    /// All that has arrived, heads and bodies, as text: what is no text in it is replaced.
    pub fn text(&self) -> String {
        let requests = self.inbox.requests().into_iter();
        requests.map(|request| format!("{} {:?}\n{}\n", request.target, request.headers, String::from_utf8_lossy(&request.body))).collect()
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let exports = self.exports::<ExportTraceServiceRequest>("/v1/traces").into_iter().flat_map(|export| export.resource_spans);
        let of_service = |spans: wire::ResourceSpans| {
            let service = service_of(spans.resource.as_ref());
            spans.scope_spans.into_iter().flat_map(|scope| scope.spans).map(move |span| read_span(&service, span))
        };
        exports.flat_map(of_service).collect()
    }

    /// All series so far, the latest figures last.
    pub fn series(&self) -> Vec<Series> {
        let exports = self.exports::<ExportMetricsServiceRequest>("/v1/metrics").into_iter().flat_map(|export| export.resource_metrics);
        let mut all = Vec::new();
        for metrics in exports {
            let service = service_of(metrics.resource.as_ref());
            let of_resource = metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            all.extend(of_resource.flat_map(|metric| read_series(&service, &metric)));
        }
        all
    }

    /// The latest figure of a series that has all of these attributes.
    pub fn latest(&self, service: &str, name: &str, attributes: &[(&str, &str)]) -> Option<Series> {
        let wanted = |series: &Series| {
            let has = |(name, value): &(&str, &str)| series.attributes.get(*name).map(String::as_str) == Some(value);
            series.service == service && series.name == name && attributes.iter().all(has)
        };
        self.series().into_iter().rfind(wanted)
    }

    fn exports<M: Message + Default>(&self, path: &str) -> Vec<M> {
        let requests = self.inbox.requests().into_iter().filter(|request| request.target == format!("POST {path}"));
        requests.map(|request| M::decode(&request.body[..]).unwrap_or_else(|error| panic!("no export of {path}: {error}"))).collect()
    }
}

fn read_span(service: &str, span: wire::Span) -> Span {
    let kind = span.kind();
    Span {
        service: service.to_owned(),
        kind,
        trace_id: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: read_attributes(&span.attributes),
        name: span.name,
    }
}

fn read_series(service: &str, metric: &Metric) -> Vec<Series> {
    let series = |attributes: &[KeyValue], sum: f64| Series {
        service: service.to_owned(),
        name: metric.name.clone(),
        unit: metric.unit.clone(),
        attributes: read_attributes(attributes),
        sum,
    };
    match &metric.data {
        Some(Data::Histogram(histogram)) => {
            histogram.data_points.iter().map(|point| series(&point.attributes, point.sum.unwrap_or(0.0))).collect()
        }
        Some(Data::Sum(sum)) => sum.data_points.iter().map(|point| series(&point.attributes, number(point.value))).collect(),
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(|point| series(&point.attributes, number(point.value))).collect(),
        other => panic!("`{}` is of a kind that nothing here exports: {other:?}", metric.name),
    }
}

fn number(value: Option<number_data_point::Value>) -> f64 {
    match value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        // Counts in tests are small.
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => panic!("a point without a value"),
    }
}

fn service_of(resource: Option<&Resource>) -> String {
    let attributes = read_attributes(&resource.expect("a resource").attributes);
    attributes.get("service.name").cloned().unwrap_or_else(|| panic!("no `service.name` in {attributes:?}"))
}

fn read_attributes(attributes: &[KeyValue]) -> Attributes {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => panic!("`{}` has a value that nothing here exports: {other:?}", attribute.key),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
