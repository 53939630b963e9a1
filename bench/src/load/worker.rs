//! The messages of one connection after another, as long as there are tickets.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use engine::sync::Semaphore;
use engine::time::{self, Instant};

use crate::ident::Id;
use crate::ledger::Ledger;
use crate::limits::{RECONNECT_FIRST, RECONNECT_LONGEST};
use crate::load::options::Options;
use crate::load::session::{Acknowledged, Failure, Session};
use crate::message::Factory;
use crate::pace::{Pace, Ticket, counted_from};
use crate::tally::Tally;

/// What the connections of one shard share.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) options: Arc<Options>,
    pub(super) pace: Arc<Pace>,
    pub(super) ledger: Option<Arc<Ledger>>,
    pub(super) run: u32,
    pub(super) factory: Factory,
    pub(super) start: Instant,
    pub(super) opening: Semaphore,
    pub(super) tally: RefCell<Tally>,
}

/// Sends until there are no tickets left, or the server cannot be reached.
pub(super) async fn work(shard: Rc<Shard>) {
    let mut session = None;
    if shard.options.per_connection != Some(1) {
        // With many messages per connection, connecting is no part of a message.
        session = connect(&shard).await;
        if session.is_none() {
            return;
        }
    }
    while let Some(ticket) = shard.pace.draw(time::now() - shard.start) {
        let from = wait_until_due(&shard, ticket).await;
        if session.is_none() {
            session = connect(&shard).await;
        }
        let Some(mut open) = session.take() else {
            shard.tally.borrow_mut().failed += 1;
            return;
        };
        let id = Id { run: shard.run, sequence: ticket.number };
        let size_bytes = shard.options.mix.size_bytes(ticket.number);
        let message = shard.factory.message(id, size_bytes);
        let envelope = |size: bool| shard.factory.envelope(id, size.then_some(size_bytes));
        let usable = match open.send(message, envelope).await {
            Ok(acknowledged) => {
                count(&shard, &acknowledged, size_bytes, from);
                true
            }
            Err(failure) => fail(&shard, &mut open, failure).await,
        };
        let used_up = shard.options.per_connection.is_some_and(|most| open.messages >= most);
        match (usable, used_up) {
            (true, false) => session = Some(open),
            (true, true) => open.quit().await,
            (false, _) => {}
        }
    }
    if let Some(open) = session {
        open.quit().await;
    }
}

/// Opens a session, for as long as the options say. None: the server cannot be reached.
pub(super) async fn connect(shard: &Shard) -> Option<Session> {
    let first = time::now();
    let mut pause = RECONNECT_FIRST;
    loop {
        let permit = shard.opening.acquire().await;
        let opened = Session::open(&shard.options).await;
        drop(permit);
        match opened {
            Ok(session) => {
                shard.tally.borrow_mut().connections += 1;
                return Some(session);
            }
            Err(Failure::Refused(kind) | Failure::Broken(kind)) => shard.tally.borrow_mut().fail(kind),
        }
        if time::now() - first >= shard.options.reconnect {
            return None;
        }
        time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_LONGEST);
    }
}

/// Waits for the start of an open loop's message and says from when its latency counts.
async fn wait_until_due(shard: &Shard, ticket: Ticket) -> u64 {
    let due = ticket.due.map(|due| shard.start + due);
    let was_free = due.is_some_and(|due| time::now_precise() < due);
    if let (Some(due), true) = (due, was_free) {
        time::sleep_until(due).await;
    }
    let actual = time::now_precise();
    if let Some(due) = due {
        shard.tally.borrow_mut().lag.record_ns((actual - due).as_nanos() as u64);
    }
    counted_from(due.map(|due| due.0), was_free, actual.0)
}

fn count(shard: &Shard, acknowledged: &Acknowledged, size_bytes: usize, from: u64) {
    let answered = time::now_precise();
    if let Some(ledger) = &shard.ledger {
        let written = ledger.append(acknowledged.parcels.iter().copied(), true);
        // A ledger that misses a line would accuse the server of nothing it did not do, but hide a loss.
        written.expect("a ledger that cannot be written makes the run worthless");
    }
    let mut tally = shard.tally.borrow_mut();
    tally.ok += 1;
    tally.bytes += size_bytes as u64;
    tally.after_dot.record_ns((answered - acknowledged.dot_at).as_nanos() as u64);
    tally.transaction.record_ns(answered.0.saturating_sub(from));
    for kind in &acknowledged.refused {
        tally.fail(kind.clone());
    }
}

/// Counts a failure; true when the session can go on.
async fn fail(shard: &Shard, session: &mut Session, failure: Failure) -> bool {
    let (kind, usable) = match failure {
        Failure::Refused(kind) => (kind, true),
        Failure::Broken(kind) => (kind, false),
    };
    {
        let mut tally = shard.tally.borrow_mut();
        tally.failed += 1;
        tally.fail(kind);
    }
    usable && session.reset().await.is_ok()
}
