//! Locks across shards: taking them, giving them back, and finding out that nobody ever will.
//!
//! A claim goes to the lock's owner, which grants it at once or queues it and sends the grant later. Who waits is
//! noted on its own shard *before* the owner hears of it, so that of the scripts that close a circle of waiting, the last
//! one finds the whole circle by asking its way: owner of the lock, for the holder; the holder's shard, for what that
//! waits for; and so on back to itself. Seeing the same claims twice makes sure that all of them stood at once. The one
//! who finds the circle gets the error.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::sync::{Receiver, Sender, oneshot};
use engine::time::timeout;
use script::fault::Fault;

use super::locks::{Acquired, Claim, LockKey};
use super::{Store, at, owner, tell};
use crate::{Execution, ExecutionId, limits};

/// How often a script that waits looks for a circle again: one may close while its own search is under way.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// The locks that an execution holds.
#[derive(Debug, Default)]
pub struct Held {
    locks: HashMap<LockKey, Hold>,
    /// Shards that were ever asked for one: they hear of the execution's end.
    asked: BTreeSet<u16>,
}

#[derive(Debug)]
struct Hold {
    claim: Claim,
    depth: u32,
}

/// An execution of this shard that waits.
pub(super) struct Waiting {
    key: LockKey,
    claim: Claim,
    granted: Sender<()>,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// The scripts that hold and wait for it wait for each other.
    Deadlock,
    /// It was not free within [`limits::LOCK_WAIT`].
    Timeout,
    /// Too many scripts wait for it.
    Crowded,
    /// The script holds too many.
    TooMany,
    /// The owner has ended.
    Gone(Fault),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Deadlock => f.write_str("deadlock: the scripts that hold it wait for this one"),
            LockError::Timeout => {
                write!(f, "another script has held it for {} seconds", limits::LOCK_WAIT.as_secs())
            }
            LockError::Crowded => f.write_str("too many scripts wait for it"),
            LockError::TooMany => write!(f, "a script holds at most {} locks", limits::LOCKS_HELD_MAX),
            LockError::Gone(fault) => fault.fmt(f),
        }
    }
}

impl LockError {
    /// The error for the script.
    pub(super) fn fault(self, function: &str, key: &[u8]) -> Fault {
        Fault::error(format!("{function}(): \"{}\": {self}", key.escape_ascii()))
    }
}

/// Takes a lock, or takes it once more.
pub(super) async fn lock(execution: &Rc<Execution>, key: &LockKey, wait: Duration) -> Result<(), LockError> {
    let home = Store::here();
    let claim = {
        let mut held = execution.held.borrow_mut();
        if let Some(hold) = held.locks.get_mut(key) {
            hold.depth += 1;
            return Ok(());
        }
        if held.locks.len() >= limits::LOCKS_HELD_MAX {
            return Err(LockError::TooMany);
        }
        held.asked.insert(owner(key.place()).0);
        home.serials.set(home.serials.get() + 1);
        Claim { execution: execution.id, serial: home.serials.get() }
    };
    let (granted, receiver) = oneshot();
    let waiting = Waiting { key: key.clone(), claim, granted };
    home.waiting.borrow_mut().insert(execution.id, waiting);
    // However this ends, nobody waits any more then.
    let _no_longer = NoLongerWaiting { home: home.clone(), execution: execution.id };
    let theirs = key.clone();
    let acquired = at(owner(key.place()), move |store| store.locks.borrow_mut().acquire(&theirs, claim));
    match acquired.await.map_err(LockError::Gone)? {
        Acquired::Granted => {}
        Acquired::Refused => return Err(LockError::Crowded),
        Acquired::Queued => {
            if let Err(error) = wait_for(execution.id, key, receiver, wait).await {
                give_back(key, claim);
                return Err(error);
            }
        }
    }
    execution.held.borrow_mut().locks.insert(key.clone(), Hold { claim, depth: 1 });
    Ok(())
}

/// Whether the execution holds the lock.
pub(super) fn is_held(execution: &Execution, key: &LockKey) -> bool {
    execution.held.borrow().locks.contains_key(key)
}

/// Gives back a lock as often as it was taken. One that is not held is left alone.
pub(super) fn unlock(execution: &Execution, key: &LockKey) {
    let mut held = execution.held.borrow_mut();
    let Some(hold) = held.locks.get_mut(key) else { return };
    hold.depth -= 1;
    if hold.depth == 0 {
        let claim = hold.claim;
        held.locks.remove(key);
        drop(held);
        give_back(key, claim);
    }
}

/// The execution has ended.
pub(crate) fn release_all(execution: ExecutionId, held: &mut Held) {
    if held.asked.is_empty() {
        return;
    }
    held.locks.clear();
    for shard in std::mem::take(&mut held.asked) {
        tell(ShardId(shard), move |store| {
            let granted = store.locks.borrow_mut().release_all(execution);
            granted.into_iter().for_each(grant);
        });
    }
}

fn give_back(key: &LockKey, claim: Claim) {
    let key = key.clone();
    tell(owner(key.place()), move |store| {
        let next = store.locks.borrow_mut().release(&key, claim);
        if let Some(next) = next {
            grant(next);
        }
    });
}

/// Tells a claim's shard that it holds the lock now. One that is no longer waited for is being given back already.
fn grant(claim: Claim) {
    tell(ShardId(claim.execution.shard), move |store| {
        let mut waiting = store.waiting.borrow_mut();
        if waiting.get(&claim.execution).is_some_and(|waiting| waiting.claim == claim)
            && let Some(waiting) = waiting.remove(&claim.execution)
        {
            // Its receiver may be gone: then the claim is given back there.
            let _ = waiting.granted.send(());
        }
    });
}

/// Forgets that an execution waits.
struct NoLongerWaiting {
    home: Rc<Store>,
    execution: ExecutionId,
}

impl Drop for NoLongerWaiting {
    fn drop(&mut self) {
        let waiting = self.home.waiting.borrow_mut().remove(&self.execution);
        drop(waiting);
    }
}

async fn wait_for(
    me: ExecutionId,
    key: &LockKey,
    receiver: Receiver<()>,
    wait: Duration,
) -> Result<(), LockError> {
    let deadline = engine::time::now() + wait;
    let mut receiver = std::pin::pin!(receiver);
    loop {
        if closes_a_circle(me, key).await {
            return Err(LockError::Deadlock);
        }
        let left = deadline - engine::time::now();
        if left.is_zero() {
            return Err(LockError::Timeout);
        }
        match timeout(left.min(SEARCH_INTERVAL), receiver.as_mut()).await {
            Ok(Some(())) => return Ok(()),
            Ok(None) => return Err(LockError::Gone(Fault::error("the script is ending"))),
            Err(_) => {}
        }
    }
}

async fn closes_a_circle(me: ExecutionId, key: &LockKey) -> bool {
    let Some(first) = circle(me, key).await else { return false };
    circle(me, key).await == Some(first)
}

/// The claims on the way from a lock back to the execution that wants it.
async fn circle(me: ExecutionId, wanted: &LockKey) -> Option<Vec<Claim>> {
    let mut claims = Vec::new();
    let mut key = wanted.clone();
    while claims.len() < limits::DEADLOCK_STEPS_MAX {
        let asked = key.clone();
        let holder =
            at(owner(key.place()), move |store| store.locks.borrow().holder(&asked)).await.ok()??;
        if holder == me {
            // Without anybody between, the lock was granted and the news is on its way.
            return (!claims.is_empty()).then_some(claims);
        }
        let waits = move |store: &Store| {
            let waiting = store.waiting.borrow();
            waiting.get(&holder).map(|waiting| (waiting.key.clone(), waiting.claim))
        };
        let (next, claim) = at(ShardId(holder.shard), waits).await.ok()??;
        claims.push(claim);
        key = next;
    }
    None
}
