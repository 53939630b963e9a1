//! Lines that policies hold back: they cost nothing until a counter wakes them or their time comes.
//!
//! Such a line is tried with few attempts at first; each that the policies let go permits two more, so that it is at full
//! speed soon where much has come free, and a single refusal ends it.

use std::mem;

use crate::attempt::{AttemptId, Limited};
use crate::line::Held;
use crate::policy::{Key, Limit};
use crate::queue::Queue;
use crate::queue::lines::spend;

impl Queue {
    /// A counter may permit something again: lets up to `count` attempts of lines go that it holds back, those with the
    /// oldest mail first. What waits there yet: its limit, and when the oldest of its messages was received.
    pub fn wake(&mut self, key: &Key, count: u32) -> Option<(Limit, u64)> {
        let waiting = self.held_by.get(key)?.len() as u32;
        let share = count / waiting.max(1);
        for _ in 0..count {
            let Some(number) = self.longest_held_by(key) else { break };
            self.unlink_held(number);
            if let Some(held) = &mut self.lines[number].held {
                held.allowed = held.allowed.saturating_add(share.max(1));
            }
            self.offer(number);
        }
        let next = self.longest_held_by(key)?;
        self.waits_for(next, key)
    }

    /// A connection was brought for mail that waits for this counter: one attempt of the line with the oldest mail may try,
    /// while its line waits on. `None`: nothing waits. Else what waits behind that attempt: its limit, and when the oldest
    /// of its messages was received.
    pub fn brought(&mut self, key: &Key) -> Option<Option<(Limit, u64)>> {
        let first = self.longest_held_by(key)?;
        if let Some(held) = &mut self.lines[first].held {
            held.allowed = held.allowed.max(1);
        }
        self.offer(first);
        let behind = match self.lines[first].ready.len() {
            2.. => Some(first),
            _ => self.held_by[key].iter().nth(1).map(|(_, number)| *number),
        };
        Some(behind.and_then(|number| self.waits_for(number, key)))
    }

    /// Which limit of the counter the line waits for, and when the oldest of its messages was received.
    fn waits_for(&self, number: u32, key: &Key) -> Option<(Limit, u64)> {
        let held = self.lines[number].held.as_ref()?;
        let by = held.by.iter().find(|by| by.key == *key)?;
        Some((by.limit(), self.oldest_ms(number)))
    }

    /// Of the lines that the counter holds back, the one with the oldest mail. Mail that has left the head of its line since
    /// is seen only here.
    fn longest_held_by(&mut self, key: &Key) -> Option<u32> {
        loop {
            let (oldest_ms, number) = *self.held_by.get(key)?.first()?;
            let now_oldest_ms = self.oldest_ms(number);
            if now_oldest_ms <= oldest_ms {
                return Some(number);
            }
            self.unlink_held(number);
            self.link_held(number, now_oldest_ms);
        }
    }

    /// Whether a line waits for this counter.
    pub fn is_held_by(&self, key: &Key) -> bool {
        self.held_by.contains_key(key)
    }

    /// Policies have let a running attempt go: more of its line may.
    pub fn permitted(&mut self, id: AttemptId) {
        let Some(running) = self.attempts.get_mut(&id) else { return };
        if !mem::take(&mut running.probe) {
            return;
        }
        let number = running.line;
        let line = &mut self.lines[number];
        if let Some(held) = &mut line.held {
            held.allowed = held.allowed.saturating_add(2);
            if held.allowed as usize >= line.ready.len() {
                self.let_go(number);
            }
            self.offer(number);
        }
    }

    /// Lines that policies hold back.
    pub fn held_lines(&self) -> usize {
        self.held_until.len()
    }

    /// All that is held back is looked at again, in bounded chunks by the following calls of [`Queue::next`]: the policies
    /// have changed.
    pub fn policies_changed(&mut self) {
        self.held_before_change = self.held_until.len();
    }

    /// An attempt of the line was refused. `expired`: what was refused is gone, and the next may be, too.
    /// `oldest_ms`: when the first of what goes back to its front was received.
    pub(super) fn hold_back(&mut self, number: u32, limited: Limited, oldest_ms: Option<u64>) {
        self.let_go(number);
        let Limited { by, until_ms } = limited;
        self.held_until.insert((until_ms, number));
        let held = Held { by, oldest_ms: 0, until_ms, allowed: u32::from(oldest_ms.is_none()) };
        self.lines[number].held = Some(Box::new(held));
        self.link_held(number, oldest_ms.unwrap_or_else(|| self.oldest_ms(number)));
    }

    /// An attempt of the line came to nothing before policies were asked: another one may find out.
    pub(super) fn try_another(&mut self, number: u32) {
        if let Some(held) = &mut self.lines[number].held {
            held.allowed = held.allowed.saturating_add(1);
        }
    }

    /// Whether policies do not keep the line from an attempt. One over an open connection needs only messages.
    pub(super) fn may_try(&self, number: u32, connected: bool) -> bool {
        self.lines[number].held.as_ref().is_none_or(|held| {
            held.allowed > 0 || (connected && held.by.iter().all(|by| by.limit() != Limit::Rate))
        })
    }

    /// An attempt of the line begins. Whether it finds out if policies still hold the line back: one over an open connection
    /// does only where it needs what they refused.
    pub(super) fn note_try(&mut self, number: u32, connected: bool) -> bool {
        let line = &mut self.lines[number];
        let Some(held) = &mut line.held else { return false };
        let finds_out = !connected || held.by.iter().any(|by| by.limit() == Limit::Rate);
        if finds_out {
            held.allowed = held.allowed.saturating_sub(1);
        }
        if line.ready.is_empty() {
            self.let_go(number);
        }
        finds_out
    }

    /// The line is not held back any more.
    pub(super) fn let_go(&mut self, number: u32) {
        self.unlink_held(number);
        if let Some(held) = self.lines[number].held.take() {
            self.held_until.remove(&(held.until_ms, number));
        }
    }

    /// Its counters wake the line, in the order of the oldest mail.
    fn link_held(&mut self, number: u32, oldest_ms: u64) {
        let Some(held) = &mut self.lines[number].held else { return };
        held.oldest_ms = oldest_ms;
        for by in &held.by {
            self.held_by.entry(by.key.clone()).or_default().insert((oldest_ms, number));
        }
    }

    /// No counter wakes the line any more.
    fn unlink_held(&mut self, number: u32) {
        let Some(held) = &self.lines[number].held else { return };
        for by in &held.by {
            if let Some(lines) = self.held_by.get_mut(&by.key) {
                lines.remove(&(held.oldest_ms, number));
                if lines.is_empty() {
                    self.held_by.remove(&by.key);
                }
            }
        }
    }

    /// Lets those be looked at whose time has come.
    pub(super) fn end_holds(&mut self, now_ms: u64, budget: &mut u32) {
        while let Some((at_ms, number)) = self.held_until.first().copied() {
            let by_old_policies = self.held_before_change > 0;
            if (at_ms > now_ms && !by_old_policies) || !spend(budget) {
                return;
            }
            self.let_go(number);
            if by_old_policies {
                // Which of them it is does not matter: one that was held back since finds out again.
                self.held_before_change -= 1;
                self.offer(number);
                self.collect(number);
                continue;
            }
            let ready = !self.lines[number].ready.is_empty();
            if ready {
                // One attempt finds out; it may be long before the next time, so nothing else does.
                let until_ms = at_ms.max(now_ms).saturating_add(crate::limits::HELD_AGAIN_MS);
                self.held_until.insert((until_ms, number));
                self.lines[number].held =
                    Some(Box::new(Held { by: Vec::new(), oldest_ms: 0, until_ms, allowed: 1 }));
            }
            self.offer(number);
            self.collect(number);
        }
        self.held_before_change = 0;
    }

    fn oldest_ms(&self, number: u32) -> u64 {
        self.lines[number].ready.front().map_or(u64::MAX, |id| self.slots[id].received_ms())
    }
}
