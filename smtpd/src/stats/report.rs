//! The values of all shards and of the process together, as families of metrics.

use super::ShardStats;
use super::metric::{Facts, Kind, Metric, QUEUE_HOOKS, Read, SESSION_HOOKS};
use super::table::METRICS;

/// Everything at one time.
#[derive(Debug)]
pub struct Report<'a> {
    /// The process.
    pub facts: Facts,
    /// The startup file's servers, in its order.
    pub servers: Vec<&'a str>,
    /// Each shard; of one that does not answer, the last that was known.
    pub shards: &'a [ShardStats],
}

/// Metrics that differ only in their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Name of OpenMetrics, of a counter without `_total`.
    pub name: String,
    /// How it changes.
    pub kind: FamilyKind,
    /// What it says.
    pub help: String,
    /// The values.
    pub samples: Vec<Sample>,
}

/// How the values of a family change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Dotted name of `process-stats`; empty where it has none.
    pub stat: String,
    /// Names and values of its labels.
    pub labels: Vec<(String, String)>,
    /// What follows the name of the family: `_total`, or the part of a histogram.
    pub suffix: &'static str,
    /// The value.
    pub value: Value,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of something counted.
    Integer(u64),
    /// Of something measured.
    Number(f64),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Integer(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value}"),
        }
    }
}

impl Report<'_> {
    /// All families of the table, in its order.
    pub fn families(&self) -> Vec<Family> {
        let mut total = ShardStats::default();
        self.shards.iter().for_each(|shard| total.merge(shard));
        METRICS.iter().enumerate().map(|(number, metric)| self.family(number, metric, &total)).collect()
    }

    fn family(&self, number: usize, metric: &Metric, total: &ShardStats) -> Family {
        let sample = |labels: &[&str], value: Value| metric.sample(labels, value);
        let samples = match metric.read {
            Read::Process(read) => vec![sample(&[], number_of(read(&self.facts)))],
            Read::EachShard(_) => (0..)
                .zip(self.shards)
                .flat_map(|(shard, stats): (usize, _)| {
                    let value = stats.row(number).first().copied();
                    value.map(|value| sample(&[&shard.to_string()], Value::Integer(value)))
                })
                .collect(),
            _ => {
                let values = total.row(number).iter().map(|value| Value::Integer(*value));
                self.labels(metric).iter().zip(values).map(|(labels, value)| sample(labels, value)).collect()
            }
        };
        let unit = match metric.unit {
            unit @ ("bytes" | "seconds" | "microseconds") => format!(", in {unit}"),
            _ => String::new(),
        };
        Family {
            name: metric.family(),
            kind: match metric.kind {
                Kind::Counter => FamilyKind::Counter,
                Kind::Gauge => FamilyKind::Gauge,
            },
            help: format!("{}{unit}", metric.help),
            samples,
        }
    }

    /// The labels of each of a row's values, in their order.
    fn labels(&self, metric: &Metric) -> Vec<Vec<&str>> {
        let servers = self.servers.iter().copied();
        match metric.read {
            Read::Process(_) | Read::Shard(_) | Read::EachShard(_) => vec![Vec::new()],
            Read::Server(_) | Read::ServerSetting(_) => servers.map(|server| vec![server]).collect(),
            Read::ServerScripts(_) => {
                servers.flat_map(|server| SESSION_HOOKS.iter().map(move |hook| vec![server, *hook])).collect()
            }
            Read::QueueScripts(_) => QUEUE_HOOKS.iter().map(|hook| vec![*hook]).collect(),
        }
    }
}

impl Metric {
    /// Its name in OpenMetrics: `halon_`, and the parts of its name that are no labels.
    pub fn family(&self) -> String {
        let parts = self.name.split('.').filter(|part| !part.starts_with('<'));
        parts.fold("halon".to_owned(), |name, part| name + "_" + part)
    }

    fn sample(&self, labels: &[&str], value: Value) -> Sample {
        let mut left = labels.iter();
        let mut named = Vec::with_capacity(labels.len());
        let mut stat = String::with_capacity(self.name.len());
        for part in self.name.split('.') {
            if !stat.is_empty() {
                stat.push('.');
            }
            match (part.strip_prefix('<').and_then(|part| part.strip_suffix('>')), part) {
                (Some(label), _) => {
                    let value = left.next().copied().unwrap_or_default();
                    named.push((label.to_owned(), value.to_owned()));
                    stat.push_str(value);
                }
                (None, part) => stat.push_str(part),
            }
        }
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        Sample { stat, labels: named, suffix, value }
    }
}

/// Whole numbers are shown as such.
fn number_of(value: f64) -> Value {
    if value.fract() == 0.0 && value >= 0.0 { Value::Integer(value as u64) } else { Value::Number(value) }
}
