//! `smtpd-delivery.yaml`: settings of deliveries that go before those of transports.

use std::time::Duration;

use crate::report::{Problem, Report};
use crate::schema::File;
use crate::transport::check_intervals;
use crate::tree::Tree;
use crate::{
    Error, Field, Loaded, Options, Pattern, RetryInterval, Running, Source, TlsMode, TlsVersions, Version,
    check, matching,
};

/// The delivery file.
#[derive(Clone, Debug)]
pub struct DeliveryFile {
    /// Version of the file; `None`: there is no file.
    pub version: Option<Version>,
    /// The first that matches applies.
    pub conditions: Vec<DeliveryCondition>,
    /// Where none matches, and for what the one that does leaves out.
    pub default: DeliverySettings,
}

/// `delivery.conditions[]`.
#[derive(Clone, Debug)]
pub struct DeliveryCondition {
    /// `if`: matches when each field does. A field matches when any of its patterns does; `@list`s are resolved.
    pub fields: Vec<(Field, Vec<Pattern>)>,
    /// `then`.
    pub settings: DeliverySettings,
}

/// Settings; `None`: as the transport has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliverySettings {
    /// `tls.mode`.
    pub tls_mode: Option<TlsMode>,
    /// `tls.protocols`.
    pub tls_versions: Option<TlsVersions>,
    /// `pooling.enabled`.
    pub pooling: Option<bool>,
    /// `pooling.timeout`.
    pub pooling_timeout: Option<Duration>,
    /// `pooling.transactions`: at least one.
    pub pooling_transactions: Option<u32>,
    /// `pooling.evictable`.
    pub pooling_evictable: Option<bool>,
    /// `timeout.connect`.
    pub connect_timeout: Option<Duration>,
    /// `timeout.smtp`: state and time.
    pub timeouts: Vec<(String, Duration)>,
    /// `retry.count`.
    pub retry_count: Option<u32>,
    /// `retry.intervals`: at least one.
    pub retry_intervals: Option<Vec<RetryInterval>>,
}

impl DeliveryFile {
    /// Nothing is set: there is no file.
    pub fn none() -> DeliveryFile {
        DeliveryFile { version: None, conditions: Vec::new(), default: DeliverySettings::default() }
    }
}

/// Reads the delivery file; `@name` is looked up in the running file's lists, `&name` in its groupings.
///
/// # Errors
/// Every problem of the file, in file order.
pub fn load_delivery(
    source: &Source<'_>,
    running: &Running,
    options: &Options<'_>,
) -> Result<Loaded<DeliveryFile>, Vec<Error>> {
    let mut report = Report::new(source.name);
    let read = check::read(File::Delivery, source, options, &mut report);
    let value = read.map(|(tree, version)| {
        let conditions = tree.items("delivery.conditions").iter().enumerate();
        let conditions =
            conditions.map(|(index, rule)| condition(rule, index, running, &mut report)).collect();
        let default = settings(tree.get("delivery.default"), "delivery.default", running, &mut report);
        DeliveryFile { version: Some(version), conditions, default }
    });
    report.loaded(value)
}

fn condition(rule: &Tree, index: usize, running: &Running, report: &mut Report) -> DeliveryCondition {
    let path = format!("delivery.conditions[{index}]");
    let fields = match rule.get("if") {
        Some(given) => matching::fields(given, &format!("{path}.if"), running, report),
        None => Vec::new(),
    };
    if rule.entries("if").is_empty() {
        let problem = Problem::new("a condition without fields matches everything")
            .hint("what is for everything belongs into delivery.default");
        report.warning(rule.at, &path, problem);
    }
    let settings = settings(rule.get("then"), &format!("{path}.then"), running, report);
    DeliveryCondition { fields, settings }
}

fn settings(tree: Option<&Tree>, path: &str, running: &Running, report: &mut Report) -> DeliverySettings {
    let Some(tree) = tree else { return DeliverySettings::default() };
    if tree.bool("pooling.enabled") == Some(true) && running.queues.pool_size == 0 {
        let at = tree.get("pooling.enabled").map_or(tree.at, |tree| tree.at);
        let problem = Problem::new("has no effect").hint("queues.pooling.size is 0: no connection is kept");
        report.warning(at, &format!("{path}.pooling.enabled"), problem);
    }
    check_intervals(tree, path, report);
    let intervals = tree.get("retry.intervals").map(|list| {
        let intervals: Vec<_> = tree.items("retry.intervals").iter().filter_map(interval).collect();
        if intervals.is_empty() && tree.items("retry.intervals").is_empty() {
            let problem =
                Problem::new("the list is empty").hint("leave it out to keep those of the transport");
            report.error(list.at, &format!("{path}.retry.intervals"), problem);
        }
        intervals
    });
    let states = tree.entries("timeout.smtp").iter();
    let timeout = |state: &String| Some((state.clone(), tree.time(&format!("timeout.smtp.{state}"))?));
    DeliverySettings {
        tls_mode: tree.text("tls.mode").and_then(TlsMode::parse),
        tls_versions: tree.text("tls.protocols").and_then(|list| TlsVersions::parse(list).ok()),
        pooling: tree.bool("pooling.enabled"),
        pooling_timeout: tree.time("pooling.timeout"),
        pooling_transactions: tree.count("pooling.transactions"),
        pooling_evictable: tree.bool("pooling.evictable"),
        connect_timeout: tree.time("timeout.connect"),
        timeouts: states.filter_map(|(state, _)| timeout(state)).collect(),
        retry_count: tree.count("retry.count"),
        retry_intervals: intervals,
    }
}

fn interval(tree: &Tree) -> Option<RetryInterval> {
    Some(RetryInterval { interval: tree.time("interval")?, notify: tree.bool("notify").unwrap_or(false) })
}
