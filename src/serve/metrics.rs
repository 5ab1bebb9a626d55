//! What Prometheus reads.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Upper ends of the buckets, in seconds: from a framed image to a picture of many megapixels.
const BUCKETS: [f64; 10] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: String,
    status: u16,
}

/// Counts and times of all requests.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Histogram,
    pictures: Counter,
    under_way: Gauge,
}

/// A request that is being answered. It ends when it is dropped, also if its client goes away.
pub(super) struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            seconds: Histogram::new(BUCKETS),
            pictures: Counter::default(),
            under_way: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("lenet");
        registry.register("requests", "Requests, by route and status", metrics.requests.clone());
        registry.register("request_seconds", "The time of a request", metrics.seconds.clone());
        registry.register("pictures", "Pictures that were read", metrics.pictures.clone());
        registry.register("requests_under_way", "Requests that are being answered", metrics.under_way.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    pub(super) fn begin(&self) -> UnderWay {
        self.under_way.inc();
        UnderWay(self.under_way.clone())
    }

    pub(super) fn count(&self, route: &str, status: u16, time: Duration) {
        self.requests.get_or_create(&Labels { route: route.to_owned(), status }).inc();
        self.seconds.observe(time.as_secs_f64());
    }

    pub(super) fn count_pictures(&self, pictures: usize) {
        self.pictures.inc_by(pictures as u64);
    }

    /// All of it, in the text format.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
