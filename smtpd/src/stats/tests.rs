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
            metric::Read::Process(_) | metric::Read::Shard(_) => &[],
            metric::Read::EachShard(_) => &["<shard>"],
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
