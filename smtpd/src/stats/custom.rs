//! What scripts count, as families of metrics.

use std::collections::BTreeMap;

use config::{CustomMetric, MetricKind};
use control::smtpd::metric_family::Type;
use control::smtpd::metric_sample::Value;
use control::smtpd::{MetricFamily, MetricSample};
use hostcalls::metrics::{Count, Series};

use super::metric::Metric;
use super::table::METRICS;

/// The name in OpenMetrics: with `halon_` before it, unless it has it.
pub fn family_name(name: &str) -> String {
    if name.starts_with("halon_") { name.to_owned() } else { format!("halon_{name}") }
}

/// The server has a metric that would be told by this name.
pub fn is_taken(name: &str) -> bool {
    let name = family_name(name);
    METRICS.iter().map(Metric::family).any(|own| own == name)
}

/// Adds what another shard has counted.
pub(super) fn merge(all: &mut Vec<Series>, other: &[Series]) {
    for series in other {
        match all.iter_mut().find(|own| own.name == series.name && own.labels == series.labels) {
            Some(own) => own.count.merge(&series.count),
            None => all.push(series.clone()),
        }
    }
}

/// What was counted of a metric.
pub(super) fn family(metric: &CustomMetric, counted: &[Series]) -> MetricFamily {
    let own = counted.iter().filter(|series| series.name == metric.name && series.count.fits(&metric.kind));
    MetricFamily {
        name: family_name(&metric.name),
        r#type: match metric.kind {
            MetricKind::Counter => Type::Counter,
            MetricKind::Gauge => Type::Gauge,
            MetricKind::Histogram { .. } => Type::Histogram,
        }
        .into(),
        unit: String::new(),
        help: metric.help.clone(),
        samples: own.flat_map(|series| samples(series, &metric.kind)).collect(),
    }
}

fn samples(series: &Series, kind: &MetricKind) -> Vec<MetricSample> {
    let labels: BTreeMap<String, String> = series.labels.iter().cloned().collect();
    let sample = |labels: &BTreeMap<String, String>, suffix: &str, value: Value| MetricSample {
        stat: String::new(),
        labels: labels.clone(),
        suffix: suffix.to_owned(),
        value: Some(value),
    };
    match (&series.count, kind) {
        (Count::Histogram { buckets, sum }, MetricKind::Histogram { bounds }) => {
            let bounds = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            let mut below = 0;
            let mut all = Vec::with_capacity(buckets.len() + 2);
            for (bound, count) in bounds.zip(buckets) {
                below += count;
                let mut labels = labels.clone();
                labels.insert("le".to_owned(), bound);
                all.push(sample(&labels, "_bucket", Value::Integer(below)));
            }
            all.push(sample(&labels, "_sum", Value::Number(*sum)));
            all.push(sample(&labels, "_count", Value::Integer(below)));
            all
        }
        (Count::Number(number), _) => {
            let stat = ["custom", &series.name]
                .into_iter()
                .chain(series.labels.iter().map(|(_, value)| value.as_str()))
                .collect::<Vec<_>>()
                .join(".");
            vec![MetricSample { stat, ..sample(&labels, "", Value::Number(*number)) }]
        }
        (Count::Histogram { .. }, _) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_up_to_each_bound_and_in_all() {
        let kind = MetricKind::Histogram { bounds: vec![0.5, 2.0] };
        let metric = CustomMetric { name: "took".to_owned(), kind, help: "How long".to_owned() };
        let series = |buckets: [u64; 3], sum| Series {
            name: "took".to_owned(),
            labels: vec![("to".to_owned(), "x".to_owned())],
            count: Count::Histogram { buckets: buckets.to_vec(), sum },
        };
        let mut all = vec![series([1, 2, 3], 20.0)];
        merge(&mut all, &[series([1, 0, 0], 0.25)]);
        let text = control::openmetrics::render(&[family(&metric, &all)]);
        let expected = "# TYPE halon_took histogram\n# HELP halon_took How long\n\
            halon_took_bucket{le=\"0.5\",to=\"x\"} 2\nhalon_took_bucket{le=\"2\",to=\"x\"} 4\n\
            halon_took_bucket{le=\"+Inf\",to=\"x\"} 7\nhalon_took_sum{to=\"x\"} 20.25\nhalon_took_count{to=\"x\"} 7\n# EOF\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_metric_of_a_script_takes_the_name_of_one_of_the_servers() {
        assert!(is_taken("process_pid") && is_taken("halon_process_pid"));
        assert!(!is_taken("my_pid"));
    }
}
