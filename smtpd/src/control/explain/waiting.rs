//! What the queued recipients at a domain wait for.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use control::smtpd as proto;
use queue::filter::{Condition, Filter, TextField, TextMatch};

use crate::control::shards::ask;
use crate::control::{rows, scan};
use crate::program::Control;

/// State, kind and words of a wait.
type Wait = (i32, i32, String);

/// What recipients at the domain wait for, how many wait for the same, and until when the first of them does.
pub(super) async fn at(
    control: &Rc<Control>,
    domain: &str,
) -> (Vec<proto::ExplainWaiting>, Vec<proto::Missing>) {
    let here = Condition::Text(TextField::RecipientDomain, vec![TextMatch::equal(domain)]);
    let filter = Arc::new(Filter::new([here]));
    let answers = ask(control, move |shard| {
        let filter = Arc::clone(&filter);
        async move {
            let mut counts: BTreeMap<Wait, (u64, f64)> = BTreeMap::new();
            scan::scan(&shard, |item, now_ms| {
                if filter.matches(&item, now_ms) {
                    let waiting = rows::waiting(&item);
                    let state: i32 = rows::state(&item).into();
                    let same = counts.entry((state, waiting.kind, waiting.text)).or_default();
                    *same = (same.0 + 1, first_of(same.1, waiting.until));
                }
                // What a script or a peer words anew each time must not fill the memory.
                counts.len() < MOST_REASONS
            })
            .await;
            scan::scanned(&shard, counts)
        }
    });
    let (parts, missing) = scan::sort_out(answers.await);
    let mut all: BTreeMap<Wait, (u64, f64)> = BTreeMap::new();
    for (reason, (count, until)) in parts.into_iter().flatten() {
        let same = all.entry(reason).or_default();
        *same = (same.0 + count, first_of(same.1, until));
    }
    let row = |((state, kind, text), (count, until))| {
        let waiting = Some(proto::Waiting { kind, until, text });
        proto::ExplainWaiting { state, waiting, count }
    };
    (all.into_iter().map(row).collect(), missing)
}

/// The earlier of two times; 0 is none.
fn first_of(one: f64, other: f64) -> f64 {
    if one == 0.0 || other == 0.0 { one.max(other) } else { one.min(other) }
}

/// Different reasons to wait that are counted.
const MOST_REASONS: usize = 1_000;
