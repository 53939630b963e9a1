//! When a failed item is tried again, and when it has expired (hooks 5.3).

/// Retry rule of a transport, as data.
///
/// An attempt with `retry` attempts behind it that fails for a temporary reason waits `intervals_ms[retry]`,
/// or the last interval when the list is exhausted. It has expired when `retry >= count`, or when the message
/// is older than `during_ms`. So `count` is the number of retries after the first attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first attempt; `None`: only the age decides.
    pub count: Option<u32>,
    /// Waits between attempts, in milliseconds; the last one repeats.
    pub intervals_ms: Vec<u64>,
    /// Longest time in the queue, in milliseconds.
    pub during_ms: Option<u64>,
}

/// What follows a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Another try, at this time (milliseconds since the Unix epoch).
    RetryAt(u64),
    /// Nothing: it has failed for good.
    Expired,
}

impl RetryPolicy {
    /// What follows when an attempt with `attempts` attempts behind it fails for a temporary reason.
    pub fn after_failure(&self, attempts: u32, received_ms: u64, now_ms: u64) -> After {
        let age_ms = now_ms.saturating_sub(received_ms);
        let expired = self.count.is_some_and(|count| attempts >= count)
            || self.during_ms.is_some_and(|during_ms| age_ms > during_ms);
        if expired {
            return After::Expired;
        }
        let interval = self.intervals_ms.get(attempts as usize).or(self.intervals_ms.last());
        After::RetryAt(now_ms.saturating_add(interval.copied().unwrap_or(NO_INTERVALS_MS).max(SHORTEST_MS)))
    }
}

/// The wait of a policy without intervals (configuration 4.8.5).
const NO_INTERVALS_MS: u64 = 3_600_000;

/// An interval of zero would retry in a loop.
const SHORTEST_MS: u64 = 1_000;

impl Default for RetryPolicy {
    /// Without a `retry` block: five days on a rising curve.
    fn default() -> Self {
        const MINUTE_MS: u64 = 60_000;
        const HOUR_MS: u64 = 60 * MINUTE_MS;
        RetryPolicy {
            count: None,
            intervals_ms: vec![
                MINUTE_MS,
                5 * MINUTE_MS,
                15 * MINUTE_MS,
                30 * MINUTE_MS,
                HOUR_MS,
                2 * HOUR_MS,
                4 * HOUR_MS,
            ],
            during_ms: Some(5 * 24 * HOUR_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits of a message received at 0 that always fails, until it expires.
    fn waits_s(policy: &RetryPolicy) -> Vec<u64> {
        let (mut now_ms, mut waits) = (0, Vec::new());
        while let After::RetryAt(at_ms) = policy.after_failure(waits.len() as u32, 0, now_ms) {
            waits.push((at_ms - now_ms) / 1000);
            now_ms = at_ms;
        }
        waits
    }

    #[test]
    fn count_four_gives_four_waits_and_the_fifth_failure_expires() {
        let policy = RetryPolicy { count: Some(4), intervals_ms: vec![60_000, 900_000], during_ms: None };
        assert_eq!(waits_s(&policy), [60, 900, 900, 900]);
    }

    #[test]
    fn count_zero_gives_one_attempt() {
        let policy = RetryPolicy { count: Some(0), ..RetryPolicy::default() };
        assert_eq!(waits_s(&policy), [0_u64; 0]);
    }

    #[test]
    fn the_default_tries_for_five_days() {
        let waits = waits_s(&RetryPolicy::default());
        let days = waits.iter().sum::<u64>() as f64 / 86_400.0;
        assert!((5.0..5.3).contains(&days), "{days} days");
        assert!(waits.is_sorted());
        assert_eq!(waits[0], 60);
        assert!(waits.len() < 50, "{}", waits.len());
    }

    #[test]
    fn a_policy_without_intervals_waits_an_hour() {
        let policy = RetryPolicy { count: Some(1), intervals_ms: vec![], during_ms: None };
        assert_eq!(waits_s(&policy), [3600]);
    }

    #[test]
    fn an_interval_of_zero_does_not_spin() {
        let policy = RetryPolicy { count: Some(1), intervals_ms: vec![0], during_ms: None };
        assert_eq!(waits_s(&policy), [1]);
    }

    #[test]
    fn age_ends_it_even_when_retries_are_left() {
        let policy = RetryPolicy { count: Some(100), intervals_ms: vec![60_000], during_ms: Some(150_000) };
        assert_eq!(waits_s(&policy), [60, 60, 60]);
    }
}
