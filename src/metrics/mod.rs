//! Numbers for Prometheus.
//!
//! This folder owns what is counted, the names under which it is told (docs/metrics.md), and the socket on which it is asked
//! for. It decides nothing, and of a secret it tells no more than its reference, where the configuration wants that.
//!
//! ```text
//!  an attempt, a fetch -- counted --> reads.rs, here     atomics
//!  what is so now      -- asked for at each scrape -->   sample.rs
//!  a scrape            -- HTTP -->                       server.rs
//! ```

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::audit::{Op, Outcome};
use crate::resolve::Arrival;

mod reads;
mod sample;
mod server;

pub use sample::Sample;
pub use server::Server;

use reads::Reads;
use sample::Sampled;

/// Upper bounds of the classes of fetches, in seconds: from a local file to a provider that is given up.
const CLASSES: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What is counted. Shared by all who count.
pub struct Metrics {
    reads: Arc<Reads>,
    fetches: Family<Fetch, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Fetch {
    provider: String,
    outcome: &'static str,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// That of Prometheus, version 0.0.4.
    Prometheus,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Arc<Self> {
        let fetches = Family::new_with_constructor((|| Histogram::new(CLASSES)) as fn() -> Histogram);
        Arc::new(Self { reads: Arc::default(), fetches })
    }

    /// Counts what came of an attempt.
    pub fn attempt(&self, scope: &str, op: Op, outcome: Outcome) {
        self.reads.count(scope, op, outcome);
    }

    /// Counts a fetch that ended. One for which the provider was not asked is none.
    pub fn fetched(&self, arrival: &Arrival) {
        let Some(took) = arrival.took else { return };
        let outcome = match &arrival.result {
            Ok(_) => "ok",
            Err(why) if why.passes() => "unavailable",
            Err(_) => "refused",
        };
        let of = Fetch { provider: arrival.reference.provider().to_owned(), outcome };
        self.fetches.get_or_create(&of).observe(took.as_secs_f64());
    }

    /// All of it, with what is so at each scrape.
    pub fn told(&self, sample: impl Fn() -> Option<Sample> + Send + Sync + 'static) -> Told {
        let mut registry = Registry::with_prefix("hushfs");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The hushfs that runs", version);
        registry.register_with_unit(
            "fetch_duration",
            "How long a provider took to answer a fetch",
            Unit::Seconds,
            self.fetches.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&self.reads)));
        registry.register_collector(Box::new(Sampled::new(sample)));
        Told(Arc::new(registry))
    }
}

/// What is answered to a scrape.
#[derive(Clone)]
pub struct Told(Arc<Registry>);

impl Told {
    /// As it is now.
    fn text(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        match format {
            Format::Prometheus => prometheus_text::encode(&mut text, &self.0)?,
            Format::OpenMetrics => text::encode(&mut text, &self.0)?,
        }
        Ok(text)
    }
}
