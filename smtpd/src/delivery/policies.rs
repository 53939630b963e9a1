//! Limits that hold over all shards, on the way of an attempt.
//!
//! Each counter has an owner shard, which alone grants (`queue::policy`). Before a connect an attempt asks the owners of all
//! counters that it needs, in the order of the policies, never waiting: on the first refusal it gives back what it has, and
//! its line waits in the queue until that owner wakes this shard. Over an open connection only messages are asked for, one for
//! each recipient, and a busy shard gets more of them and of large limits of connections than it needs at once: those are kept
//! in its wallet. Where the owner has fewer messages than there are recipients, the first go and the others wait.
//!
//! An idle connection that others wait for moves to the shard with the oldest mail ([`super::moving`]).
//!
//! What is given back reaches the owner in any case; wakes are hints, and a line is looked at again without one, too.

mod desk;
mod owner;

use std::net::IpAddr;

use engine::boot::ShardId;
use queue::policy::{Answer, Applying, Ask, Grant, Key, Limit, Policies};
use queue::{Attempt, Facts, Limited, LimitedBy, Outcome, Withheld};

use super::paths::now_ms;
use super::rules::Host;
use crate::limits;
use crate::shard::Shard;
use crate::snapshot::Snapshot;
pub use desk::{Desk, tend};
pub(super) use desk::{Offer, bring, offer};
pub use owner::owner;
use owner::{ask_owner, close, give_back, tell_owner};

/// What an attempt was granted. Dropped, it goes back.
#[derive(Debug)]
pub(super) struct Permit {
    granted: Vec<(Key, Grant)>,
    go: Go,
}

/// For how many recipients there are messages.
#[derive(Clone, Debug)]
pub(super) struct Go {
    /// The first so many; at least one.
    pub(super) recipients: usize,
    /// What the others wait for.
    pub(super) short: Option<LimitedBy>,
}

/// A connection's places among those that are counted; given back on drop.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// All counters that apply to its messages, in order.
    keys: Vec<Key>,
    held: Vec<Key>,
}

/// What refused an attempt.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) by: LimitedBy,
    /// When to look again in any case, by [`now_ms`].
    pub(super) at_ms: u64,
}

/// The policies that limit a message on a way, with their counters.
pub(super) fn limiting(
    policies: &Policies,
    snapshot: &Snapshot,
    attempt: &Attempt,
    host: Host<'_>,
    local: Option<IpAddr>,
) -> Vec<Applying> {
    if policies.is_idle() {
        return Vec::new();
    }
    let mut applying = applying(policies, snapshot, attempt, host, local);
    applying.retain(|applying| !applying.limits.is_empty());
    applying
}

/// The policies that apply to a message on a way, those without limits too.
pub(super) fn applying(
    policies: &Policies,
    snapshot: &Snapshot,
    attempt: &Attempt,
    host: Host<'_>,
    local: Option<IpAddr>,
) -> Vec<Applying> {
    let domain = attempt.recipients.first().map_or("", |recipient| &*recipient.domain);
    let facts = Facts {
        tenant_id: Some(attempt.tenant_id.as_deref().unwrap_or("")),
        job_id: Some(attempt.job_id.as_deref().unwrap_or("")),
        transport_id: Some(&attempt.destination.transport),
        local_ip: local,
        grouping: Some(snapshot.groups.of(domain, host.mx, host.address)),
        remote_ip: Some(host.address),
        remote_mx: Some(host.mx),
        recipient_domain: Some(domain),
    };
    policies.applying(&facts)
}

/// Asks for a connection and its first messages, for up to so many recipients.
pub(super) async fn connect(
    shard: &Shard,
    applying: &[Applying],
    received_ms: u64,
    recipients: usize,
) -> Result<Permit, Refusal> {
    acquire(shard, applying, received_ms, recipients, true).await
}

/// Asks for messages over a connection that has its places, for up to so many recipients.
pub(super) async fn message(
    shard: &Shard,
    applying: &[Applying],
    received_ms: u64,
    recipients: usize,
) -> Result<Go, Refusal> {
    loop {
        let permit = acquire(shard, applying, received_ms, recipients, false).await?;
        if let Some((_, go)) = permit.used(Vec::new()) {
            return Ok(go);
        }
    }
}

async fn acquire(
    shard: &Shard,
    applying: &[Applying],
    received_ms: u64,
    recipients: usize,
    connect: bool,
) -> Result<Permit, Refusal> {
    let desk = Desk::here();
    let mut permit = Permit {
        granted: Vec::with_capacity(applying.len()),
        go: Go { recipients: recipients.max(1), short: None },
    };
    for Applying { key, policy, limits, .. } in applying {
        let by = |cause| LimitedBy { key: key.clone(), policy: *policy, cause };
        let fewer = || by(Withheld::Limit { limit: Limit::Rate, until_ms: None });
        let mut connect = connect;
        if connect
            && limits.connect_interval_ms.is_none()
            && desk.wallet.borrow_mut().take_unit(key, now_ms())
        {
            permit.granted.push((key.clone(), Grant { unit: true, ..Grant::free(now_ms()) }));
            connect = false;
        }
        let wanted = u32::try_from(permit.go.recipients).unwrap_or(u32::MAX);
        let mut tokens = if connect || limits.rate.is_some() { wanted } else { 0 };
        let in_hand = desk.wallet.borrow_mut().take(key, tokens, now_ms());
        if let Some(in_hand) = in_hand {
            tokens -= in_hand.tokens;
            permit.granted.push((key.clone(), in_hand));
        }
        if !connect && tokens == 0 {
            continue;
        }
        let ask = Ask {
            key: key.clone(),
            shard: engine::boot::current().0,
            connect,
            tokens,
            more: desk.wallet.borrow().more(key),
            spare: queue::limits::SPARE_UNITS,
            received_ms,
        };
        let since = desk.wakes.get();
        let asked = ask.clone();
        let answer = ask_owner(ask).await;
        if !matches!(answer, Some(Answer::Granted(_))) {
            desk.promise(key, since);
        }
        let in_hand = wanted - tokens;
        let (cause, wait_ms) = match answer {
            Some(Answer::Granted(grant)) => {
                if grant.counted && in_hand + grant.tokens < wanted {
                    permit.fewer(in_hand + grant.tokens, fewer());
                }
                permit.granted.push((key.clone(), grant));
                continue;
            }
            // Those go for whom there is something in hand.
            Some(Answer::Refused { limit: Limit::Rate, .. }) if !asked.connect && in_hand > 0 => {
                permit.fewer(in_hand, fewer());
                continue;
            }
            Some(Answer::Refused { limit, at_ms }) => {
                let left_ms = at_ms.map(|at_ms| at_ms.saturating_sub(now_ms()));
                let until_ms = left_ms.map(|left_ms| engine::time::steady_ms().saturating_add(left_ms));
                (Withheld::Limit { limit, until_ms }, left_ms.unwrap_or(limits::LIMITED_LOOK_AGAIN_MS))
            }
            None => (Withheld::SilentOwner { shard: owner(key).0 }, limits::OWNER_STUCK_MS),
        };
        note_refusal(shard, key, &cause);
        // The wake comes first, if it comes.
        let wait_ms = wait_ms.clamp(limits::LIMITED_SHORTEST_MS, limits::LIMITED_LOOK_AGAIN_MS);
        return Err(Refusal { by: by(cause), at_ms: now_ms() + wait_ms });
    }
    Ok(permit)
}

fn note_refusal(shard: &Shard, key: &Key, cause: &Withheld) {
    let refused = &shard.stats.policy;
    let limit = match cause {
        Withheld::Limit { limit, .. } => Some(*limit),
        Withheld::SilentOwner { .. } => None,
    };
    match limit {
        Some(Limit::Concurrency) => refused.concurrency.add(1),
        Some(Limit::Rate) => refused.rate.add(1),
        Some(Limit::ConnectInterval) => refused.connect_interval.add(1),
        None => {}
    }
    if limit != Some(Limit::Rate) {
        // A connection that was brought for this mail is of no use to it.
        shard.delivery.refused(key);
    }
}

impl Permit {
    /// There are messages for fewer recipients.
    fn fewer(&mut self, recipients: u32, short: LimitedBy) {
        self.go = Go { recipients: recipients as usize, short: Some(short) };
    }

    /// Takes the places for a connection that is begun now. `None`: it took too long to get them all, and they are back.
    pub(super) fn connected(self, applying: &[Applying]) -> Option<(Units, Go)> {
        self.used(applying.iter().map(|applying| applying.key.clone()).collect())
    }

    fn used(mut self, keys: Vec<Key>) -> Option<(Units, Go)> {
        let at_ms = now_ms();
        if self.granted.iter().any(|(_, grant)| grant.use_by_ms < at_ms) {
            return None;
        }
        let desk = Desk::here();
        let mut units = Units { keys, held: Vec::new() };
        let recipients = u32::try_from(self.go.recipients).unwrap_or(u32::MAX);
        // What a counter has granted stands together.
        let mut unspent: (Option<Key>, u32) = (None, 0);
        for (key, grant) in std::mem::take(&mut self.granted) {
            if unspent.0.as_ref() != Some(&key) {
                unspent = (Some(key.clone()), recipients);
            }
            if grant.unit {
                units.held.push(key.clone());
            }
            desk.keep_units(&key, grant.spare);
            let spent = if grant.counted { grant.tokens.min(unspent.1) } else { 0 };
            unspent.1 -= spent;
            if grant.counted && (grant.tell || grant.tokens > spent) {
                let back = desk.wallet.borrow_mut().keep(&key, grant, spent);
                if let Some(back) = back {
                    give_back(key.clone(), back);
                }
                desk.changed.notify_one();
            }
            if grant.tell {
                let (used, spent) = (key.clone(), if spent == grant.tokens { spent } else { 0 });
                tell_owner(&key, move |desk| {
                    desk.counters.borrow_mut().used(&used, grant, spent, at_ms, now_ms());
                });
            }
        }
        let go = Go { recipients: self.go.recipients, short: self.go.short.take() };
        Some((units, go))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        std::mem::take(&mut self.granted).into_iter().for_each(|(key, grant)| give_back(key, grant));
    }
}

impl Units {
    /// Whether these are the counters of the message, too.
    pub(super) fn fit(&self, applying: &[Applying]) -> bool {
        applying.iter().map(|applying| &applying.key).eq(&self.keys)
    }

    /// Counters in which it holds a place.
    pub(super) fn held(&self) -> &[Key] {
        &self.held
    }
}

impl Units {
    /// The connection has come from another shard.
    pub(super) fn moved(&self, from: ShardId) {
        let here = engine::boot::current().0;
        for key in &self.held {
            let moved = key.clone();
            tell_owner(key, move |desk| desk.counters.borrow_mut().moved(&moved, from.0, here));
        }
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        let desk = Desk::here();
        for key in std::mem::take(&mut self.held) {
            if desk.is_wanted(&key) || !desk.wallet.borrow_mut().keep_unit(&key) {
                close(&key, 1);
            }
        }
    }
}

/// What the queue is told of recipients for whom there was no message.
pub(super) fn short(by: LimitedBy) -> Outcome {
    let until_ms = engine::time::steady_ms() + limits::LIMITED_LOOK_AGAIN_MS;
    Outcome::Limited(Limited { by: vec![by], until_ms })
}

/// What the queue is told of an attempt that was refused on every way.
pub(super) fn outcome(refusals: Vec<Refusal>) -> Outcome {
    let at_ms = refusals.iter().map(|refusal| refusal.at_ms).min().unwrap_or_default();
    let until_ms = engine::time::steady_ms() + at_ms.saturating_sub(now_ms());
    let mut by: Vec<LimitedBy> = Vec::new();
    for refusal in refusals {
        if !by.iter().any(|known| known.is_like(&refusal.by)) {
            by.push(refusal.by);
        }
    }
    Outcome::Limited(Limited { by, until_ms })
}

/// After an attempt was reported as limited: a wake that came before that was too early, and is made good.
pub(super) fn reported(shard: &Shard, limited: &Limited) {
    let desk = Desk::here();
    for by in &limited.by {
        if !desk.promised.borrow().contains(&by.key) {
            shard.queue.borrow_mut().wake(&by.key, 1);
        }
    }
}
