//! What a script wants different in a report (reference: hooks 6.3).

use std::rc::Rc;

use hooks::QueueOptions;
use hooks::queued::{Dkim, DsnOverrides};
use mail::report::{Report, Returned};
use uuid::Uuid;

use crate::shard::Shard;

/// Lays it over a report.
pub(super) fn lay_over(report: &mut Report, overrides: &DsnOverrides) {
    if let Some(from) = &overrides.from {
        report.from.clone_from(from);
    }
    if let Some(name) = &overrides.from_name {
        report.from_name.clone_from(name);
    }
    if let Some(recipient) = &overrides.recipient {
        report.to = String::from_utf8_lossy(recipient.as_bytes()).into_owned();
    }
    if overrides.without_original {
        report.original.returned = Returned::Nothing;
    }
    report.changes.subject_prefix = overrides.subject_prepend.clone().unwrap_or_default();
    report.changes.fields.clone_from(&overrides.headers);
    report.changes.readable_part.clone_from(&overrides.readable_part);
}

/// How a report on recipient `about` of a transaction is queued.
pub(super) fn options(overrides: &DsnOverrides, transaction: [u8; 16], about: u32) -> QueueOptions {
    let transaction = Uuid::from_bytes(transaction).to_string();
    // Items are numbered within their transaction, as actions were when scripts queued by acting.
    let number = (about + 1).to_string();
    let links = [("message", &transaction), ("queue", &number), ("action", &number)];
    let links = links.map(|(of, id)| (format!("_original_{of}_id").into_bytes(), id.as_bytes().to_vec()));
    let mut metadata = links.to_vec();
    metadata.extend(overrides.metadata.iter().cloned());
    QueueOptions {
        metadata,
        job_id: overrides.job_id.clone().unwrap_or_default(),
        delay_s: overrides.delay_s.unwrap_or_default(),
        ..QueueOptions::default()
    }
}

/// Puts a DKIM signature on top. The error is a sentence.
pub(super) async fn sign(shard: &Rc<Shard>, order: &Dkim, bytes: &mut Vec<u8>) -> Result<(), String> {
    let runner = shard.queue_runner().ok_or("there are no scripts any more")?;
    *bytes = runner.sign(order, bytes).await?;
    Ok(())
}
