//! Goes through a shard's queue without holding up its loop.

use std::rc::Rc;

use control::smtpd::{Missing, missing::Reason};
use engine::task::Slice;
use queue::{Cursor, ItemView};

use super::shards::{self, Answer};
use crate::limits;
use crate::shard::Shard;

/// What a scan found, and whether the queue was still being read.
#[derive(Debug)]
pub(super) struct Scanned<T> {
    pub(super) value: T,
    pub(super) loading: bool,
}

/// What a job for an operator may take of one turn of the loop.
pub(super) fn slice() -> Slice {
    Slice::begin(limits::CONTROL_SLICE)
}

/// Shows the items from `from` on, each as of some time during the scan, a slice of them in each turn of the loop. `visit` gets
/// the time, and says whether to go on. Gives where it stopped; `None`: it has seen all.
pub(super) async fn scan_from(
    shard: &Rc<Shard>,
    mut from: Cursor,
    mut visit: impl FnMut(ItemView<'_>, u64) -> bool,
) -> Option<Cursor> {
    loop {
        let now_ms = engine::time::steady_ms();
        let (mut slice, mut go_on) = (slice(), true);
        let (more, next) = shard.queue.borrow().scan_until(from, |item| {
            go_on = visit(item, now_ms);
            go_on && !slice.is_over()
        });
        if !more {
            return None;
        }
        if !go_on {
            return Some(next);
        }
        from = next;
        engine::task::yield_now().await;
    }
}

/// The same for all items.
pub(super) async fn scan(shard: &Rc<Shard>, visit: impl FnMut(ItemView<'_>, u64) -> bool) {
    scan_from(shard, Cursor::default(), visit).await;
}

/// With what the shard says about itself.
pub(super) fn scanned<T>(shard: &Shard, value: T) -> Scanned<T> {
    Scanned { value, loading: !shard.store.is_loaded() }
}

/// What was found, and the shards of which something is missing.
pub(super) fn sort_out<T>(answers: Vec<Answer<Scanned<T>>>) -> (Vec<T>, Vec<Missing>) {
    let loading = |shard| Missing { shard, reason: Reason::Loading.into(), ..Missing::default() };
    let still: Vec<_> = (0..)
        .zip(&answers)
        .filter(|(_, answer)| matches!(answer, Answer::Here(scanned) if scanned.loading))
        .map(|(shard, _)| loading(shard))
        .collect();
    let (here, mut missing) = shards::sort_out(answers);
    missing.extend(still);
    (here.into_iter().map(|scanned| scanned.value).collect(), missing)
}
