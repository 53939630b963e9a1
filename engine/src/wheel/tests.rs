use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Wake;

use super::*;
use crate::rng::Rng;

/// Writes down its number when woken.
struct Note(u64, Arc<Mutex<Vec<u64>>>);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.1.lock().expect("one thread").push(self.0);
    }
}

struct Model {
    wheel: Wheel,
    now: u64,
    /// Armed timers by number: tick and name.
    armed: BTreeMap<u64, (u64, TimerId)>,
    fired: Vec<TimerId>,
    notes: Arc<Mutex<Vec<u64>>>,
    next: u64,
}

impl Model {
    fn new(now: u64) -> Self {
        let notes = Arc::default();
        Model { wheel: Wheel::new(now), now, armed: BTreeMap::new(), fired: Vec::new(), notes, next: 0 }
    }

    fn arm(&mut self, at: u64) {
        let waker = Waker::from(Arc::new(Note(self.next, self.notes.clone())));
        let id = self.wheel.arm(at, waker);
        self.armed.insert(self.next, (at.max(self.now + 1), id));
        self.next += 1;
    }

    fn cancel(&mut self, place: usize) {
        let number = *self.armed.keys().nth(place % self.armed.len()).expect("not empty");
        let (_, id) = self.armed.remove(&number).expect("just seen");
        assert!(!self.wheel.has_fired(id));
        assert!(self.wheel.release(id).is_some());
    }

    fn advance(&mut self, to: u64) {
        let first = self.armed.values().map(|(at, _)| *at).min();
        match (first, self.wheel.next_tick()) {
            (None, next) => assert_eq!(next, None, "nothing armed: nothing to wake for"),
            (Some(first), Some(next)) => {
                assert!(self.now < next && next <= first, "{next} is late for {first}")
            }
            (Some(_), None) => panic!("a timer is armed"),
        }
        self.now = self.now.max(to);
        let mut wakers = Vec::new();
        self.wheel.advance(to, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        let mut fired = std::mem::take(&mut *self.notes.lock().expect("one thread"));
        let ticks: Vec<u64> = fired.iter().map(|number| self.armed[number].0).collect();
        assert!(ticks.is_sorted(), "in order of their ticks: {ticks:?}");
        fired.sort_unstable();
        let due: Vec<u64> =
            self.armed.iter().filter(|(_, (at, _))| *at <= self.now).map(|(number, _)| *number).collect();
        assert_eq!(fired, due);
        for number in due {
            let (_, id) = self.armed.remove(&number).expect("listed above");
            assert!(self.wheel.has_fired(id));
            self.fired.push(id);
        }
        assert_eq!(self.wheel.armed(), self.armed.len());
    }
}

#[test]
fn it_does_what_a_sorted_list_does() {
    let histories = if cfg!(miri) { 3 } else { 300 };
    for seed in 0..histories {
        let mut rng = Rng::new([seed as u8; 32]);
        rng.below(seed + 1);
        let mut model = Model::new(rng.below(1 << 40));
        for _ in 0..400 {
            // Spans of all levels, and beyond.
            let span = 1 << rng.below(40);
            match rng.below(10) {
                0..5 => model.arm((model.now + rng.below(span)).saturating_sub(rng.below(3))),
                5..7 if !model.armed.is_empty() => model.cancel(rng.next_u64() as usize),
                7 if !model.fired.is_empty() => {
                    let id = model.fired.swap_remove(rng.below(model.fired.len() as u64) as usize);
                    assert!(model.wheel.release(id).is_none());
                }
                _ => model.advance(model.now + rng.below(span)),
            }
        }
        model.advance(model.now + (1 << 41));
        assert!(model.armed.is_empty());
        assert_eq!(model.wheel.next_tick(), None);
    }
}

#[test]
fn a_timer_beyond_the_highest_level_fires_at_its_tick() {
    let mut model = Model::new(5);
    model.arm(3 << 36);
    model.advance((3 << 36) - 1);
    assert_eq!(model.armed.len(), 1);
    model.advance(3 << 36);
    assert!(model.armed.is_empty());
}

#[test]
fn released_places_are_used_again() {
    let mut wheel = Wheel::new(0);
    for _ in 0..100 {
        let id = wheel.arm(10, Waker::noop().clone());
        wheel.release(id);
    }
    assert_eq!(wheel.nodes.len(), 1);
    assert_eq!(wheel.next_tick(), None);
}
