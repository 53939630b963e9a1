//! A lane: a task with at most one outgoing connection, which carries out attempts as long as there are any for it.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use queue::policy::Key;
use queue::{Destination, Outcome};

use super::attempt::Connection;
use super::errand::Errand;
use super::facts::AttemptFacts;
use super::hosts::{Ended, Way};
use super::moving;
use super::policies::{self, Desk, Offer};
use super::pool::Stay;
use super::prepare;
use super::report::{self, Report};
use crate::limits;
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

/// How a wait with an idle connection ended.
enum Rest {
    /// With an attempt.
    Next(Box<Errand>),
    /// Others wait for the connection.
    Recalled,
    /// The mail that it was brought for did not come for it.
    Unused,
    /// The connection is given up.
    Over,
}

impl Lane {
    /// The life of one that begins with an attempt.
    pub(super) async fn run(self, first: Errand) {
        let destination = first.attempt.destination.clone();
        self.live(Some(first), None, destination, None).await;
    }

    /// The life of one that begins with a connection from another shard, for mail that waits by `counter`.
    pub(super) async fn adopt(self, open: Connection, destination: Destination, counter: Key) {
        self.live(None, Some(open), destination, Some(counter)).await;
    }

    async fn live(
        self,
        mut next: Option<Errand>,
        mut connection: Option<Connection>,
        mut destination: Destination,
        mut brought_for: Option<Key>,
    ) {
        let shard = &self.shard;
        loop {
            if next.is_none() {
                next = rest(shard, &mut connection, &destination, brought_for.take()).await;
            }
            let Some(mut errand) = next.take() else { break };
            destination = errand.attempt.destination.clone();
            if prepare::prepare(shard, &mut errand).await {
                deliver(shard, errand, &mut connection).await;
            }
            shard.due.notify_one();
            let Some(open) = &mut connection else { break };
            let pooling = open.key().route.pooling;
            if !super::may_pick_up(shard) || !pooling.enabled || open.transactions() >= pooling.transactions {
                break;
            }
            next = next_of_line(shard, &destination, open);
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

/// Waits with an open connection for an attempt; when it is called back, gives it to those who wait for one. `None`: there
/// is no attempt, and what is left of the connection is of no use.
async fn rest(
    shard: &Rc<Shard>,
    connection: &mut Option<Connection>,
    destination: &Destination,
    mut brought_for: Option<Key>,
) -> Option<Errand> {
    loop {
        let open = connection.as_mut()?;
        let ended = match brought_for.take() {
            Some(counter) if !policies::bring(shard, &counter) => {
                // Who waited has gone: it is for the next.
                Desk::here().recall(&counter);
                Rest::Recalled
            }
            brought_for => wait_idle(shard, destination, open, brought_for.is_some()).await,
        };
        match ended {
            Rest::Next(errand) => return Some(*errand),
            Rest::Over => return None,
            Rest::Unused if Desk::here().is_recalled(open.units()) => return None,
            Rest::Unused => continue,
            Rest::Recalled => {}
        }
        match policies::offer(shard, open.units()).await {
            Offer::Keep => {}
            Offer::Close => return None,
            Offer::To(to, counter) if to == engine::boot::current() => brought_for = Some(counter),
            Offer::To(to, counter) => {
                let open = connection.take()?;
                moving::hand_over(shard, open, destination.clone(), to, counter).await;
                return None;
            }
        }
    }
}

/// Waits with an open connection for an attempt. `brought`: for one that was let go just now, before which it is not called
/// back.
async fn wait_idle(
    shard: &Rc<Shard>,
    destination: &Destination,
    open: &mut Connection,
    brought: bool,
) -> Rest {
    let pool = &shard.delivery.pool;
    let size = shard.snapshot().pooling.size;
    let pooling = open.key().route.pooling;
    if !brought && Desk::here().is_recalled(open.units()) {
        return Rest::Recalled;
    }
    let stay = Stay { evictable: pooling.evictable, counted: open.units().held().to_vec(), brought };
    let key = open.key().clone();
    let Some(mut place) = pool.enter(key, destination.clone(), stay, size, &shard.stats.pooling) else {
        return Rest::Over;
    };
    let patience = if brought { limits::BROUGHT.min(pooling.timeout) } else { pooling.timeout };
    let first = engine::time::timeout(patience, async {
        let mut woken = pin!(&mut place.woken);
        let mut disturbed = pin!(open.disturbed());
        poll_fn(|cx| match woken.as_mut().poll(cx) {
            Poll::Ready(attempt) => Poll::Ready(Some(attempt)),
            Poll::Pending => disturbed.as_mut().poll(cx).map(|()| None),
        })
        .await
    });
    let ended = first.await;
    if let Ok(Some(Some(errand))) = ended {
        return Rest::Next(Box::new(errand));
    }
    // An attempt may have been handed over in this very turn. Once this lane has left the pool, it either has it or never
    // will.
    pool.leave(&place);
    match (place.woken.await, ended) {
        (Some(errand), _) => Rest::Next(Box::new(errand)),
        (None, Err(engine::time::Elapsed)) if brought => Rest::Unused,
        (None, Err(engine::time::Elapsed)) => {
            shard.stats.pooling.expires.add(1);
            Rest::Over
        }
        (None, Ok(Some(_))) if !brought && !shard.is_stopping() && Desk::here().is_recalled(open.units()) => {
            Rest::Recalled
        }
        (None, Ok(_)) => Rest::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task_bytes<A, B, F: Future>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_every_attempt_carries_along_is_small() {
        let prepare = task_bytes::<&Rc<Shard>, &mut Errand, _>(prepare::prepare);
        let lane = task_bytes(Lane::run);
        assert!(prepare <= 3_000 && lane <= 14_000, "prepare {prepare} bytes, lane {lane} bytes");
    }
}
