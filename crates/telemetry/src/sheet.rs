//! Numbers that were read together somewhere else, such as from the database.

use std::fmt::Debug;

use prometheus::{CounterVec, GaugeVec, Opts, Registry, core::Collector};

use crate::metrics::encode;

/// Metrics of one moment: written once, never updated.
#[derive(Debug, Default)]
pub struct Sheet {
    registry: Registry,
}

impl Sheet {
    /// Adds numbers that may rise and fall, each under the values of its labels.
    #[must_use]
    pub fn gauges<const N: usize>(
        self,
        name: &str,
        help: &str,
        labels: [&str; N],
        values: impl IntoIterator<Item = ([impl AsRef<str> + Debug; N], f64)>,
    ) -> Self {
        let gauges = GaugeVec::new(Opts::new(name, help), &labels).inspect(|gauges| {
            for (under, value) in values {
                gauges.with_label_values(&under).set(value);
            }
        });
        self.add(name, gauges)
    }

    /// Adds one number that may rise and fall.
    #[must_use]
    pub fn gauge(self, name: &str, help: &str, value: f64) -> Self {
        self.gauges(name, help, [], [([""; 0], value)])
    }

    /// Adds totals that only grow, each under the values of its labels.
    #[must_use]
    pub fn totals<const N: usize>(
        self,
        name: &str,
        help: &str,
        labels: [&str; N],
        values: impl IntoIterator<Item = ([impl AsRef<str> + Debug; N], u64)>,
    ) -> Self {
        let totals = CounterVec::new(Opts::new(name, help), &labels).inspect(|totals| {
            for (under, value) in values {
                totals.with_label_values(&under).inc_by(value as f64);
            }
        });
        self.add(name, totals)
    }

    /// All of them in the text format of Prometheus, version 0.0.4.
    pub fn render(&self) -> String {
        encode(&self.registry)
    }

    fn add<M: Collector + 'static>(self, name: &str, made: Result<M, prometheus::Error>) -> Self {
        if let Err(error) = made.and_then(|metric| self.registry.register(Box::new(metric))) {
            tracing::error!(name, %error, "a metric cannot be added");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped_and_families_without_numbers_left_out() {
        let text = Sheet::default()
            .gauge("tale_up", "Whether it is up.", 1.0)
            .gauges("tale_places", "Places.", ["key"], [(["a \"b\"\n\\c"], 2.0)])
            .gauges("tale_nothing", "Nothing.", ["key"], Vec::<([String; 1], f64)>::new())
            .totals("tale_ends_total", "Ends.", ["state"], [(["failed"], 7)])
            .render();
        assert!(text.contains("tale_up 1\n"), "{text}");
        assert!(text.contains(r#"tale_places{key="a \"b\"\n\\c"} 2"#), "{text}");
        assert!(
            text.contains("# TYPE tale_ends_total counter\ntale_ends_total{state=\"failed\"} 7\n"),
            "{text}"
        );
        assert!(!text.contains("tale_nothing"), "{text}");
    }
}
