//! Connections that are kept: of each shard, for each profile.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use engine::sync::{Permit, Semaphore};
use engine::time::Instant;

use super::ServiceError;
use super::link::within;
use crate::limits::SERVICE_POOLS_MAX;

/// How many connections, and how long they last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most of the process.
    pub(super) size: usize,
    /// How long to wait for one that is free.
    pub(super) wait: Duration,
    /// How long one is used.
    pub(super) lifetime: Option<Duration>,
    /// How long one may rest.
    pub(super) idle_time: Option<Duration>,
}

/// The connections to one server. Those that are lent and those that rest are never more than its size together: one is made
/// only when none rests.
pub(super) struct Pool<T> {
    permits: Semaphore,
    bounds: Bounds,
    resting: RefCell<Vec<Kept<T>>>,
}

struct Kept<T> {
    conn: T,
    made: Instant,
    since: Instant,
}

/// What becomes of a connection that has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is for whoever asks next.
    Rest,
    /// It is for who has asked: something is under way on it.
    Hold,
    /// It is closed.
    Close,
}

/// The connection that an object of a script holds, if it holds one. With the object it is closed.
pub(super) struct Holder<T>(RefCell<Option<Lease<T>>>);

impl<T> Default for Holder<T> {
    fn default() -> Holder<T> {
        Holder(RefCell::default())
    }
}

/// One of them, on loan. It is closed, unless it is [given back](Lease::give_back).
pub(super) struct Lease<T> {
    pool: Rc<Pool<T>>,
    /// Held as long as the lease.
    _permit: Permit,
    made: Instant,
    /// It rested before: the server may have closed it.
    reused: bool,
    pub(super) conn: T,
}

impl<T> Pool<T> {
    fn new(bounds: Bounds) -> Pool<T> {
        let own = bounds.size.div_ceil(usize::from(engine::boot::shards()).max(1));
        Pool { permits: Semaphore::new(own.max(1)), bounds, resting: RefCell::default() }
    }

    /// Runs `ask` with the connection that is held, or with one that rests, or with one that `open` makes. One that the server
    /// has closed while it rested is replaced. After an answer, also when the server refuses, `fate` says what becomes of it.
    pub(super) async fn with<R>(
        self: &Rc<Self>,
        holder: &Holder<T>,
        open: impl AsyncFn() -> Result<T, ServiceError>,
        mut ask: impl AsyncFnMut(&mut T) -> Result<R, ServiceError>,
        fate: impl Fn(&T, &Result<R, ServiceError>) -> Fate,
    ) -> Result<R, ServiceError> {
        loop {
            let held = holder.0.take();
            let mut lease = match held {
                Some(lease) => lease,
                None => self.lease(&open).await?,
            };
            let answer = ask(&mut lease.conn).await;
            if lease.reused && answer.as_ref().is_err_and(ServiceError::is_stale) {
                continue;
            }
            if answer.as_ref().map_or_else(ServiceError::leaves_connection, |_| true) {
                match fate(&lease.conn, &answer) {
                    Fate::Rest => lease.give_back(),
                    Fate::Hold => {
                        lease.reused = false;
                        holder.0.replace(Some(lease));
                    }
                    Fate::Close => {}
                }
            }
            return answer;
        }
    }

    async fn lease(
        self: &Rc<Self>,
        open: &impl AsyncFn() -> Result<T, ServiceError>,
    ) -> Result<Lease<T>, ServiceError> {
        let waiting = async { Ok(self.permits.acquire().await) };
        let permit = within(self.bounds.wait, "waiting for a free connection", waiting).await?;
        if let Some(Kept { conn, made, .. }) = self.rested() {
            return Ok(Lease { pool: self.clone(), _permit: permit, made, reused: true, conn });
        }
        let conn = open().await?;
        Ok(Lease { pool: self.clone(), _permit: permit, made: engine::time::now(), reused: false, conn })
    }

    /// The one that was used last, so that those that are not needed grow old.
    fn rested(&self) -> Option<Kept<T>> {
        let now = engine::time::now();
        let over = |age: Duration, bound: Option<Duration>| bound.is_some_and(|bound| age >= bound);
        let mut resting = self.resting.borrow_mut();
        resting.retain(|kept| {
            !over(now - kept.made, self.bounds.lifetime) && !over(now - kept.since, self.bounds.idle_time)
        });
        resting.pop()
    }
}

impl<T> Lease<T> {
    fn give_back(self) {
        let kept = Kept { conn: self.conn, made: self.made, since: engine::time::now() };
        self.pool.resting.borrow_mut().push(kept);
    }
}

/// The pools of one kind of service, by what tells servers apart.
pub(super) struct Pools<T>(RefCell<HashMap<String, Rc<Pool<T>>>>);

impl<T> Default for Pools<T> {
    fn default() -> Pools<T> {
        Pools(RefCell::default())
    }
}

impl<T> Pools<T> {
    pub(super) fn of(&self, key: &str, bounds: Bounds) -> Rc<Pool<T>> {
        let mut pools = self.0.borrow_mut();
        if let Some(pool) = pools.get(key) {
            return pool.clone();
        }
        if pools.len() >= SERVICE_POOLS_MAX {
            pools.clear();
        }
        let pool = Rc::new(Pool::new(bounds));
        pools.insert(key.to_owned(), pool.clone());
        pool
    }
}
