//! The text form of metrics (OpenMetrics 1.0, which Prometheus reads too).

use std::fmt::Write as _;

use crate::stats::report::{Family, FamilyKind};

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes all families, with the end that says that nothing is missing.
pub fn write(families: &[Family]) -> String {
    let mut out = String::with_capacity(families.len() * 256);
    for family in families {
        let kind = match family.kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        };
        let name = &family.name;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# TYPE {name} {kind}");
        let _ = write!(out, "# HELP {name} ");
        escape(&mut out, &family.help);
        out.push('\n');
        for sample in &family.samples {
            out.push_str(name);
            out.push_str(sample.suffix);
            for (number, (label, value)) in sample.labels.iter().enumerate() {
                let _ = write!(out, "{}{label}=\"", if number == 0 { '{' } else { ',' });
                escape(&mut out, value);
                out.push('"');
            }
            out.push_str(if sample.labels.is_empty() { " " } else { "} " });
            let _ = writeln!(out, "{}", sample.value);
        }
    }
    out.push_str("# EOF\n");
    out
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            character => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::report::{Sample, Value};

    #[test]
    fn a_family_has_its_type_and_help_before_its_samples() {
        let sample = |server: &str, value| Sample {
            stat: String::new(),
            labels: vec![("server".to_owned(), server.to_owned()), ("hook".to_owned(), "eod".to_owned())],
            suffix: "_total",
            value,
        };
        let family = Family {
            name: "halon_x".to_owned(),
            kind: FamilyKind::Counter,
            help: "A \\ and\na line".to_owned(),
            samples: vec![sample("in", Value::Integer(3)), sample("o\"ut", Value::Number(0.5))],
        };
        let expected = "# TYPE halon_x counter\n# HELP halon_x A \\\\ and\\na line\n\
            halon_x_total{server=\"in\",hook=\"eod\"} 3\nhalon_x_total{server=\"o\\\"ut\",hook=\"eod\"} 0.5\n# EOF\n";
        assert_eq!(write(&[family]), expected);
        assert_eq!(write(&[]), "# EOF\n");
    }
}
