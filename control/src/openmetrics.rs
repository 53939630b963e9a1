//! Metrics as OpenMetrics 1.0 text, for the monitor endpoint and `halonctl process-stats --openmetrics`.

use std::fmt::Write;

use crate::smtpd::metric_family::Type;
use crate::smtpd::metric_sample::Value;
use crate::smtpd::{MetricFamily, MetricSample};

/// The exposition of all families, with its end mark.
#[must_use]
pub fn render(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        let name = &family.name;
        let kind = match family.r#type() {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram => "histogram",
        };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        // The unit has to be the end of the name.
        if !family.unit.is_empty() && name.ends_with(&format!("_{}", family.unit)) {
            let _ = writeln!(text, "# UNIT {name} {}", family.unit);
        }
        let _ = writeln!(text, "# HELP {name} {}", escaped(&family.help));
        for sample in &family.samples {
            line(&mut text, name, family.r#type(), sample);
        }
    }
    text + "# EOF\n"
}

fn line(text: &mut String, name: &str, kind: Type, sample: &MetricSample) {
    let suffix = match (kind, sample.suffix.as_str()) {
        (Type::Counter, "") => "_total",
        (_, suffix) => suffix,
    };
    let _ = write!(text, "{name}{suffix}");
    for (index, (label, value)) in sample.labels.iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        let _ = write!(text, "{before}{label}=\"{}\"", escaped(value));
    }
    if !sample.labels.is_empty() {
        text.push('}');
    }
    let _ = match &sample.value {
        Some(Value::Integer(number)) => writeln!(text, " {number}"),
        Some(Value::Number(number)) => writeln!(text, " {number}"),
        None => writeln!(text, " 0"),
    };
}

/// As text within a line, or within quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_a_type_a_help_text_and_samples() {
        let sample = |labels: &[(&str, &str)], value| MetricSample {
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            value: Some(value),
            ..MetricSample::default()
        };
        let family = |name: &str, kind: Type, help: &str, samples| MetricFamily {
            name: name.to_owned(),
            r#type: kind.into(),
            help: help.to_owned(),
            samples,
            ..MetricFamily::default()
        };
        let families = [
            family("halon_process_pid", Type::Gauge, "Process id", vec![sample(&[], Value::Integer(7))]),
            family(
                "halon_scripts_errors",
                Type::Counter,
                "Failed",
                vec![sample(&[("hook", "eod"), ("server", "a\"b")], Value::Number(1.5))],
            ),
        ];
        assert_eq!(
            render(&families),
            "# TYPE halon_process_pid gauge\n# HELP halon_process_pid Process id\nhalon_process_pid 7\n\
             # TYPE halon_scripts_errors counter\n# HELP halon_scripts_errors Failed\n\
             halon_scripts_errors_total{hook=\"eod\",server=\"a\\\"b\"} 1.5\n# EOF\n"
        );
    }
}
