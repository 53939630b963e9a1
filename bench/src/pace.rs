//! Who sends which message when: tickets that all connections of all shards draw from.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// The messages of one run, as many as its bounds allow. Shared by all shards.
#[derive(Debug)]
pub struct Pace {
    next: AtomicU32,
    stopped: AtomicBool,
    messages: u32,
    duration: Option<Duration>,
    rate_per_s: Option<f64>,
}

/// The right to send one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The message's number, from 0.
    pub number: u32,
    /// When it is meant to start, counted from the start of the run; none in a closed loop: at once.
    pub due: Option<Duration>,
}

impl Pace {
    /// At most `messages`, started within `duration`, in an open loop when a rate is given.
    pub fn new(messages: Option<u32>, duration: Option<Duration>, rate_per_s: Option<f64>) -> Pace {
        Pace {
            next: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            messages: messages.unwrap_or(u32::MAX - 1),
            duration,
            rate_per_s,
        }
    }

    /// The next ticket, `elapsed` after the start; none when the run is over.
    pub fn draw(&self, elapsed: Duration) -> Option<Ticket> {
        if self.stopped.load(Ordering::Relaxed) || self.duration.is_some_and(|limit| elapsed >= limit) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.messages {
            self.stop();
            return None;
        }
        let due = self.rate_per_s.map(|rate| Duration::from_secs_f64(f64::from(number) / rate));
        if due.zip(self.duration).is_some_and(|(due, limit)| due >= limit) {
            return None;
        }
        Some(Ticket { number, due })
    }

    /// Ends the run: no more tickets.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// From when the latency of a message counts. In an open loop a connection that was busy when the message was
/// due was made to wait by the server: the wait counts (this is the correction for coordinated omission). One
/// that was free and slept woke up late by its own fault: that does not.
pub fn counted_from(due: Option<u64>, was_free: bool, actual: u64) -> u64 {
    match due {
        Some(due) if !was_free => due.min(actual),
        _ => actual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_bounds_the_run() {
        let pace = Pace::new(Some(3), None, None);
        let numbers: Vec<u32> =
            std::iter::from_fn(|| pace.draw(Duration::ZERO)).map(|ticket| ticket.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(pace.draw(Duration::ZERO), None);
    }

    #[test]
    fn a_duration_bounds_the_run_in_both_loops() {
        let closed = Pace::new(None, Some(Duration::from_secs(1)), None);
        assert!(closed.draw(Duration::from_millis(999)).is_some());
        assert_eq!(closed.draw(Duration::from_secs(1)), None);
        let open = Pace::new(None, Some(Duration::from_secs(1)), Some(2.0));
        assert_eq!(std::iter::from_fn(|| open.draw(Duration::ZERO)).count(), 2);
    }

    #[test]
    fn an_open_loop_spaces_starts_evenly_and_never_waits_for_answers() {
        let pace = Pace::new(Some(4), None, Some(100.0));
        let due: Vec<_> = std::iter::from_fn(|| pace.draw(Duration::from_secs(5))).map(|t| t.due).collect();
        let expected: Vec<_> = [0, 10, 20, 30].map(|ms| Some(Duration::from_millis(ms))).into();
        assert_eq!(due, expected);
    }

    #[test]
    fn waiting_for_a_busy_connection_counts_and_waking_late_does_not() {
        assert_eq!(counted_from(Some(100), false, 700), 100);
        assert_eq!(counted_from(Some(100), true, 103), 103);
        assert_eq!(counted_from(None, true, 700), 700);
    }

    #[test]
    fn a_stopped_run_gives_no_tickets() {
        let pace = Pace::new(None, None, None);
        pace.stop();
        assert_eq!(pace.draw(Duration::ZERO), None);
    }
}
