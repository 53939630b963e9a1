//! Goes through a shard's queue without holding up its loop.

use std::rc::Rc;

use control::smtpd::{Missing, missing::Reason};
use queue::{Cursor, ItemView};

use super::shards::{self, Answer};
use crate::shard::Shard;

/// What a scan found, and whether the queue was still being read.
#[derive(Debug)]
pub(super) struct Scanned<T> {
    pub(super) value: T,
    pub(super) loading: bool,
}

/// Shows each item, as of some time during the scan. `f` gets the time, and says whether to go on.
pub(super) async fn scan(shard: &Rc<Shard>, mut f: impl FnMut(ItemView<'_>, u64) -> bool) {
    let mut cursor = Some(Cursor::default());
    while let Some(from) = cursor {
        let now_ms = engine::time::steady_ms();
        let mut go_on = true;
        cursor = shard.queue.borrow().scan(from, |item| go_on = go_on && f(item, now_ms));
        if !go_on {
            return;
        }
        engine::task::yield_now().await;
    }
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
