//! Our own counters and gauges, shown to the collector under the names that a scraper sees.
//!
//! Leaves out histograms: durations are exported under the names of the conventions instead.

use std::collections::HashMap;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};
use prometheus::Registry;
use prometheus::proto::{Metric, MetricFamily, MetricType};

/// A registry and the instruments that repeat it.
pub(super) struct Mirror {
    registry: Registry,
    meter: Meter,
    counters: HashMap<String, (Counter<f64>, HashMap<Labels, f64>)>,
    gauges: HashMap<String, Gauge<f64>>,
}

/// Names and values, in the registry's order.
type Labels = Vec<(String, String)>;

impl Mirror {
    pub(super) fn of(registry: Registry, meter: Meter) -> Self {
        Self { registry, meter, counters: HashMap::new(), gauges: HashMap::new() }
    }

    /// Brings the instruments up to date.
    pub(super) fn update(&mut self) {
        for family in self.registry.gather() {
            match family.get_field_type() {
                MetricType::COUNTER => self.count(&family),
                MetricType::GAUGE => self.gauge(&family),
                MetricType::HISTOGRAM | MetricType::SUMMARY | MetricType::UNTYPED => {}
            }
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
