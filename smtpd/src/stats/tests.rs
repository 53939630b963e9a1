use std::collections::BTreeSet;

use super::*;

#[test]
fn a_name_stands_in_the_table_once_and_with_labels_that_its_source_has() {
    let mut names = BTreeSet::new();
    for metric in METRICS {
        assert!(names.insert(metric.name), "{} stands there twice", metric.name);
        assert!(!metric.help.is_empty() && !metric.help.ends_with('.'), "{}", metric.name);
        let labels: Vec<&str> = metric.name.split('.').filter(|part| part.starts_with('<')).collect();
        let expected: &[&str] = match metric.read {
            metric::Read::Process(_) | metric::Read::Shard(_) | metric::Read::ShardsAndProcess(..) => &[],
            metric::Read::Labelled(_) if metric.name.starts_with("process") => &["<driver>"],
            metric::Read::Labelled(_) => &["<id>"],
            metric::Read::EachShard(_) => &["<shard>"],
            metric::Read::Pool(_) => &["<pool>"],
            metric::Read::Server(_) | metric::Read::ServerSetting(_) => &["<server>"],
            metric::Read::ServerScripts(_) => &["<server>", "<hook>"],
            metric::Read::QueueScripts(_) => &["<hook>"],
        };
        assert_eq!(labels, expected, "{}", metric.name);
    }
}

#[test]
fn the_values_of_shards_are_added_and_settings_are_not() {
    let rows = |value: u64| ShardStats {
        rows: METRICS.iter().map(|_| vec![value, 7]).collect(),
        custom: Vec::new(),
    };
    let mut all = ShardStats::default();
    all.merge(&rows(3));
    all.merge(&rows(5));
    for (number, metric) in METRICS.iter().enumerate() {
        let expected = if metric.read.merge() == Merge::Sum { [8, 14] } else { [5, 7] };
        assert_eq!(all.row(number), expected, "{}", metric.name);
    }
    assert_eq!(all.sum("queue.delivery.delivered"), 22);
}

/// Text of `docs/reference/metrics.md`.
fn reference() -> String {
    let mut text = String::from(include_str!("reference.md"));
    text.push_str("\n| Name | In OpenMetrics | Kind | Counts | Meaning |\n|---|---|---|---|---|\n");
    for metric in METRICS {
        let (kind, suffix) = match metric.kind {
            metric::Kind::Counter => ("counter", "_total"),
            metric::Kind::Gauge => ("gauge", ""),
        };
        let labels: Vec<&str> =
            metric.name.split('.').filter_map(|part| part.strip_prefix('<')?.strip_suffix('>')).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        text.push_str(&format!(
            "| `{}` | `{}{suffix}{labels}` | {kind} | {} | {} |\n",
            metric.name,
            metric.family(),
            metric.unit,
            metric.help
        ));
    }
    text
}

/// `UPDATE_DOCS=1 cargo test -p smtpd` writes it.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test stands outside the engine")]
fn the_reference_of_metrics_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md");
    let text = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "docs/reference/metrics.md is stale: UPDATE_DOCS=1 cargo test -p smtpd");
}

#[test]
fn the_dashboard_asks_only_for_metrics_that_there_are() {
    let dashboard = include_str!("../../../packaging/grafana/dashboard.json");
    let known: BTreeSet<String> = METRICS
        .iter()
        .map(|metric| match metric.kind {
            metric::Kind::Counter => format!("{}_total", metric.family()),
            metric::Kind::Gauge => metric.family(),
        })
        .collect();
    let names = dashboard.split("halon_").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        format!("halon_{}", &rest[..end])
    });
    let asked: BTreeSet<String> = names.collect();
    assert!(asked.len() > 20, "{asked:?}");
    for name in asked {
        assert!(known.contains(&name), "the dashboard asks for {name}");
    }
}
