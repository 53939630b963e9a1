//! The queues of `http-bulk`.

use std::path::PathBuf;
use std::time::Duration;

use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};

use super::required;

/// The keys that count.
pub(super) const SETTINGS: &[&str] = &[
    "queues",
    "queues.id",
    "queues.path",
    "queues.url",
    "queues.format",
    "queues.min_items",
    "queues.max_items",
    "queues.max_interval",
    "queues.tls_verify",
    "queues.preamble",
    "queues.postamble",
    "queues.username",
    "queues.password",
    "queues.timeout",
    "queues.connect_timeout",
    "queues.headers",
    "queues.concurrency",
    "queues.aws_sigv4",
];

/// How long connecting may take when the file does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a request may take when the file does not say: a server that accepts and says nothing would stop its queue.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A queue on disk whose items are posted in batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkQueue {
    /// The name in scripts.
    pub id: String,
    /// The directory that holds it.
    pub path: PathBuf,
    /// Where batches are posted.
    pub url: String,
    /// How a batch is made of items.
    pub format: BulkFormat,
    /// Items that are waited for, as long as `max_interval` has not passed.
    pub min_items: u64,
    /// Most items of one batch.
    pub max_items: u64,
    /// How long fewer than `min_items` wait after the last batch; `None`: for ever.
    pub max_interval: Option<Duration>,
    /// Whether the server's certificate and name are verified.
    pub tls_verify: bool,
    /// What a batch begins with.
    pub preamble: String,
    /// What a batch ends with.
    pub postamble: String,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Lines of `Name: value`.
    pub headers: Vec<String>,
    /// How requests are signed for Amazon: `provider[:prefix[:region[:service]]]`; the credentials are key and secret.
    pub aws_sigv4: Option<String>,
    /// Queues that the items are dealt to, each with one request at a time.
    pub concurrency: u16,
}

/// How a batch is made of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkFormat {
    /// Each ends with a line feed.
    Ndjson,
    /// One array, unless `max_items` is 1.
    JsonArray,
    /// One behind the other.
    Custom,
}

/// What the tables cannot say: the plugin `kafka` has queues without these.
pub(super) fn check(plugin: &Tree, path: &str, report: &mut Report) {
    if plugin.text("id") != Some("http-bulk") {
        return;
    }
    for (index, queue) in plugin.items("config.queues").iter().enumerate() {
        for key in ["path", "url"] {
            if queue.get(key).is_none() {
                let problem = Problem::new("required property is missing");
                report.error(queue.at, &format!("{path}.queues[{index}].{key}"), problem);
            }
        }
        if let Some(signing) = queue.get("aws_sigv4").filter(|_| !is_signing(queue.text("aws_sigv4"))) {
            let problem = Problem::new("expected provider[:prefix[:region[:service]]]")
                .hint("for example aws:amz:us-east-1:es");
            report.error(signing.at, &format!("{path}.queues[{index}].aws_sigv4"), problem);
        }
    }
}

/// Up to four words.
fn is_signing(text: Option<&str>) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    text.is_some_and(|text| text.split(':').count() <= 4 && text.split(':').all(is_word))
}

/// One queue of a tree without errors.
pub(super) fn queue(item: &Tree) -> BulkQueue {
    let text = |key: &str| item.text(key).unwrap_or_default().to_owned();
    let seconds = |key: &str| item.integer(key).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let credentials = (item.get("username").is_some() || item.get("password").is_some())
        .then(|| (text("username"), text("password")));
    BulkQueue {
        id: required(item, "id"),
        path: required(item, "path").into(),
        url: required(item, "url"),
        format: match item.text("format") {
            Some("ndjson") => BulkFormat::Ndjson,
            Some("custom") => BulkFormat::Custom,
            _ => BulkFormat::JsonArray,
        },
        min_items: item.integer("min_items").unwrap_or(1),
        max_items: item.integer("max_items").unwrap_or(1),
        max_interval: seconds("max_interval"),
        tls_verify: item.bool("tls_verify").unwrap_or(true),
        preamble: text("preamble"),
        postamble: text("postamble"),
        credentials,
        timeout: seconds("timeout").unwrap_or(TIMEOUT),
        connect_timeout: seconds("connect_timeout").unwrap_or(CONNECT_TIMEOUT),
        headers: item
            .items("headers")
            .iter()
            .filter_map(|line| match &line.value {
                Checked::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect(),
        aws_sigv4: item.text("aws_sigv4").map(str::to_owned),
        concurrency: item.count("concurrency").and_then(|count| u16::try_from(count).ok()).unwrap_or(1),
    }
}
