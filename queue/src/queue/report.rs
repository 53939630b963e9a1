//! What became of an attempt.

use std::sync::Arc;

use crate::attempt::{Again, AttemptId, Change, FailCause, NotifyStep, Outcome};
use crate::diagnosis::Reason;
use crate::item::ItemKey;
use crate::queue::{End, Queue};
use crate::retry::RetryPolicy;
use crate::schedule::{bucket_end_ms, bucket_of};
use crate::slot::Place;
use crate::verdict::{Situation, Verdict, verdict};

impl Queue {
    /// Ends an attempt. `outcomes` are in the order of [`crate::Attempt::recipients`]; missing ones count as
    /// [`Outcome::NotTried`]. Returns one change for each recipient, in the same order. An id that is not
    /// running gives nothing.
    pub fn report(&mut self, id: AttemptId, outcomes: Vec<Outcome>, now_ms: u64) -> Vec<Change> {
        self.end_attempt(id, outcomes, now_ms, Follow::AtOnce)
    }

    /// The same, but what counts is only proposed: [`Change::Done`], [`Change::RetryAt`] and [`Change::Failed`] have not
    /// happened. Those items are in hand, out of reach of pick-up and operators, until [`Queue::settle`].
    pub fn propose(&mut self, id: AttemptId, outcomes: Vec<Outcome>, now_ms: u64) -> Vec<Change> {
        self.end_attempt(id, outcomes, now_ms, Follow::Proposed)
    }

    /// Has a running attempt judged by another schedule than its transport's.
    pub fn retry_by(&mut self, id: AttemptId, retry: Arc<RetryPolicy>) {
        if let Some(running) = self.attempts.get_mut(&id) {
            running.retry = Some(retry);
        }
    }

    fn end_attempt(
        &mut self,
        id: AttemptId,
        outcomes: Vec<Outcome>,
        now_ms: u64,
        follow: Follow,
    ) -> Vec<Change> {
        let Some(mut running) = self.attempts.remove(&id) else { return Vec::new() };
        let judged = Judged { retry: running.retry.take(), generation: running.generation, now_ms, follow };
        let limited = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Limited(limited) => Some(limited.clone()),
            _ => None,
        });
        let mut outcomes = outcomes.into_iter();
        let mut changes = Vec::with_capacity(running.members.len());
        let mut at_once = Vec::new();
        while let Some(member) = running.members.pop_front(&mut self.slots) {
            let outcome = outcomes.next().unwrap_or(Outcome::NotTried);
            let change = self.move_on(member, outcome, &judged);
            if let Change::Unchanged { again: Again::AtOnce | Again::WhenPermitted, .. } = change {
                at_once.push(member);
            }
            changes.push(change);
        }
        match limited {
            Some(limited) => {
                let oldest_ms = at_once.first().map(|member| self.slots[*member].received_ms());
                self.hold_back(running.line, limited, oldest_ms);
            }
            None if running.probe => self.try_another(running.line),
            None => {}
        }
        self.end_running(running.line);
        // Back to the front of the line, where they came from, in their order.
        for member in at_once.into_iter().rev() {
            self.make_ready(member, End::Front);
        }
        self.offer(running.line);
        self.collect(running.line);
        changes
    }

    /// Moves one item on; one that is due at once is left in no list, for the caller.
    fn move_on(&mut self, id: u32, outcome: Outcome, judged: &Judged) -> Change {
        let Judged { generation, now_ms, follow, .. } = *judged;
        let slot = &self.slots[id];
        let key = slot.key();
        let at = Situation {
            attempts: slot.attempts,
            domain_missing: slot.domain_missing,
            uncounted: slot.uncounted,
            received_ms: slot.received_ms(),
            now_ms,
            policy: judged.retry.as_deref().unwrap_or(&self.transports.get(slot.transport).retry),
            soft_bounce: self.options.soft_bounce,
        };
        let (counted, waited) = (
            at.policy.notify_after(at.attempts),
            at.policy.notify_at_age(now_ms.saturating_sub(at.received_ms)),
        );
        let domain_missing = matches!(outcome, Outcome::NoDomain { .. });
        let verdict = verdict(outcome, at);
        if let Verdict::Retry(..) = verdict {
            self.slots[id].domain_missing = domain_missing;
        }
        if let Some(reason) = verdict.reason() {
            self.note_reason(id, reason, now_ms);
        }
        match (verdict, follow) {
            (verdict @ (Verdict::Done | Verdict::Retry(..) | Verdict::Fail(..)), Follow::Proposed) => {
                self.set_place(id, Place::InHand);
                let attempts = self.slots[id].attempts.saturating_add(1);
                proposal(key, verdict, attempts, counted)
            }
            (verdict, _) => self.follow(id, verdict, Notices { counted, waited }, generation),
        }
    }

    fn follow(&mut self, id: u32, verdict: Verdict, notices: Notices, generation: u32) -> Change {
        let Notices { counted, waited } = notices;
        let key = self.slots[id].key();
        match verdict {
            Verdict::Done => {
                self.discard(id);
                Change::Done { key }
            }
            Verdict::Retry(at_ms, reason) => self.retry(id, at_ms, reason, counted),
            Verdict::Fail(cause, reason) => self.fail(id, cause, reason),
            Verdict::AtOnce => {
                self.not_counted(id);
                unchanged(key, Again::AtOnce, None, None)
            }
            Verdict::Pause(at_ms) => {
                self.not_counted(id);
                self.defer(id, at_ms);
                unchanged(key, Again::At(bucket_end_ms(bucket_of(at_ms))), waited, None)
            }
            Verdict::WaitForUs(at_ms, reason) => {
                self.not_counted(id);
                self.wait_for_us(id, at_ms);
                unchanged(key, Again::At(bucket_end_ms(bucket_of(at_ms))), waited, Some(reason))
            }
            Verdict::Hold(reason) => {
                self.put_on_hold(id, &reason.to_string());
                Change::Hold { key, attempts: self.slots[id].attempts, reason, notify: None }
            }
            // The rules have changed since: look again at once.
            Verdict::Park if generation != self.generation => unchanged(key, Again::AtOnce, None, None),
            Verdict::Park => {
                self.park(id);
                unchanged(key, Again::WhenRulesChange, waited, None)
            }
            Verdict::Limited => unchanged(key, Again::WhenPermitted, waited, None),
        }
    }

    fn retry(&mut self, id: u32, at_ms: u64, reason: Reason, notify: Option<NotifyStep>) -> Change {
        let (key, attempts) = self.counted(id);
        self.defer(id, at_ms);
        Change::RetryAt { key, at_ms: bucket_end_ms(bucket_of(at_ms)), attempts, reason, notify }
    }

    fn fail(&mut self, id: u32, cause: FailCause, reason: Reason) -> Change {
        let (key, attempts) = self.counted(id);
        self.set_place(id, Place::InHand);
        Change::Failed { key, attempts, cause, reason }
    }

    fn counted(&mut self, id: u32) -> (ItemKey, u32) {
        let slot = &mut self.slots[id];
        slot.attempts = slot.attempts.saturating_add(1);
        (slot.uncounted, slot.company) = (0, 0);
        (slot.key(), slot.attempts)
    }

    fn not_counted(&mut self, id: u32) {
        let slot = &mut self.slots[id];
        slot.uncounted = slot.uncounted.saturating_add(1);
    }
}

/// What an attempt's recipients are judged by.
struct Judged {
    /// Instead of their transport's.
    retry: Option<Arc<RetryPolicy>>,
    /// The rules that let them go.
    generation: u32,
    now_ms: u64,
    follow: Follow,
}

/// When what counts happens.
#[derive(Clone, Copy)]
enum Follow {
    AtOnce,
    /// When the caller settles it.
    Proposed,
}

/// The steps of the schedule that tell the sender: if it counts, and if it only waits.
struct Notices {
    counted: Option<NotifyStep>,
    waited: Option<NotifyStep>,
}

fn proposal(key: ItemKey, verdict: Verdict, attempts: u32, notify: Option<NotifyStep>) -> Change {
    match verdict {
        Verdict::Retry(at_ms, reason) => {
            let at_ms = bucket_end_ms(bucket_of(at_ms));
            Change::RetryAt { key, at_ms, attempts, reason, notify }
        }
        Verdict::Fail(cause, reason) => Change::Failed { key, attempts, cause, reason },
        _ => Change::Done { key },
    }
}

fn unchanged(key: ItemKey, again: Again, notify: Option<NotifyStep>, reason: Option<Reason>) -> Change {
    Change::Unchanged { key, again, notify, reason }
}
