//! How attempts ended, by scope.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::audit::{Op, Outcome};

/// What is counted as a read, with its name.
const OPS: [(Op, &str); 3] = [(Op::Open, "open"), (Op::Read, "read"), (Op::Stat, "stat")];
const OUTCOMES: [(Outcome, &str); 3] =
    [(Outcome::Allowed, "allowed"), (Outcome::Denied, "denied"), (Outcome::Failed, "failed")];

/// Counts by scope. A scope's are looked up by name alone, so that a read costs no label.
#[derive(Debug, Default)]
pub(super) struct Reads(RwLock<HashMap<String, Arc<OfScope>>>);

/// In the order of [`OPS`], then [`OUTCOMES`].
#[derive(Debug, Default)]
struct OfScope([[AtomicU64; OUTCOMES.len()]; OPS.len()]);

impl Reads {
    pub(super) fn count(&self, scope: &str, op: Op, outcome: Outcome) {
        if let Some(of) = self.0.read().get(scope) {
            return of.count(op, outcome);
        }
        // Once for each scope that was ever configured.
        Arc::clone(self.0.write().entry(scope.to_owned()).or_default()).count(op, outcome);
    }
}

impl OfScope {
    fn count(&self, op: Op, outcome: Outcome) {
        let row = OPS.iter().position(|(of, _)| *of == op).and_then(|place| self.0.get(place));
        let count = OUTCOMES.iter().position(|(of, _)| *of == outcome).and_then(|place| row?.get(place));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Collector for Reads {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let help = "Attempts to open, read or stat a file that have a record in the audit log.";
        let mut family = encoder.encode_descriptor("reads", help, None, MetricType::Counter)?;
        let mut scopes: Vec<_> =
            self.0.read().iter().map(|(name, of)| (name.clone(), Arc::clone(of))).collect();
        scopes.sort_by(|a, b| a.0.cmp(&b.0));
        for (scope, of) in &scopes {
            for ((_, op), row) in OPS.iter().zip(&of.0) {
                for ((_, outcome), count) in OUTCOMES.iter().zip(row) {
                    let labels = [("scope", scope.as_str()), ("op", op), ("outcome", outcome)];
                    let count = ConstCounter::new(count.load(Ordering::Relaxed));
                    count.encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}
