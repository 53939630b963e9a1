//! Picking the next attempt.

use std::sync::Arc;

use crate::attempt::{Attempt, AttemptId, Destination, Recipient};
use crate::limits;
use crate::list::List;
use crate::matching::Facts;
use crate::queue::lines::spend;
use crate::queue::{End, GroupingAtPickup, PickCounts, Queue, Running};
use crate::slot::{Place, Slot};

impl Queue {
    /// The next attempt that is due and permitted; its items become SENDING. Destinations take turns.
    /// `None`: nothing for now; ask again after the next insert or report, when the rules change, or at
    /// [`Queue::next_wakeup`].
    pub fn next(&mut self, now_ms: u64) -> Option<Attempt> {
        let mut budget = self.budget();
        self.catch_up(now_ms, &mut budget);
        while self.has_free_attempt() && spend(&mut budget) {
            let number = self.next_in_turn()?;
            self.picks.evals += 1;
            self.lines[number].in_ring = false;
            let attempt = self.pick(number, false, &mut budget);
            if let Some(attempt) = &attempt {
                self.lines[number].streak = 0;
                self.note_start(attempt.id, now_ms);
            }
            self.offer(number);
            self.collect(number);
            if attempt.is_some() {
                return attempt;
            }
            self.picks.skips += 1;
        }
        None
    }

    /// What was looked at for picking.
    pub fn pick_counts(&self) -> PickCounts {
        PickCounts { pending: self.rings.iter().map(std::collections::VecDeque::len).sum(), ..self.picks }
    }

    /// The next attempt for `destination`, so that a connection is used again while messages wait.
    /// Report the attempt before it first. `None` also when other destinations have waited long enough for
    /// the last free attempts: give the connection up and ask [`Queue::next`].
    pub fn next_for(&mut self, destination: &Destination, now_ms: u64) -> Option<Attempt> {
        let mut budget = self.budget();
        self.catch_up(now_ms, &mut budget);
        let mut lines = self.lines_of(destination);
        if self.urgent_picks >= limits::URGENT_BURST {
            lines.reverse();
        }
        lines.into_iter().flatten().find_map(|number| {
            if !self.has_free_attempt() || !self.may_stay(number) {
                return None;
            }
            let attempt = self.pick(number, true, &mut budget);
            if let Some(attempt) = &attempt {
                self.note_start(attempt.id, now_ms);
                self.note_turn(number);
            }
            self.offer(number);
            self.collect(number);
            attempt
        })
    }

    /// The next line in the ring: urgent ones first, but not always.
    fn next_in_turn(&mut self) -> Option<u32> {
        let ring = match self.urgent_picks {
            limits::URGENT_BURST.. => usize::from(!self.rings[1].is_empty()),
            _ => usize::from(self.rings[0].is_empty()),
        };
        let number = self.rings[ring].pop_front()?;
        self.note_turn(number);
        Some(number)
    }

    fn note_turn(&mut self, number: u32) {
        let urgent = self.lines[number].key.urgent;
        self.urgent_picks = if urgent { self.urgent_picks.saturating_add(1) } else { 0 };
    }

    /// When to call [`Queue::next`] again if nothing else happens (milliseconds since the Unix epoch);
    /// a time that has passed means at once, after letting others run. `None`: only an insert, a report or
    /// new rules can make something due.
    pub fn next_wakeup(&self) -> Option<u64> {
        let pickable = self.rings.iter().any(|ring| !ring.is_empty()) && self.has_free_attempt();
        let catching_up = !self.unblock.is_empty() || self.sweep.is_due() || self.waits.is_emptying();
        if pickable || catching_up || self.held_before_change > 0 {
            return Some(0);
        }
        let held_ms = self.held_until.first().map(|(at_ms, _)| *at_ms);
        let first = [self.schedule.first_due_ms(), self.waits.first_due_ms(), held_ms, self.next_expiry()];
        first.into_iter().flatten().min()
    }

    /// Moves what has become due or permitted to the lines.
    fn catch_up(&mut self, now_ms: u64, budget: &mut u32) {
        // Half for what has come due: the other half is left for picking.
        let mut due_budget = *budget / 2;
        *budget -= due_budget;
        self.unblock(&mut due_budget);
        self.sweep(&mut due_budget);
        self.end_waits(now_ms, &mut due_budget);
        self.end_holds(now_ms, &mut due_budget);
        while spend(&mut due_budget) {
            let Some((id, bucket_ended)) = self.schedule.pop_due(&mut self.slots, now_ms) else { break };
            self.come_due(id, bucket_ended);
        }
    }

    fn has_free_attempt(&self) -> bool {
        self.running() < self.options.total_concurrency
    }

    /// A busy connection lets others go first when they wait for the last free attempt.
    fn may_stay(&mut self, number: u32) -> bool {
        let last = self.running() + 1 >= self.options.total_concurrency;
        let others_wait =
            self.rings.iter().flat_map(|ring| ring.iter().take(2)).any(|other| *other != number);
        let line = &mut self.lines[number];
        if !(last && others_wait) {
            line.streak = 0;
            return true;
        }
        line.streak += 1;
        line.streak <= limits::REUSE_BURST
    }

    /// An attempt from this line, if its limit and the rules permit one. `connected`: it goes over an open connection.
    fn pick(&mut self, number: u32, connected: bool, budget: &mut u32) -> Option<Attempt> {
        if self.is_stale(number) {
            self.disperse(number, budget);
            return None;
        }
        let line = &self.lines[number];
        let running = self.groups.get(&line.key.group()).map_or(0, |group| group.running);
        if line.unblocking || running >= self.transports.get(line.key.transport).concurrency {
            return None;
        }
        if !self.may_try(number, connected) {
            return None;
        }
        if self.is_suspended(number) {
            self.block(number);
            return None;
        }
        let mut members = List::new();
        let first = self.pop_permitted(number, budget)?;
        self.join(&mut members, first);
        while members.len() < self.options.max_attempt_recipients.max(1) {
            let Some(id) = self.lines[number].ready.front() else { break };
            let one_domain = !self.options.one_domain || self.slots[id].domain == self.slots[first].domain;
            if !one_domain || !self.slots[id].travels_with(&self.slots[first]) {
                break;
            }
            self.lines[number].ready.unlink(&mut self.slots, id);
            if self.item_suspended(id) {
                self.park(id);
            } else {
                self.join(&mut members, id);
            }
        }
        Some(self.start(number, members, connected))
    }

    /// The first item of a line that no rule stops; those before it are parked.
    fn pop_permitted(&mut self, number: u32, budget: &mut u32) -> Option<u32> {
        while spend(budget) {
            let id = self.lines[number].ready.pop_front(&mut self.slots)?;
            if !self.item_suspended(id) {
                return Some(id);
            }
            self.park(id);
        }
        None
    }

    pub(super) fn join(&mut self, members: &mut List, id: u32) {
        self.set_place(id, Place::Sending);
        members.push_back(&mut self.slots, id);
    }

    /// Moves items to the lines that their transport now wants.
    fn disperse(&mut self, number: u32, budget: &mut u32) {
        while spend(budget) {
            let Some(id) = self.lines[number].ready.pop_front(&mut self.slots) else { break };
            self.make_ready(id, End::Back);
        }
    }

    /// Compares the rules with the line as a whole, once for each set of rules.
    fn is_suspended(&mut self, number: u32) -> bool {
        let line = &self.lines[number];
        if line.compared == self.generation {
            return line.suspended;
        }
        let facts = Facts {
            transport_id: Some(&self.transports.get(line.key.transport).name),
            recipient_domain: line.key.domain.map(|name| &**self.names.get(name)),
            grouping: line.key.domain.and_then(|name| self.grouping(self.names.get(name))),
            ..Facts::default()
        };
        let suspended = self.suspends.matches(&facts).is_some();
        let line = &mut self.lines[number];
        (line.compared, line.suspended) = (self.generation, suspended);
        suspended
    }

    /// How many items a call may look at: fewer where each is compared with many expressions.
    fn budget(&self) -> u32 {
        let looks = 1 + self.suspends.gone_through() / limits::RULES_PER_LOOK;
        (self.next_budget / looks as u32).max(limits::NEXT_BUDGET_MIN)
    }

    /// Compares the rules with one item.
    fn item_suspended(&self, id: u32) -> bool {
        !self.suspends.is_empty() && self.rule_for(&self.slots[id]).is_some()
    }

    /// The rule that stops an item, as far as can be told without hosts and addresses.
    pub(super) fn rule_for(&self, slot: &Slot) -> Option<usize> {
        let text = |name: Option<_>| name.map_or("", |name| &**self.names.get(name));
        let domain = &**self.names.get(slot.domain);
        let facts = Facts {
            tenant_id: Some(text(slot.tenant_id)),
            job_id: Some(text(slot.job_id)),
            transport_id: Some(&self.transports.get(slot.transport).name),
            recipient_domain: Some(domain),
            grouping: self.grouping(domain),
            ..Facts::default()
        };
        self.suspends.matches(&facts)
    }

    fn grouping<'a>(&self, domain: &'a str) -> Option<&'a str> {
        (self.options.grouping == GroupingAtPickup::RecipientDomain).then_some(domain)
    }

    pub(super) fn start(&mut self, number: u32, members: List, connected: bool) -> Attempt {
        let id = AttemptId(self.next_attempt);
        self.next_attempt += 1;
        let line = &mut self.lines[number];
        line.running += 1;
        let key = line.key;
        self.groups.entry(key.group()).or_default().running += 1;
        let probe = self.note_try(number, connected);
        let destination = self.destination(key);
        let first = &self.slots[members.front().expect("an attempt has a recipient")];
        let recipients = members.iter(&self.slots).map(|(_, slot)| self.recipient(slot)).collect();
        let attempt = self.attempt(id, destination, first, recipients);
        self.attempts
            .insert(id, Running { line: number, members, generation: self.generation, retry: None, probe });
        attempt
    }

    pub(super) fn recipient(&self, slot: &Slot) -> Recipient {
        Recipient {
            key: slot.key(),
            address: slot.packed.recipient().into(),
            domain: Arc::clone(self.names.get(slot.domain)),
            attempts: slot.attempts,
        }
    }
}
