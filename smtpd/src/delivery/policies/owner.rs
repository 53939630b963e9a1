//! The shard that owns a counter, and how it is reached.

use std::hash::BuildHasher;

use engine::boot::ShardId;
use engine::mesh;
use engine::sync::oneshot;
use engine::task::{Class, spawn};
use queue::policy::{Answer, Ask, Grant, Key};
use rustc_hash::FxBuildHasher;

use super::desk::Desk;
use crate::delivery::paths::now_ms;
use crate::limits;

/// The shard that owns a counter.
pub fn owner(key: &Key) -> ShardId {
    // The upper half: hash tables use the lower bits.
    let hash = FxBuildHasher.hash_one(key) >> 32;
    ShardId((hash % u64::from(engine::boot::shards().max(1))) as u16)
}

/// `None`: the owner does not answer. What it grants later goes back.
pub(super) async fn ask_owner(ask: Ask) -> Option<Answer> {
    let owner = owner(&ask.key);
    if owner == engine::boot::current() {
        return Some(Desk::here().ask(&ask));
    }
    let (send, receive) = oneshot();
    spawn(Class::Interactive, async move {
        let key = ask.key.clone();
        let answer = mesh::call(owner, move || Desk::here().ask(&ask)).await.ok();
        if let Err(Some(Answer::Granted(grant))) = send.send(answer) {
            give_back(key, grant);
        }
    });
    engine::time::timeout(limits::COUNTER_PATIENCE, receive).await.ok().flatten().flatten()
}

/// What the owner of a counter says. `None`: it does not answer.
pub(super) async fn at_owner<T: Send + 'static>(
    key: &Key,
    f: impl FnOnce(&Desk) -> T + Send + 'static,
) -> Option<T> {
    let there = move || {
        let desk = Desk::here();
        let answer = f(&desk);
        desk.settled();
        answer
    };
    let owner = owner(key);
    if owner == engine::boot::current() {
        return Some(there());
    }
    engine::time::timeout(limits::COUNTER_PATIENCE, mesh::call(owner, there)).await.ok()?.ok()
}

pub(super) fn give_back(key: Key, grant: Grant) {
    if !(grant.unit || grant.spare > 0 || grant.interval || grant.counted && grant.tokens > 0) {
        return;
    }
    let here = engine::boot::current().0;
    let back = key.clone();
    tell_owner(&key, move |desk| desk.counters.borrow_mut().give_back(&back, here, grant, now_ms()));
}

/// Reaches the owner in any case.
pub(super) fn tell_owner(key: &Key, what: impl FnOnce(&Desk) + Send + 'static) {
    let owner = owner(key);
    let there = move || {
        let desk = Desk::here();
        what(&desk);
        desk.settled();
    };
    if owner == engine::boot::current() {
        there();
    } else {
        mesh::send_in_any_case(owner, there);
    }
}

/// Gives units back.
pub(super) fn close(key: &Key, count: u32) {
    if count > 0 {
        let (here, closed) = (engine::boot::current().0, key.clone());
        tell_owner(key, move |desk| desk.counters.borrow_mut().closed(&closed, here, count, now_ms()));
    }
}
