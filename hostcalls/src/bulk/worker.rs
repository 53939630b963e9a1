//! Sends what is in a queue.

use std::rc::Rc;

use config::{BulkFormat, BulkQueue};
use data_encoding::BASE64;
use engine::time::{Instant, sleep, timeout};

use super::Bulk;
use super::queue::{Queue, RunState};
use crate::http::{self, Signer, Submission};
use crate::{Execution, limits};

/// Failures in a row of which each is told; later ones now and then.
const FAILURES_TOLD: u32 = 1;
/// How many later ones are told as one.
const FAILURES_GATHERED: u32 = 30;

/// As long as the shard runs.
pub(super) async fn work(queue: Rc<Queue>) {
    let mut failures = 0_u32;
    let mut last_sent = engine::time::now();
    loop {
        let done = match queue.count.get() {
            None => queue.open().await,
            Some(_) => {
                let most = until_due(&queue, last_sent).await;
                last_sent = engine::time::now();
                queue.sending.set(Some(engine::time::now_precise()));
                let sent = send(&queue, most).await;
                queue.sending.set(None);
                sent
            }
        };
        match done {
            Ok(()) => {
                failures = 0;
                queue.last_error.borrow_mut().clear();
            }
            Err(what) => {
                if failures < FAILURES_TOLD || failures.is_multiple_of(FAILURES_GATHERED) {
                    queue.complain(&format!("{}: {what}; it will be tried again", queue.settings.url));
                }
                *queue.last_error.borrow_mut() = what;
                let [first, most] = limits::BULK_PAUSE;
                sleep((first * (1 << failures.min(8))).min(most)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

/// Waits until there is something to send, and time for it; how many items at most.
async fn until_due(queue: &Queue, last_sent: Instant) -> u64 {
    let settings = &queue.settings;
    loop {
        let mut patience = None;
        match queue.state.get() {
            RunState::Stopping => queue.state.set(RunState::Stopped),
            RunState::Stopped => {}
            RunState::Started { one } => {
                let count = queue.count.get().unwrap_or(0);
                if one && count > 0 {
                    return 1;
                }
                let interval = settings.max_interval.filter(|_| count > 0);
                patience = interval.map(|interval| (last_sent + interval) - engine::time::now());
                if count >= settings.min_items || patience.is_some_and(|left| left.is_zero()) {
                    return settings.max_items;
                }
            }
        }
        match patience {
            Some(left) => _ = timeout(left, queue.changed.notified()).await,
            None => queue.changed.notified().await,
        }
    }
}

/// Sends a batch, and forgets it when it has been taken.
async fn send(queue: &Queue, most: u64) -> Result<(), String> {
    let batch = queue.read(most).await?;
    if batch.items().is_empty() {
        return Ok(());
    }
    let bulk = Bulk::here().ok_or("the shard ends")?;
    let settings = &queue.settings;
    let submission = Submission {
        url: settings.url.clone(),
        headers: headers(settings),
        body: compose(settings, batch.items()),
        verify: settings.tls_verify,
        connect_timeout: settings.connect_timeout,
        timeout: settings.timeout,
        signer: signer(settings),
    };
    let answer = http::submit(&Execution::begin(&bulk.environment()), submission).await;
    let refused = match answer {
        Ok(answer) if (200..300).contains(&answer.status) => None,
        Ok(answer) => {
            let body = &answer.body[..answer.body.len().min(limits::BULK_ERROR_BYTES_MAX)];
            Some(format!("{} {}", answer.status, String::from_utf8_lossy(body)))
        }
        Err(what) => Some(what.to_owned()),
    };
    if let Some(refused) = refused {
        queue.requests_failed.set(queue.requests_failed.get() + 1);
        return Err(refused);
    }
    queue.requests_sent.set(queue.requests_sent.get() + 1);
    queue.items_sent.set(queue.items_sent.get() + batch.items().len() as u64);
    queue.acknowledge(batch).await
}

fn signer(settings: &BulkQueue) -> Option<Signer> {
    let (user, password) =
        settings.credentials.as_ref().map_or(("", ""), |(user, password)| (user, password));
    Signer::parse(settings.aws_sigv4.as_ref()?, user, password)
}

fn compose(settings: &BulkQueue, items: &[Vec<u8>]) -> Vec<u8> {
    let bytes: usize = items.iter().map(|item| item.len() + 1).sum();
    let mut body = Vec::with_capacity(bytes + settings.preamble.len() + settings.postamble.len() + 2);
    let array = settings.format == BulkFormat::JsonArray && settings.max_items > 1;
    body.extend_from_slice(settings.preamble.as_bytes());
    if array {
        body.push(b'[');
    }
    for (index, item) in items.iter().enumerate() {
        if array && index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(item);
        if settings.format == BulkFormat::Ndjson {
            body.push(b'\n');
        }
    }
    if array {
        body.push(b']');
    }
    body.extend_from_slice(settings.postamble.as_bytes());
    body
}

/// Those of the configuration, and what they do not say.
fn headers(settings: &BulkQueue) -> Vec<net::http::Header> {
    let named = |line: &String| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.trim().as_bytes().to_vec(), value.trim().as_bytes().to_vec())
    };
    let mut headers: Vec<_> = settings.headers.iter().map(named).collect();
    let mut add = |name: &str, value: String| {
        if !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes())) {
            headers.push((name.as_bytes().to_vec(), value.into_bytes()));
        }
    };
    match settings.format {
        BulkFormat::Ndjson => add("Content-Type", "application/x-ndjson".to_owned()),
        BulkFormat::JsonArray => add("Content-Type", "application/json".to_owned()),
        BulkFormat::Custom => {}
    }
    if let Some((user, password)) = &settings.credentials {
        add("Authorization", format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes())));
    }
    headers
}
