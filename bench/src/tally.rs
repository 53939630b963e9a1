//! What a load run has counted, per shard and merged.

use std::collections::BTreeMap;
use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::json::Object;
use crate::limits::{MAX_FAILURE_KINDS, MAX_LATENCY_US};

/// Counts and latencies of one shard, or of all after [`Tally::merge`].
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages that were answered 250 after the final dot.
    pub ok: u64,
    /// Messages that were not.
    pub failed: u64,
    /// Octets of the acknowledged messages.
    pub bytes: u64,
    /// Connections that came up, greeting and EHLO included.
    pub connections: u64,
    /// Failures by phase and cause.
    pub failures: BTreeMap<String, u64>,
    /// Final dot to 250.
    pub after_dot: Latency,
    /// Start of the transaction (of the connection, with one message each) to 250; in an open loop from the
    /// moment it was due.
    pub transaction: Latency,
    /// In an open loop: how late transactions started.
    pub lag: Latency,
}

/// A histogram of microseconds.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Latency(Histogram::new_with_bounds(1, MAX_LATENCY_US, 3).expect("the bounds are constants that fit"))
    }
}

impl Latency {
    /// Counts one, given in nanoseconds.
    pub fn record_ns(&mut self, ns: u64) {
        self.0.saturating_record((ns / 1000).max(1));
    }

    /// The value, in microseconds, that the share `quantile` of all does not exceed.
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    fn json(&self) -> Object {
        let mut object = Object::default();
        for (name, value) in self.row() {
            object.number(&format!("{name}_us"), value);
        }
        object
    }

    fn row(&self) -> [(&'static str, u64); 5] {
        [
            ("p50", self.quantile_us(0.5)),
            ("p90", self.quantile_us(0.9)),
            ("p99", self.quantile_us(0.99)),
            ("p999", self.quantile_us(0.999)),
            ("max", self.0.max()),
        ]
    }
}

impl Tally {
    /// Counts a failure of the kind `kind` (phase and cause).
    pub fn fail(&mut self, kind: String) {
        self.add_failures(kind, 1);
    }

    /// Adds what another shard counted.
    pub fn merge(&mut self, other: Tally) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.connections += other.connections;
        for (kind, count) in other.failures {
            self.add_failures(kind, count);
        }
        for (mine, theirs) in [
            (&mut self.after_dot, &other.after_dot),
            (&mut self.transaction, &other.transaction),
            (&mut self.lag, &other.lag),
        ] {
            mine.0.add(&theirs.0).expect("all histograms have the same bounds");
        }
    }

    /// A few lines to read.
    pub fn text(&self, elapsed_s: f64) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "messages   ok {}  failed {}  connections {}\nrate       {:.1} msg/s  {:.2} MB/s  in {:.3} s",
            self.ok,
            self.failed,
            self.connections,
            self.ok as f64 / elapsed_s,
            self.bytes as f64 / 1e6 / elapsed_s,
            elapsed_s
        );
        let _ = writeln!(out, "latency us        p50       p90       p99     p99.9       max");
        let rows =
            [("after dot", &self.after_dot), ("transaction", &self.transaction), ("start lag", &self.lag)];
        for (name, latency) in rows.into_iter().filter(|(_, latency)| latency.count() > 0) {
            let _ = write!(out, "{name:11}");
            for (_, value) in latency.row() {
                let _ = write!(out, "{value:10}");
            }
            out.push('\n');
        }
        for (kind, count) in &self.failures {
            let _ = writeln!(out, "failure    {count:8}  {kind}");
        }
        out
    }

    /// The same as one JSON object.
    pub fn json(&self, elapsed_s: f64) -> Object {
        let mut object = Object::default();
        object
            .number("ok", self.ok)
            .number("failed", self.failed)
            .number("connections", self.connections)
            .number("bytes", self.bytes)
            .number("elapsed_s", elapsed_s)
            .number("rate_per_s", self.ok as f64 / elapsed_s)
            .object("after_dot", self.after_dot.json())
            .object("transaction", self.transaction.json());
        if self.lag.count() > 0 {
            object.object("start_lag", self.lag.json());
        }
        let mut failures = Object::default();
        for (kind, count) in &self.failures {
            failures.number(kind, count);
        }
        object.object("failures", failures);
        object
    }

    fn add_failures(&mut self, kind: String, count: u64) {
        let known = self.failures.contains_key(&kind) || self.failures.len() < MAX_FAILURE_KINDS;
        *self.failures.entry(if known { kind } else { "other".into() }).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_adds_everything_up() {
        let mut all = Tally::default();
        for ms in 1..=4u64 {
            let mut shard = Tally { ok: 1, bytes: 10, ..Tally::default() };
            shard.after_dot.record_ns(ms * 1_000_000);
            shard.fail("RCPT 451".into());
            all.merge(shard);
        }
        assert_eq!((all.ok, all.bytes, all.after_dot.count()), (4, 40, 4));
        assert_eq!(all.failures["RCPT 451"], 4);
        let median = all.after_dot.quantile_us(0.5);
        assert!((1999..=2003).contains(&median), "{median}");
        assert!((3999..=4003).contains(&all.after_dot.quantile_us(1.0)));
    }

    #[test]
    fn a_latency_beyond_the_bounds_is_counted_at_the_bound() {
        let mut latency = Latency::default();
        latency.record_ns(0);
        latency.record_ns(u64::MAX);
        assert_eq!(latency.count(), 2);
        assert!(latency.quantile_us(1.0) >= MAX_LATENCY_US);
    }

    #[test]
    fn kinds_of_failure_are_bounded() {
        let mut tally = Tally::default();
        for kind in 0..MAX_FAILURE_KINDS + 10 {
            tally.fail(format!("kind {kind}"));
        }
        assert_eq!(tally.failures.len(), MAX_FAILURE_KINDS + 1);
        assert_eq!(tally.failures["other"], 10);
    }

    #[test]
    fn a_report_names_rate_latency_and_failures() {
        let mut tally = Tally { ok: 100, ..Tally::default() };
        tally.transaction.record_ns(5_000_000);
        tally.fail("DATA 452 4.3.1".into());
        let text = tally.text(2.0);
        assert!(
            text.contains("50.0 msg/s") && text.contains("transaction") && text.contains("DATA 452 4.3.1")
        );
        assert!(!text.contains("start lag"));
        assert!(tally.json(2.0).finish().contains(r#""rate_per_s":50,"#));
    }
}
