//! What is so at the moment of a scrape.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::resolve::{Kept, SecretStatus, Status};

/// What is so now.
pub struct Sample {
    /// What is remembered.
    pub known: Status,
    /// The providers that are configured.
    pub providers: Vec<String>,
    /// Files that are open.
    pub open_handles: usize,
    /// Attempts that are not on record.
    pub audit_lost: u64,
    /// Whether references may be told.
    pub with_references: bool,
}

/// Takes a sample at each scrape.
pub(super) struct Sampled(Box<dyn Fn() -> Option<Sample> + Send + Sync>);

const STATES: [(Kept, &str); 5] = [
    (Kept::Unknown, "unknown"),
    (Kept::Fresh, "fresh"),
    (Kept::Aged, "aged"),
    (Kept::Stale, "stale"),
    (Kept::Failed, "failed"),
];

impl Sampled {
    pub(super) fn new(sample: impl Fn() -> Option<Sample> + Send + Sync + 'static) -> Self {
        Self(Box::new(sample))
    }
}

impl fmt::Debug for Sampled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sampled")
    }
}

impl Collector for Sampled {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        // `None` while hushfs ends.
        let Some(sample) = (self.0)() else { return Ok(()) };
        let (now, secrets) = (Timestamp::now(), &sample.known.secrets);
        let mut page = Page(encoder);
        page.providers(&sample)?;

        let states: Vec<_> = STATES
            .iter()
            .map(|(kept, name)| (*name, count(secrets.iter().filter(|secret| secret.kept == *kept))))
            .collect();
        page.gauges("secrets", "Secrets that are remembered, by where they stand", None, "state", &states)?;
        let stale = secrets.iter().filter(|secret| secret.kept == Kept::Stale);
        let stalest =
            stale.filter_map(|secret| secret.fetched).map(|time| seconds(time, now)).fold(0.0, f64::max);
        let help = "Age of the oldest value that is served beyond its time because its provider fails; 0 where none is";
        page.gauge("stalest_served", help, Some(&Unit::Seconds), stalest)?;
        let leased = count(secrets.iter().filter(|secret| secret.leased));
        page.gauge("leases_held", "Secrets that were made for hushfs and are lent", None, leased)?;
        page.gauge("open_handles", "Files that are open", None, float(sample.open_handles as u64))?;

        let known = &sample.known;
        page.gauge("cache_used", "What the cache holds", Some(&Unit::Bytes), float(known.cache_used))?;
        page.gauge("cache_max", "What the cache may hold", Some(&Unit::Bytes), float(known.cache_max))?;
        page.counter("cache_hits", "Opens that memory answered", known.hits)?;
        page.counter("cache_misses", "Opens and stats that waited for a fetch", known.misses)?;
        let help = "Attempts that are not on record because the audit log did not take them";
        page.counter("audit_records_lost", help, sample.audit_lost)?;

        if sample.with_references {
            let age = |secret: &SecretStatus| Some((secret.named(), seconds(secret.created?, now)));
            let ages: Vec<_> = secrets.iter().filter_map(age).collect();
            let ages: Vec<_> = ages.iter().map(|(reference, age)| (reference.as_str(), *age)).collect();
            let help = "Age of the version that is known of a secret, from when its provider made it";
            page.gauges("secret_version_age", help, Some(&Unit::Seconds), "reference", &ages)?;
        }
        Ok(())
    }
}

struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        ConstGauge::new(value).encode(self.0.encode_descriptor(
            name,
            &sentence(help),
            unit,
            MetricType::Gauge,
        )?)
    }

    /// One for each value of a label.
    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        label: &str,
        values: &[(&str, f64)],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, &sentence(help), unit, MetricType::Gauge)?;
        for (of, value) in values {
            ConstGauge::new(*value).encode(family.encode_family(&[(label, *of)])?)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        ConstCounter::new(count).encode(self.0.encode_descriptor(
            name,
            &sentence(help),
            None,
            MetricType::Counter,
        )?)
    }

    fn providers(&mut self, sample: &Sample) -> fmt::Result {
        let up = |name: &String| {
            let asked = sample.known.providers.iter().find(|provider| provider.name == *name);
            if asked.is_some_and(|provider| provider.down.is_some()) { 0.0 } else { 1.0 }
        };
        let up: Vec<_> = sample.providers.iter().map(|name| (name.as_str(), up(name))).collect();
        let help =
            "Whether a provider is asked (1), or left alone because it fails (0); 1 before it is asked first";
        self.gauges("provider_up", help, None, "provider", &up)
    }
}

/// As the registry ends those it writes itself.
fn sentence(help: &str) -> String {
    format!("{help}.")
}

fn count<T>(of: impl Iterator<Item = T>) -> f64 {
    float(of.count() as u64)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn float(count: u64) -> f64 {
    count as f64
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
