//! Items in hand: what scripts, reports and operators decide on before it happens.

use std::sync::Arc;

use tables::slab::Slab;

use crate::attempt::{Attempt, AttemptId, Destination, Lines, Recipient};
use crate::item::ItemKey;
use crate::list::List;
use crate::queue::{End, OperationError, Queue};
use crate::slot::{Place, Slot};

/// What becomes of an item in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement<'a> {
    /// It is gone.
    Done,
    /// It stays, and is due at this time (milliseconds since the Unix epoch).
    Retry {
        /// When.
        at_ms: u64,
    },
    /// It stays until somebody releases it.
    Hold {
        /// Why.
        reason: &'a str,
    },
    /// It has failed for good, and stays in hand until [`Queue::finish`] or [`Queue::put_back`].
    Fail,
}

impl Queue {
    /// Says what becomes of an item in hand: how many attempts are behind it now, and another transport if it gets one. False:
    /// there is no such item, or it is not in hand.
    pub fn settle(
        &mut self,
        key: ItemKey,
        settlement: &Settlement<'_>,
        attempts: u32,
        transport: Option<&str>,
    ) -> bool {
        let Some(id) = self.find_in_hand(key) else { return false };
        if let Some(name) = transport {
            self.slots[id].transport = self.transports.number(name);
        }
        let slot = &mut self.slots[id];
        slot.attempts = attempts;
        (slot.uncounted, slot.company) = (0, 0);
        match settlement {
            Settlement::Done => self.discard(id),
            Settlement::Retry { at_ms } => self.defer(id, *at_ms),
            Settlement::Hold { reason } => self.put_on_hold(id, reason),
            Settlement::Fail => {}
        }
        true
    }

    /// Takes a recipient out of a running attempt: it is in hand. False: it is not in that attempt.
    pub fn withdraw(&mut self, id: AttemptId, key: ItemKey) -> bool {
        let found = self.find(key);
        let Some(running) = self.attempts.get_mut(&id) else { return false };
        let Some(member) = found.filter(|member| is_in(&running.members, &self.slots, *member)) else {
            return false;
        };
        running.members.unlink(&mut self.slots, member);
        self.set_place(member, Place::InHand);
        true
    }

    /// Sends recipients of a running attempt back to the front of their line, in companies: those with the same number,
    /// which is not 0, may go in one attempt again, and with no others until their next attempt has counted.
    pub fn send_back(&mut self, id: AttemptId, companies: &[(ItemKey, u16)]) {
        let line = self.attempts.get(&id).map(|running| running.line);
        let mut companies: Vec<_> = companies.to_vec();
        // Neighbours go together.
        companies.sort_by_key(|(_, company)| *company);
        for (key, company) in companies.into_iter().rev() {
            if self.withdraw(id, key)
                && let Some(member) = self.find(key)
            {
                self.slots[member].company = company;
                self.make_ready(member, End::Front);
            }
        }
        if let Some(line) = line {
            self.offer(line);
        }
    }

    /// Takes an item out of the queue's reach, for good or until [`Queue::settle`]: it is in hand. The attempt that stands
    /// for it does not run; to report it changes nothing.
    ///
    /// # Errors
    /// It is gone, or being sent.
    pub fn take(&mut self, key: ItemKey) -> Result<Attempt, OperationError> {
        let id = self.detach(key)?;
        self.set_place(id, Place::InHand);
        let attempt = AttemptId(self.next_attempt);
        self.next_attempt += 1;
        let slot = &self.slots[id];
        let rules = self.transports.get(slot.transport);
        let destination = Destination {
            transport: Arc::clone(&rules.name),
            domain: (rules.lines == Lines::PerDomain).then(|| Arc::clone(self.names.get(slot.domain))),
            job_id: None,
            tenant_id: None,
        };
        Ok(self.attempt(attempt, destination, slot, vec![self.recipient(slot)]))
    }

    /// Replaces the metadata of an item, whatever its state.
    pub fn replace_metadata(&mut self, key: ItemKey, metadata: &[(Vec<u8>, Vec<u8>)]) {
        let Some(id) = self.find(key) else { return };
        let pairs = metadata.iter().map(|(key, value)| (&key[..], &value[..]));
        self.slots[id].packed = self.slots[id].packed.with_metadata(pairs);
    }

    /// Ends the life of an item in hand. False: there is no such item, or it is not in hand.
    pub fn finish(&mut self, key: ItemKey) -> bool {
        let in_hand = self.find_in_hand(key);
        in_hand.inspect(|id| self.discard(*id)).is_some()
    }

    /// Has an item in hand tried again at this time, because it could not be dealt with. False: there is no such item, or
    /// it is not in hand.
    pub fn put_back(&mut self, key: ItemKey, at_ms: u64) -> bool {
        let in_hand = self.find_in_hand(key);
        in_hand.inspect(|id| self.defer(*id, at_ms)).is_some()
    }

    fn find_in_hand(&self, key: ItemKey) -> Option<u32> {
        self.find(key).filter(|id| self.slots[*id].place == Place::InHand)
    }

    pub(super) fn attempt(
        &self,
        id: AttemptId,
        destination: Destination,
        first: &Slot,
        recipients: Vec<Recipient>,
    ) -> Attempt {
        let text = |name: Option<_>| name.map(|name| Arc::clone(self.names.get(name)));
        Attempt {
            id,
            destination,
            message: first.message(),
            transaction: first.transaction,
            sender: first.packed.sender().into(),
            job_id: text(first.job_id),
            tenant_id: text(first.tenant_id),
            size_bytes: first.size_bytes(),
            received_ms: first.received_ms(),
            flags: first.flags,
            recipients,
        }
    }
}

fn is_in(members: &List, slots: &Slab<Slot>, id: u32) -> bool {
    members.iter(slots).any(|(member, _)| member == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::{Change, FailCause, Outcome};
    use crate::item::{Entry, State};
    use crate::queue::tests::{NOW_MS, add, item, queue, temporary};

    fn key(recipient: u32) -> ItemKey {
        ItemKey::new(1, 1, recipient)
    }

    /// A queue with one message for so many recipients, and the attempt for all of them.
    fn running(recipients: u32) -> (Queue, Attempt) {
        let mut queue = queue();
        for recipient in 0..recipients {
            queue.insert(item(1, recipient, "a.test"), Entry::Active, NOW_MS).unwrap();
        }
        let attempt = queue.next(NOW_MS).unwrap();
        assert_eq!(attempt.recipients.len(), recipients as usize);
        (queue, attempt)
    }

    fn recipients(attempt: &Attempt) -> Vec<u32> {
        attempt.recipients.iter().map(|recipient| recipient.key.recipient).collect()
    }

    #[test]
    fn what_is_proposed_happens_when_it_is_settled() {
        let (mut queue, attempt) = running(4);
        let outcomes = vec![Outcome::Delivered, temporary(), Outcome::Permanent("550 no".into())];
        let changes = queue.propose(attempt.id, outcomes, NOW_MS);
        assert!(matches!(changes[0], Change::Done { .. }));
        assert!(matches!(changes[1], Change::RetryAt { attempts: 1, .. }));
        assert!(matches!(changes[2], Change::Failed { cause: FailCause::Permanent, attempts: 1, .. }));
        // What does not count goes on at once.
        assert!(matches!(changes[3], Change::Unchanged { .. }));
        assert_eq!((queue.counts().sending, queue.counts().active, queue.running()), (3, 1, 0));
        assert_eq!(queue.get(key(1)).unwrap().attempts, 0);
        assert!(queue.settle(key(0), &Settlement::Done, 1, None));
        assert!(queue.settle(key(1), &Settlement::Retry { at_ms: NOW_MS + 5_000 }, 7, Some("relay")));
        assert!(queue.settle(key(2), &Settlement::Hold { reason: "look" }, 0, None));
        assert!(!queue.settle(key(3), &Settlement::Done, 0, None), "it is not in hand");
        assert!(queue.get(key(0)).is_none());
        let deferred = queue.get(key(1)).unwrap();
        assert_eq!((deferred.attempts, deferred.transport), (7, "relay"));
        assert!(matches!(deferred.state, State::Defer { until_ms } if until_ms <= NOW_MS + 6_000));
        assert_eq!(queue.get(key(2)).unwrap().hold_reason, Some("look"));
        assert_eq!(queue.next(NOW_MS).map(|attempt| recipients(&attempt)), Some(vec![3]));
        let relayed = queue.next(NOW_MS + 6_000).unwrap();
        assert_eq!((&*relayed.destination.transport, relayed.recipients[0].attempts), ("relay", 7));
    }

    #[test]
    fn what_has_failed_stays_in_hand_until_it_is_finished_or_put_back() {
        let (mut queue, attempt) = running(2);
        queue.propose(attempt.id, vec![temporary(), temporary()], NOW_MS);
        assert!(
            queue.settle(key(0), &Settlement::Fail, 1, None)
                && queue.settle(key(1), &Settlement::Fail, 1, None)
        );
        assert_eq!(queue.counts().sending, 2);
        assert!(queue.finish(key(0)) && !queue.finish(key(0)));
        assert!(queue.put_back(key(1), NOW_MS + 1_000));
        assert_eq!(queue.next(NOW_MS + 2_000).unwrap().recipients[0].attempts, 1);
    }

    #[test]
    fn who_is_withdrawn_is_in_hand_and_the_others_go_on() {
        let (mut queue, attempt) = running(3);
        assert!(queue.withdraw(attempt.id, key(1)));
        assert!(!queue.withdraw(attempt.id, key(1)) && !queue.withdraw(attempt.id, key(9)));
        queue.settle(key(1), &Settlement::Retry { at_ms: NOW_MS + 60_000 }, 0, None);
        let changes = queue.report(attempt.id, vec![Outcome::Delivered, Outcome::Delivered], NOW_MS);
        let done: Vec<_> = changes.iter().map(|change| change.key().recipient).collect();
        assert_eq!((done, queue.counts().total()), (vec![0, 2], 1));
        assert!(!queue.withdraw(attempt.id, key(0)), "the attempt has ended");
    }

    #[test]
    fn an_attempt_of_which_all_are_withdrawn_ends_like_any() {
        let (mut queue, attempt) = running(1);
        assert!(queue.withdraw(attempt.id, key(0)) && queue.finish(key(0)));
        assert_eq!(queue.report(attempt.id, Vec::new(), NOW_MS), []);
        assert_eq!((queue.running(), queue.counts().total()), (0, 0));
        assert_eq!((queue.lines.len(), queue.names.len()), (0, 0), "nothing is left behind");
    }

    #[test]
    fn who_is_sent_back_goes_with_his_company_until_an_attempt_has_counted() {
        let (mut queue, attempt) = running(5);
        queue.send_back(attempt.id, &[(key(1), 1), (key(2), 2), (key(3), 1)]);
        let (first, second) = (queue.next(NOW_MS).unwrap(), queue.next(NOW_MS));
        assert_eq!((recipients(&first), second), (vec![1, 3], None), "the line permits two attempts");
        queue.report(attempt.id, vec![temporary(), temporary()], NOW_MS);
        let second = queue.next(NOW_MS).unwrap();
        assert_eq!(recipients(&second), [2]);
        // Not counted: the company stays.
        queue.report(first.id, vec![Outcome::NotTried, Outcome::NotTried], NOW_MS);
        queue.report(second.id, vec![temporary()], NOW_MS);
        let first = queue.next(NOW_MS).unwrap();
        assert_eq!(recipients(&first), [1, 3]);
        queue.report(first.id, vec![temporary(), temporary()], NOW_MS);
        // All have counted now, and are due in the same second.
        assert_eq!(queue.next(NOW_MS + 62_000).unwrap().recipients.len(), 5);
    }

    #[test]
    fn what_is_taken_is_out_of_reach_and_can_be_given_back() {
        let mut queue = queue();
        add(&mut queue, 1, "a.test");
        queue.hold(key(0), "look").unwrap();
        let taken = queue.take(key(0)).unwrap();
        assert_eq!((recipients(&taken), taken.destination.domain.as_deref()), (vec![0], Some("a.test")));
        assert_eq!(queue.take(key(0)), Err(OperationError::Sending));
        assert_eq!(queue.report(taken.id, vec![Outcome::Delivered], NOW_MS), []);
        assert_eq!(queue.next(NOW_MS), None);
        queue.settle(key(0), &Settlement::Retry { at_ms: NOW_MS }, 3, None);
        assert_eq!(queue.next(NOW_MS + 2_000).unwrap().recipients[0].attempts, 3);
        assert_eq!(queue.take(ItemKey::new(9, 9, 9)), Err(OperationError::NotFound));
    }
}
