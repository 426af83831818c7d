//! What a process counts and measures of itself.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
    core::{Collector, MetricVec, MetricVecBuilder},
};

/// The metrics of one process, in the order of their names; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Registry,
}

/// Something that only grows. The default counts nothing, at no cost.
#[derive(Debug, Clone, Default)]
pub struct Counter(Option<IntCounterVec>);

/// How long something takes: a histogram from half a millisecond to a minute. The default measures nothing.
#[derive(Debug, Clone, Default)]
pub struct Latency(Option<HistogramVec>);

/// Upper bounds in seconds: two to three for each power of ten.
const BOUNDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

impl Metrics {
    /// Adds a counter, whose name ends in `_total`. One without labels is 0 from the start: a rise from nothing at all is
    /// none to Prometheus.
    pub fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Counter {
        let counter = Counter(self.add(name, IntCounterVec::new(Opts::new(name, help), labels)));
        if labels.is_empty() {
            counter.add(&[], 0);
        }
        counter
    }

    /// Adds a histogram of durations, whose name ends in `_seconds`.
    pub fn latency(&self, name: &str, help: &str, labels: &[&str]) -> Latency {
        let options = HistogramOpts::new(name, help).buckets(BOUNDS.to_vec());
        Latency(self.add(name, HistogramVec::new(options, labels)))
    }

    /// All of them in the text format of Prometheus, version 0.0.4.
    pub fn render(&self) -> String {
        encode(&self.registry)
    }

    /// A metric that cannot be added is a mistake of this program, which is said and measures nothing.
    fn add<M: Collector + Clone + 'static>(
        &self,
        name: &str,
        made: Result<M, prometheus::Error>,
    ) -> Option<M> {
        let added = made.and_then(|metric| self.registry.register(Box::new(metric.clone())).map(|()| metric));
        match added {
            Ok(metric) => Some(metric),
            Err(error) => {
                tracing::error!(name, %error, "a metric cannot be added");
                None
            }
        }
    }
}

impl Counter {
    /// Counts `more`, under the values of its labels.
    pub fn add(&self, labels: &[&str], more: u64) {
        if let Some(counter) = of(self.0.as_ref(), labels) {
            counter.inc_by(more);
        }
    }
}

impl Latency {
    /// Measures one that took this long, under the values of its labels.
    pub fn record(&self, labels: &[&str], took: Duration) {
        if let Some(histogram) = of(self.0.as_ref(), labels) {
            histogram.observe(took.as_secs_f64());
        }
    }
}

/// The metric under these values; nothing where their number is wrong.
fn of<B: MetricVecBuilder>(metric: Option<&MetricVec<B>>, labels: &[&str]) -> Option<B::M> {
    metric.and_then(|metric| metric.get_metric_with_label_values(labels).ok())
}

/// What is registered, as text.
pub(crate) fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&registry.gather(), &mut text) {
        tracing::error!(%error, "the metrics cannot be written");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_and_measured_is_in_the_text() {
        let metrics = Metrics::default();
        let counter = metrics.counter("tale_tries_total", "Tries.", &["outcome"]);
        let latency = metrics.latency("tale_try_seconds", "How long a try takes.", &[]);
        counter.add(&["won"], 2);
        counter.add(&["won"], 1);
        latency.record(&[], Duration::from_millis(3));
        metrics.counter("tale_losses_total", "Losses.", &[]);
        let text = metrics.render();
        for line in [
            "# HELP tale_tries_total Tries.",
            "# TYPE tale_tries_total counter",
            "tale_tries_total{outcome=\"won\"} 3",
            "tale_losses_total 0",
            "# TYPE tale_try_seconds histogram",
            "tale_try_seconds_bucket{le=\"0.0025\"} 0",
            "tale_try_seconds_bucket{le=\"0.005\"} 1",
            "tale_try_seconds_bucket{le=\"+Inf\"} 1",
            "tale_try_seconds_sum 0.003",
            "tale_try_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_metric_that_cannot_be_added_or_is_used_wrongly_measures_nothing() {
        let metrics = Metrics::default();
        let counter = metrics.counter("tale_tries_total", "Tries.", &["outcome"]);
        metrics.counter("tale_tries_total", "Tries.", &["outcome"]).add(&["won"], 1);
        metrics.counter("no name", "Tries.", &[]).add(&[], 1);
        counter.add(&[], 1);
        Counter::default().add(&["won"], 1);
        Latency::default().record(&[], Duration::ZERO);
        assert_eq!(metrics.render(), "");
    }
}
