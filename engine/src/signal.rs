//! Signals as events, on the control thread.

use std::future::poll_fn;
use std::rc::Rc;

use crate::mesh::local;
use crate::op::future::Stream;
use crate::op::{Item, Op};
use crate::{boot, shard};

/// Waits for the next of the signals named in [`crate::boot::Options::signals`]. One waiter at a time. A signal that
/// arrives while nobody waits is kept. Panics on a shard.
pub async fn next() -> i32 {
    assert!(boot::is_control(), "signals are read on the control thread");
    let signals: Rc<Signals> = local::get_or_default();
    loop {
        let next = poll_fn(|cx| shard::with(|shard| signals.0.poll_next(shard, cx, || Op::Signals))).await;
        if let Ok(Some(Item::Signal(signal))) = next {
            return signal;
        }
    }
}

#[derive(Default)]
struct Signals(Stream);
