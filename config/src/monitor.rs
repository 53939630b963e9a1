//! `monitor` of both files: the HTTP endpoint for probes and metrics.

use std::net::IpAddr;

use crate::report::{Problem, Report};
use crate::schema::File;
use crate::tree::{Checked, Tree};
use crate::{Startup, limits};

/// `monitor.listener` of the startup file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorListener {
    /// Local address; `None`: all IPv4 and IPv6 addresses.
    pub address: Option<IpAddr>,
    /// TCP port, not 0.
    pub port: u16,
    /// It speaks TLS, with the certificate of the running file.
    pub https: bool,
    /// Listen backlog; `None`: the system's.
    pub backlog: Option<u32>,
}

/// `monitor` of the running file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Monitor {
    /// Values of `X-API-Key` that open `/metrics`; empty: it is open.
    pub api_keys: Vec<String>,
    /// Id of the `pki.private` entry of a listener that speaks TLS.
    pub certificate: Option<String>,
    /// When `/healthy` says no because of what is queued.
    pub max_messages: Option<MaxMessages>,
    /// What scripts count. Names are unique.
    pub metrics: Vec<CustomMetric>,
}

/// `monitor.healthy.maxmessages`, with hysteresis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxMessages {
    /// Unhealthy above.
    pub upper: u64,
    /// Healthy again below; at most `upper`.
    pub lower: u64,
}

/// `monitor.metrics[]`: something that scripts count.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomMetric {
    /// Its name for scripts.
    pub name: String,
    /// How it counts.
    pub kind: MetricKind,
    /// What it says.
    pub help: String,
}

/// `monitor.metrics[].type`.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricKind {
    /// It only grows, unless a script sets it.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values there were up to each of these bounds, which grow.
    Histogram {
        /// Upper bounds; that of everything is not among them.
        bounds: Vec<f64>,
    },
}

/// The listener; of the short form, and of `monitor.listener`, where that is there.
pub(crate) fn listener(tree: &Tree) -> Option<MonitorListener> {
    let monitor = tree.get("monitor")?;
    let listener = monitor.get("listener").unwrap_or(monitor);
    let port = listener.integer("port").or_else(|| monitor.integer("port"))?;
    let kind = listener.text("type").or_else(|| monitor.text("type"));
    Some(MonitorListener {
        address: listener.ip("address"),
        port: u16::try_from(port).expect("bounded by the schema"),
        https: kind == Some("https"),
        backlog: listener.count("backlog"),
    })
}

/// The running part.
pub(crate) fn monitor(tree: &Tree) -> Monitor {
    let keys = tree.items("monitor.apikeys").iter();
    let limit = |key: &str| tree.integer(&format!("monitor.healthy.maxmessages.{key}"));
    let (upper, lower) = (limit("upper"), limit("lower"));
    Monitor {
        api_keys: keys.filter_map(text).collect(),
        certificate: tree.text("monitor.tls.certs.cert").map(str::to_owned),
        max_messages: upper.map(|upper| MaxMessages { upper, lower: lower.unwrap_or(upper) }),
        metrics: tree.items("monitor.metrics").iter().map(metric).collect(),
    }
}

fn metric(tree: &Tree) -> CustomMetric {
    CustomMetric {
        name: tree.text("name").expect("required").to_owned(),
        kind: match tree.text("type") {
            Some("counter") => MetricKind::Counter,
            Some("histogram") => {
                MetricKind::Histogram { bounds: tree.items("buckets").iter().filter_map(number).collect() }
            }
            _ => MetricKind::Gauge,
        },
        help: tree.text("help").unwrap_or_default().to_owned(),
    }
}

fn text(tree: &Tree) -> Option<String> {
    match &tree.value {
        Checked::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn number(tree: &Tree) -> Option<f64> {
    match &tree.value {
        Checked::Number(number) => Some(*number),
        Checked::Text(text) => text.parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// What the schema cannot say of the startup file.
pub(crate) fn cross_check_startup(tree: &Tree, report: &mut Report) {
    let Some(monitor) = tree.get("monitor") else { return };
    for key in ["port", "address"] {
        let Some(short) = monitor.get(key) else { continue };
        let path = format!("monitor.{key}");
        if monitor.get("listener").is_some() {
            report.error(short.at, &path, Problem::new("monitor.listener says the same"));
        } else {
            report.warning(short.at, &path, Problem::new(format!("an old form of monitor.listener.{key}")));
        }
    }
    if listener(tree).is_none() && !matches!(monitor.value, Checked::Opaque) {
        let problem = Problem::new("required property is missing");
        report.error(monitor.at, "monitor.listener.port", problem);
    }
}

/// What the schema cannot say of the running file.
pub(crate) fn cross_check(tree: &Tree, startup: &Startup, report: &mut Report) {
    let Some(monitor) = tree.get("monitor") else { return };
    listener_fits(monitor, startup, report);
    if let (Some(upper), Some(lower)) =
        (monitor.integer("healthy.maxmessages.upper"), monitor.get("healthy.maxmessages.lower"))
        && monitor.integer("healthy.maxmessages.lower").is_some_and(|lower| lower > upper)
    {
        let problem = Problem::new(format!("is above upper, which is {upper}"));
        report.error(lower.at, "monitor.healthy.maxmessages.lower", problem);
    }
    if monitor.get("healthy.maxmessages.upper").is_none()
        && let Some(lower) = monitor.get("healthy.maxmessages.lower")
    {
        let problem = Problem::new("says nothing without upper");
        report.error(lower.at, "monitor.healthy.maxmessages.lower", problem);
    }
    let metrics = monitor.items("metrics");
    if metrics.len() > limits::METRICS {
        let problem = Problem::new(format!("more than {} metrics", limits::METRICS));
        report.error(monitor.at, "monitor.metrics", problem);
    }
    for (index, metric) in metrics.iter().enumerate() {
        let path = format!("monitor.metrics[{index}]");
        let name = metric.text("name");
        if metrics[..index].iter().any(|other| name.is_some() && other.text("name") == name) {
            let problem = Problem::new(format!("\"{}\" is there twice", name.unwrap_or_default()));
            report.error(metric.at, &format!("{path}.name"), problem);
        }
        metric_fits(metric, &path, report);
    }
}

fn listener_fits(monitor: &Tree, startup: &Startup, report: &mut Report) {
    let file = File::Startup.file_name();
    let Some(listener) = &startup.monitor else {
        let problem = Problem::new(format!("{file} has no monitor.listener: nobody can ask"));
        return report.warning(monitor.at, "monitor", problem);
    };
    let kind = if listener.https { "https" } else { "http" };
    if let Some(own) = monitor.text("type").filter(|own| *own != kind) {
        let at = monitor.get("type").map_or(monitor.at, |tree| tree.at);
        let problem = Problem::new(format!("\"{own}\" differs from \"{kind}\" in {file}"));
        report.error(at, "monitor.type", problem);
    }
}

fn metric_fits(metric: &Tree, path: &str, report: &mut Report) {
    if let (Some(name), Some(at)) = (metric.text("name"), metric.get("name").map(|name| name.at))
        && !is_metric_name(name)
    {
        let problem = Problem::new(format!("\"{name}\" is no name of a metric"))
            .hint("use letters, digits and _, and begin with a letter");
        report.error(at, &format!("{path}.name"), problem);
    }
    let Some(buckets) = metric.get("buckets") else { return };
    let bounds: Vec<Option<f64>> = metric.items("buckets").iter().map(number).collect();
    let problem = if metric.text("type") != Some("histogram") {
        "only a histogram has buckets"
    } else if bounds.len() > limits::METRIC_BUCKETS {
        "too many bounds"
    } else if bounds.iter().any(Option::is_none) {
        "a bound is a number; that of everything is added"
    } else if !bounds.is_sorted_by(|one, next| one < next) {
        "the bounds do not grow"
    } else {
        return;
    };
    report.error(buckets.at, &format!("{path}.buckets"), Problem::new(problem));
}

/// As OpenMetrics wants it, without the colon.
fn is_metric_name(name: &str) -> bool {
    name.len() <= limits::METRIC_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
