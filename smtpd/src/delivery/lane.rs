//! A lane: a task with at most one outgoing connection, which carries out attempts as long as there are any for it.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use queue::{Destination, Outcome};

use super::attempt::Connection;
use super::errand::Errand;
use super::facts::AttemptFacts;
use super::hosts::{Ended, Way};
use super::policies::{self, Desk};
use super::prepare;
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
    pub(super) async fn run(self, first: Errand) {
        let shard = &self.shard;
        let mut connection: Option<Connection> = None;
        let mut next = Some(first);
        while let Some(errand) = next {
            let destination = errand.attempt.destination.clone();
            if let Some(errand) = prepare::prepare(shard, errand).await {
                deliver(shard, errand, &mut connection).await;
            }
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

/// Carries an attempt out, over the lane's connection if that will do for it; else another lane does.
async fn deliver(shard: &Rc<Shard>, errand: Errand, connection: &mut Option<Connection>) {
    let strays = errand.wishes.domain.is_some();
    if !errand.wishes.is_empty()
        && !errand.matched
        && let Some(open) = connection
        && !shard.delivery.fits(shard, open, &errand)
    {
        return shard.delivery.give(shard, errand);
    }
    carry_out(shard, errand, connection).await;
    // It leads to hosts of another domain than the line's.
    if strays && let Some(open) = connection.take() {
        open.quit().await;
    }
}

/// The next attempt of the line just served, if the connection will do for it; what needs another one goes to others.
fn next_of_line(shard: &Rc<Shard>, destination: &Destination, open: &Connection) -> Option<Errand> {
    loop {
        let attempt = shard.queue.borrow_mut().next_for(destination, engine::time::steady_ms())?;
        shard.stats.pickup.count.add(1);
        let errand = Errand::fresh(attempt);
        if shard.delivery.fits(shard, open, &errand) {
            shard.stats.pooling.hits.add(1);
            return Some(errand);
        }
        shard.delivery.give(shard, errand);
    }
}

/// One attempt, from next hop to report.
async fn carry_out(shard: &Rc<Shard>, mut errand: Errand, connection: &mut Option<Connection>) {
    loop {
        let snapshot = shard.snapshot();
        let mut facts = AttemptFacts::default();
        let route = shard.delivery.route_of(&snapshot, &errand);
        let ended = match &route {
            Ok(route) => {
                Way { shard, snapshot: &snapshot, errand: &errand, route }.go(connection, &mut facts).await
            }
            Err(why) => {
                *connection = None;
                Ended::Here(Report::for_all(Outcome::LocalFault(why.as_str().into())))
            }
        };
        match ended {
            Ended::Here(report) => {
                let limited = report.limited().cloned();
                report::report(shard, errand, report, facts).await;
                if let Some(limited) = limited {
                    policies::reported(shard, &limited);
                }
                return;
            }
            Ended::Elsewhere(lane) => match lane.send(Errand { matched: true, ..errand }) {
                Ok(()) => return,
                // It gave up waiting in this very turn.
                Err(back) => errand = Errand { matched: false, ..back },
            },
        }
    }
}

/// Waits with an open connection for an attempt. `None`: nothing came in time, the peer spoke or went, the pool is
/// full, or the shard stops.
async fn wait_idle(shard: &Rc<Shard>, destination: Destination, open: &mut Connection) -> Option<Errand> {
    let pool = &shard.delivery.pool;
    let size = shard.snapshot().pooling.size;
    let pooling = open.key().route.pooling;
    if Desk::here().is_recalled(open.units()) {
        return None;
    }
    let key = open.key().clone();
    let counted = open.units().held();
    let mut place = pool.enter(key, destination, pooling.evictable, counted, size, &shard.stats.pooling)?;
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
