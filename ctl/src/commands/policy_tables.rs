//! What `queue policy list` shows.

use control::smtpd::rate::Algorithm;
use control::smtpd::{Policy, PolicyConditionType, PolicyEntry, Then};

use super::fields::wall;
use crate::matching::{shown, shown_properties, shown_ttl};
use crate::table::{Align, Table};

/// The conditions, and the counters where there are any.
pub(super) fn tables(policies: &[Policy]) -> String {
    let text = conditions(policies);
    if policies.iter().all(|policy| policy.entries.is_empty()) {
        return text;
    }
    text + &counters(policies)
}

fn conditions(policies: &[Policy]) -> String {
    let mut table = Table::new([
        ("Policy", Align::Left),
        ("Type", Align::Left),
        ("ID", Align::Left),
        ("If", Align::Left),
        ("Then", Align::Left),
        ("TTL", Align::Right),
    ]);
    for policy in policies {
        let fields = policy.fields.join(",");
        for condition in &policy.conditions {
            table.row([
                fields.clone(),
                kind(condition.r#type()).to_owned(),
                condition.id().to_owned(),
                shown(&condition.r#if.clone().unwrap_or_default()),
                condition.then.as_ref().map(limits).unwrap_or_default(),
                shown_ttl(condition.ttl),
            ]);
        }
        let default = policy.default.as_ref().map_or_else(|| "no limit".to_owned(), limits);
        table.row([fields.as_str(), "default", "", "", &default, ""]);
    }
    table.render()
}

fn counters(policies: &[Policy]) -> String {
    let mut table = Table::new([
        ("Policy", Align::Left),
        ("Values", Align::Left),
        ("Connections", Align::Right),
        ("Rate used", Align::Right),
        ("Next in", Align::Right),
        ("Limits", Align::Left),
        ("Waiting", Align::Right),
    ]);
    let now = wall();
    for policy in policies {
        for entry in &policy.entries {
            table.row([
                policy.fields.join(","),
                entry.values.join(", "),
                entry.concurrency.to_string(),
                entry.rate.as_ref().map(|rate| rate.used.to_string()).unwrap_or_default(),
                next(entry, now),
                entry.limits.as_ref().map(limits).unwrap_or_default(),
                entry.waiting.to_string(),
            ]);
        }
    }
    table.render()
}

/// Seconds until the counter lets something through again; nothing when it does now.
pub(super) fn next(entry: &PolicyEntry, now: f64) -> String {
    let rate = entry.rate.as_ref().map_or(0.0, |rate| rate.next);
    let next = rate.max(entry.connectnext) - now;
    if next > 0.0 { format!("{next:.1}") } else { String::new() }
}

pub(super) fn kind(kind: PolicyConditionType) -> &'static str {
    match kind {
        PolicyConditionType::Config => "file",
        PolicyConditionType::Dynamic => "dynamic",
        PolicyConditionType::Warmup => "warmup",
        PolicyConditionType::Backoff => "backoff",
    }
}

/// Limits as text: `concurrency=5 rate=600/60`.
pub(super) fn limits(then: &Then) -> String {
    let mut words = Vec::new();
    if let Some(concurrency) = then.concurrency {
        words.push(format!("concurrency={concurrency}"));
    }
    if let Some(rate) = &then.rate {
        let algorithm = match rate.algorithm() {
            Algorithm::Default => "",
            Algorithm::Fixedwindow => " fixedwindow",
            Algorithm::Tokenbucket => " tokenbucket",
        };
        words.push(format!("rate={}/{}{algorithm}", rate.count, rate.interval));
    }
    if let Some(interval) = then.connectinterval {
        words.push(format!("connectinterval={interval}"));
    }
    if let Some(tag) = then.tag.as_ref().filter(|tag| !tag.is_empty()) {
        words.push(format!("tag={tag}"));
    }
    if then.stop {
        words.push("stop".to_owned());
    }
    if then.cluster == Some(false) {
        words.push("no-cluster".to_owned());
    }
    if !then.properties.is_empty() {
        words.push(shown_properties(&then.properties));
    }
    if words.is_empty() { "no limit".to_owned() } else { words.join(" ") }
}
