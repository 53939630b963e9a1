//! A lane: a task with at most one outgoing connection, which carries out attempts as long as there are any for it.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use queue::{Attempt, Destination, Outcome};

use super::attempt::Connection;
use super::facts::AttemptFacts;
use super::hosts::{Ended, Way};
use super::report::{self, Report};
use crate::shard::Shard;

/// A lane's place in the shard's list; given back on drop, however its task ends.
pub(super) struct Lane {
    pub(super) shard: Rc<Shard>,
    pub(super) number: u64,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shard.delivery.forget_lane(self.number);
    }
}

impl Lane {
    /// Its life.
    pub(super) async fn run(self, first: Attempt) {
        let shard = &self.shard;
        let mut connection: Option<Connection> = None;
        let mut next = Some(first);
        while let Some(attempt) = next {
            let destination = attempt.destination.clone();
            carry_out(shard, attempt, &mut connection).await;
            shard.due.notify_one();
            let Some(open) = &mut connection else { break };
            let pooling = open.key().route.pooling;
            if shard.is_stopping() || !pooling.enabled || open.transactions() >= pooling.transactions {
                break;
            }
            next = next_of_line(shard, &destination, open);
            if next.is_none() {
                next = wait_idle(shard, destination, open).await;
            }
        }
        if let Some(open) = connection {
            open.quit().await;
        }
    }
}

/// The next attempt of the line just served, if the connection will do for it; what needs another one goes to others.
fn next_of_line(shard: &Rc<Shard>, destination: &Destination, open: &Connection) -> Option<Attempt> {
    loop {
        let attempt = shard.queue.borrow_mut().next_for(destination, engine::time::steady_ms())?;
        shard.stats.pickup.count.add(1);
        if shard.delivery.fits(shard, open, &attempt) {
            shard.stats.pooling.hits.add(1);
            return Some(attempt);
        }
        shard.delivery.give(shard, attempt);
    }
}

/// One attempt, from next hop to report.
async fn carry_out(shard: &Rc<Shard>, mut attempt: Attempt, connection: &mut Option<Connection>) {
    loop {
        let snapshot = shard.snapshot();
        let mut facts = AttemptFacts::default();
        let ended = match snapshot.routes.get(&*attempt.destination.transport) {
            Some(route) => {
                Way { shard, snapshot: &snapshot, attempt: &attempt, route }.go(connection, &mut facts).await
            }
            None => {
                *connection = None;
                let text = format!("there is no transport \"{}\"", attempt.destination.transport);
                Ended::Here(Report::for_all(Outcome::LocalFault(text.into())))
            }
        };
        match ended {
            Ended::Here(report) => return report::report(shard, &attempt, report, &facts),
            Ended::Elsewhere(lane) => match lane.send(attempt) {
                Ok(()) => return,
                // It gave up waiting in this very turn.
                Err(back) => attempt = back,
            },
        }
    }
}

/// Waits with an open connection for an attempt. `None`: nothing came in time, the peer spoke or went, the pool is
/// full, or the shard stops.
async fn wait_idle(shard: &Rc<Shard>, destination: Destination, open: &mut Connection) -> Option<Attempt> {
    let pool = &shard.delivery.pool;
    let size = shard.snapshot().pooling.size;
    let pooling = open.key().route.pooling;
    let key = open.key().clone();
    let mut place = pool.enter(key, destination, pooling.evictable, size, &shard.stats.pooling)?;
    let first = engine::time::timeout(pooling.timeout, async {
        let mut woken = pin!(&mut place.woken);
        let mut disturbed = pin!(open.disturbed());
        poll_fn(|cx| match woken.as_mut().poll(cx) {
            Poll::Ready(attempt) => Poll::Ready(Some(attempt)),
            Poll::Pending => disturbed.as_mut().poll(cx).map(|()| None),
        })
        .await
    });
    match first.await {
        Ok(Some(attempt)) => attempt,
        // An attempt may have been handed over in this very turn. Once this lane has left the pool, it either has it
        // or never will.
        ended @ (Ok(None) | Err(engine::time::Elapsed)) => {
            pool.leave(&place);
            let last = place.woken.await;
            if last.is_none() && ended.is_err() {
                shard.stats.pooling.expires.add(1);
            }
            last
        }
    }
}
