//! `queue quota`.

use std::collections::BTreeMap;
use std::rc::Rc;

use control::smtpd::{QueueQuotaRequest, QueueQuotaResponse, Quota};
use queue::QuotaUse;

use super::shards::{ask, sort_out};
use crate::program::Control;

/// How much counts for a quota, or for each that something counts for, over all shards.
///
/// # Errors
/// A shard does not answer, so that the sum would be wrong.
pub(super) async fn quota(
    control: &Rc<Control>,
    request: QueueQuotaRequest,
) -> Result<QueueQuotaResponse, String> {
    let name = request.name.clone();
    let answers = ask(control, move |shard| {
        let name = name.clone();
        async move {
            let queue = shard.queue.borrow();
            match name {
                Some(name) => vec![(name.clone(), queue.quota(&name))],
                None => queue.quotas().map(|(name, usage)| (name.to_owned(), usage)).collect(),
            }
        }
    });
    let (parts, missing) = sort_out(answers.await);
    if let Some(missing) = missing.first() {
        return Err(format!("shard {} does not answer; the sum would be wrong", missing.shard));
    }
    let mut all: BTreeMap<String, QuotaUse> = BTreeMap::new();
    for (name, usage) in parts.into_iter().flatten() {
        let sum = all.entry(name).or_default();
        sum.count += usage.count;
        sum.bytes = sum.bytes.saturating_add(usage.bytes);
    }
    let quota = |(name, QuotaUse { count, bytes })| Quota { name, count, bytes };
    Ok(QueueQuotaResponse { quotas: all.into_iter().map(quota).collect() })
}
