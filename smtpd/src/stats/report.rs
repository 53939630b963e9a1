//! The values of all shards and of the process together, as the messages that `halonctl` gets and `/metrics` is made of.

use std::collections::BTreeMap;

use config::CustomMetric;
use control::smtpd::metric_family::Type;
use control::smtpd::metric_sample::Value;
use control::smtpd::{
    CacheStats, DeliveryStats, DynamicStats, LimitStats, LoaderStats, MetricFamily, MetricSample,
    MonitorStats, PickupStats, PolicyStats, Process, ProcessStatsResponse, QueueSizes, QueueStats,
    ResolverStats, ScriptStats, ServerStats, SizeStats, ThreadStats, Usage,
};

use engine::stats::Threads;

use super::metric::{Facts, Kind, Metric, QUEUE_HOOKS, Read, SESSION_HOOKS};
use super::table::METRICS;
use super::{ShardStats, custom};

/// Everything at one time.
#[derive(Debug)]
pub struct Report<'a> {
    /// The process.
    pub facts: Facts,
    /// The startup file's servers, in its order.
    pub servers: Vec<&'a str>,
    /// Each shard; of one that does not answer, the last that was known.
    pub shards: &'a [ShardStats],
    /// What scripts may count.
    pub custom: Vec<CustomMetric>,
}

impl Report<'_> {
    /// All families of the table, in its order, then those of scripts.
    pub fn families(&self) -> Vec<MetricFamily> {
        let total = self.total();
        let rows = METRICS.iter().enumerate().map(|(number, metric)| self.family(number, metric, &total));
        let custom = self.custom.iter().map(|metric| custom::family(metric, &total.custom));
        rows.chain(custom).collect()
    }

    /// What `process-stats` shows: the documented part, and `metrics`, which are all.
    pub fn process_stats(&self, metrics: Vec<MetricFamily>) -> ProcessStatsResponse {
        let total = self.total();
        let servers = self.servers.iter().enumerate();
        ProcessStatsResponse {
            process: Some(Process {
                pid: u64::from(self.facts.pid),
                runtime: self.facts.elapsed_s as u64,
                elapsed: self.facts.elapsed_s,
            }),
            servers: servers.map(|(number, id)| ((*id).to_owned(), self.server(number, &total))).collect(),
            queue: Some(queue(&total, &self.facts)),
            threads: self.facts.threads.iter().map(threads).collect(),
            resolver: Some(ResolverStats {
                running: total.sum("resolver.running"),
                pending: total.sum("resolver.pending"),
                cache: Some(cache("resolver.cache", &total)),
            }),
            monitor: Some(MonitorStats { ready: self.facts.ready, healthy: self.facts.healthy }),
            metrics,
        }
    }

    fn total(&self) -> ShardStats {
        let mut total = ShardStats::default();
        self.shards.iter().for_each(|shard| total.merge(shard));
        total
    }

    fn server(&self, number: usize, total: &ShardStats) -> ServerStats {
        let one = |name: &str| total.named(name).get(number).copied().unwrap_or_default();
        let hooks = SESSION_HOOKS.iter().enumerate();
        ServerStats {
            connections: Some(Usage {
                count: one("servers.<server>.connections"),
                max: one("servers.<server>.connections.max"),
            }),
            scripts: hooks
                .map(|(hook, name)| {
                    let place = number * SESSION_HOOKS.len() + hook;
                    ((*name).to_owned(), scripts("servers.<server>.scripts.<hook>", place, total))
                })
                .collect(),
        }
    }

    fn family(&self, number: usize, metric: &Metric, total: &ShardStats) -> MetricFamily {
        let sample = |labels: &[&str], value: Value| metric.sample(labels, value);
        let samples = match metric.read {
            Read::Process(read) => vec![sample(&[], number_of(read(&self.facts)))],
            Read::Labelled(read) => {
                let values = read(&self.facts).into_iter();
                values.map(|(label, value)| sample(&[label], number_of(value))).collect()
            }
            Read::ShardsAndProcess(_, read) => {
                let of_shards: u64 = total.row(number).iter().sum();
                vec![sample(&[], Value::Integer(of_shards + read(&self.facts)))]
            }
            Read::Pool(read) => {
                let pools = self.facts.threads.iter();
                pools.map(|pool| sample(&[pool.pool], Value::Integer(read(pool)))).collect()
            }
            Read::EachShard(_) => (0..)
                .zip(self.shards)
                .filter_map(|(shard, stats): (usize, _)| {
                    let value = stats.row(number).first().copied()?;
                    Some(sample(&[&shard.to_string()], Value::Integer(value)))
                })
                .collect(),
            _ => {
                let values = total.row(number).iter().map(|value| Value::Integer(*value));
                self.labels(metric).iter().zip(values).map(|(labels, value)| sample(labels, value)).collect()
            }
        };
        MetricFamily {
            name: metric.family(),
            r#type: match metric.kind {
                Kind::Counter => Type::Counter,
                Kind::Gauge => Type::Gauge,
            }
            .into(),
            unit: String::new(),
            help: metric.help_with_unit(),
            samples,
        }
    }

    /// The labels of each of a row's values, in their order.
    fn labels(&self, metric: &Metric) -> Vec<Vec<&str>> {
        let servers = self.servers.iter().copied();
        match metric.read {
            Read::Process(_)
            | Read::Labelled(_)
            | Read::Pool(_)
            | Read::Shard(_)
            | Read::ShardsAndProcess(..)
            | Read::EachShard(_) => vec![Vec::new()],
            Read::Server(_) | Read::ServerSetting(_) => servers.map(|server| vec![server]).collect(),
            Read::ServerScripts(_) => {
                servers.flat_map(|server| SESSION_HOOKS.iter().map(move |hook| vec![server, *hook])).collect()
            }
            Read::QueueScripts(_) => QUEUE_HOOKS.iter().map(|hook| vec![*hook]).collect(),
        }
    }
}

fn threads(threads: &Threads) -> (String, ThreadStats) {
    let number = |number: usize| number as u64;
    let stats = ThreadStats {
        size: number(threads.size),
        running: number(threads.running),
        pending: number(threads.pending),
    };
    (threads.pool.to_owned(), stats)
}

fn queue(total: &ShardStats, facts: &Facts) -> QueueStats {
    let sum = |name: &str| total.sum(name);
    let limits = |name: &str| LimitStats {
        suspends: sum(&format!("queue.policy.{name}.suspends")),
        counters: sum(&format!(
            "queue.policy.{name}.{}",
            if name == "rate" { "buckets" } else { "counters" }
        )),
    };
    let hooks = QUEUE_HOOKS.iter().enumerate();
    QueueStats {
        scripts: hooks
            .map(|(place, name)| ((*name).to_owned(), scripts("queue.scripts.<hook>", place, total)))
            .collect(),
        loader: Some(LoaderStats {
            count: sum("queue.loader.count"),
            pending: sum("queue.loader.pending"),
            active: sum("queue.loader.active"),
        }),
        quota: Some(SizeStats { size: sum("queue.quota.size") }),
        queue: Some(QueueSizes {
            active: vec![sum("queue.queue.active.0"), sum("queue.queue.active.1")],
            defer: sum("queue.queue.defer"),
            hold: sum("queue.queue.hold"),
            update: sum("queue.queue.update"),
            pending: sum("queue.queue.pending"),
            sending: sum("queue.queue.sending"),
        }),
        policy: Some(PolicyStats {
            dynamic: Some(DynamicStats {
                suspends: facts.dynamic_suspends as u64,
                conditions: facts.dynamic_conditions as u64,
            }),
            concurrency: Some(limits("concurrency")),
            rate: Some(limits("rate")),
            connectinterval: Some(limits("connectinterval")),
        }),
        pickup: Some(PickupStats {
            count: sum("queue.pickup.count"),
            skips: sum("queue.pickup.skips"),
            misses: sum("queue.pickup.misses"),
            pending: sum("queue.pickup.pending"),
            evals: sum("queue.pickup.evals"),
        }),
        connections: Some(Usage { count: sum("queue.connections.count"), max: sum("queue.connections.max") }),
        pooling: Some(cache("queue.pooling", total)),
        delivery: Some(DeliveryStats {
            delivered: sum("queue.delivery.delivered"),
            delayed: sum("queue.delivery.delayed"),
            failed: sum("queue.delivery.failed"),
        }),
    }
}

fn cache(prefix: &str, total: &ShardStats) -> CacheStats {
    let sum = |name: &str| total.sum(&format!("{prefix}.{name}"));
    CacheStats {
        size: sum("size"),
        hits: sum("hits"),
        misses: sum("misses"),
        expires: sum("expires"),
        evicts: sum("evicts"),
        skips: sum("skips"),
    }
}

fn scripts(prefix: &str, place: usize, total: &ShardStats) -> ScriptStats {
    let one = |name: &str| total.named(&format!("{prefix}.{name}")).get(place).copied().unwrap_or_default();
    ScriptStats {
        running: one("running"),
        finished: one("finished"),
        pending: one("pending"),
        errors: one("errors"),
    }
}

impl Metric {
    /// Its name in OpenMetrics: `halon_`, and the parts of its name that are no labels.
    pub fn family(&self) -> String {
        let parts = self.name.split('.').filter(|part| !part.starts_with('<'));
        parts.fold("halon".to_owned(), |name, part| name + "_" + part)
    }

    /// What it says, in which unit.
    pub fn help_with_unit(&self) -> String {
        match self.unit {
            "bytes" | "seconds" | "seconds since 1970" | "microseconds" => {
                format!("{}, in {}", self.help, self.unit)
            }
            _ => self.help.to_owned(),
        }
    }

    fn sample(&self, labels: &[&str], value: Value) -> MetricSample {
        let mut left = labels.iter();
        let mut named = BTreeMap::new();
        let mut stat: Vec<&str> = Vec::new();
        for part in self.name.split('.') {
            match part.strip_prefix('<').and_then(|part| part.strip_suffix('>')) {
                Some(label) => {
                    let value = left.next().copied().unwrap_or_default();
                    named.insert(label.to_owned(), value.to_owned());
                    stat.push(value);
                }
                None => stat.push(part),
            }
        }
        MetricSample { stat: stat.join("."), labels: named, suffix: String::new(), value: Some(value) }
    }
}

/// Whole numbers are shown as such.
fn number_of(value: f64) -> Value {
    if value.fract() == 0.0 && value >= 0.0 { Value::Integer(value as u64) } else { Value::Number(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_parts_of_the_dotted_name_and_none_of_the_family() {
        let row = |name: &str| METRICS.iter().position(|metric| metric.name == name).expect("in the table");
        let errors = &METRICS[row("servers.<server>.scripts.<hook>.errors")];
        assert_eq!(errors.family(), "halon_servers_scripts_errors");
        let sample = errors.sample(&["in", "eod"], Value::Integer(3));
        assert_eq!(sample.stat, "servers.in.scripts.eod.errors");
        let labels: Vec<_> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(labels, ["hook=eod", "server=in"]);
    }

    #[test]
    fn what_threads_beside_the_shards_lost_of_the_log_counts_with_theirs() {
        let row = |name: &str| METRICS.iter().position(|metric| metric.name == name).expect("in the table");
        let mut lost = ShardStats::default();
        lost.rows.resize_with(METRICS.len(), Vec::new);
        lost.rows[row("log.dropped")] = vec![4];
        let facts = Facts { log_dropped: 3, driver: "epoll", ..Facts::default() };
        let report = Report { facts, servers: Vec::new(), shards: &[lost.clone(), lost], custom: Vec::new() };
        let families = report.families();
        let first = |name: &str| families[row(name)].samples[0].clone();
        assert_eq!(first("log.dropped").value, Some(Value::Integer(11)));
        let driver = first("process.driver.<driver>");
        assert_eq!((driver.stat.as_str(), driver.value), ("process.driver.epoll", Some(Value::Integer(1))));
    }

    #[test]
    fn every_row_has_a_family_of_its_own() {
        let mut families: Vec<String> = METRICS.iter().map(Metric::family).collect();
        families.sort();
        let count = families.len();
        families.dedup();
        assert_eq!(families.len(), count);
        let facts = Facts { pid: 7, elapsed_s: 1.5, ready: true, ..Facts::default() };
        let report = Report { facts, servers: vec!["in"], shards: &[], custom: Vec::new() };
        let stats = report.process_stats(report.families());
        let process = stats.process.expect("there");
        assert_eq!((process.pid, process.runtime, process.elapsed), (7, 1, 1.5));
        assert!(stats.servers["in"].scripts.contains_key("mailfrom"));
        let text = control::openmetrics::render(&stats.metrics);
        assert!(text.contains(
            "# HELP halon_process_elapsed Time since the start, in seconds\nhalon_process_elapsed 1.5\n"
        ));
    }
}
