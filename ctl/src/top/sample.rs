//! What the server says at one time.

use std::collections::BTreeMap;

use control::Command as Letter;
use control::smtpd::metric_sample::Value;
use control::smtpd::{ProcessStatsResponse, ShardStatus, ShardStatusResponse};
use jiff::Timestamp;

use crate::limits::QUICK_ANSWER;
use crate::{Client, Failure};

/// The counters at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// By the names of `process-stats`.
    pub stats: BTreeMap<String, f64>,
    /// A row for each shard.
    pub shards: Vec<ShardStatus>,
    /// Time of this host, as it is shown.
    pub time: String,
}

impl Sample {
    /// Asks the server.
    ///
    /// # Errors
    /// It refuses, or cannot be reached.
    pub fn take(client: &mut Client) -> Result<Self, Failure> {
        let stats: ProcessStatsResponse = client.ask(Letter::ProcessStats, &(), QUICK_ANSWER)?;
        let shards: ShardStatusResponse = client.ask(Letter::ShardStatus, &(), QUICK_ANSWER)?;
        // In the host's own time zone, as operators read their clocks and logs.
        let time = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
        Ok(Self::of(&stats, shards, time.strftime("%Y-%m-%d %H:%M:%S").to_string()))
    }

    /// From what the server has answered.
    #[must_use]
    pub fn of(stats: &ProcessStatsResponse, shards: ShardStatusResponse, time: String) -> Self {
        let samples = stats.metrics.iter().flat_map(|family| &family.samples);
        let stats = samples
            .filter(|sample| !sample.stat.is_empty())
            .map(|sample| {
                let value = match sample.value {
                    Some(Value::Integer(number)) => number as f64,
                    Some(Value::Number(number)) => number,
                    None => 0.0,
                };
                (sample.stat.clone(), value)
            })
            .collect();
        Self { stats, shards: shards.shards, time }
    }

    /// A counter; `None` when the server does not have it.
    #[must_use]
    pub fn stat(&self, name: &str) -> Option<f64> {
        self.stats.get(name).copied()
    }

    /// The middle of the names that begin and end like this, in order: ids of servers, names of hooks.
    pub(super) fn between<'s>(&'s self, start: &'s str, end: &'s str) -> impl Iterator<Item = &'s str> {
        let names = self.stats.range(start.to_owned()..).map(|(name, _)| name.as_str());
        names
            .take_while(move |name| name.starts_with(start))
            .filter_map(move |name| name.strip_prefix(start)?.strip_suffix(end))
    }
}
