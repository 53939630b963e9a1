//! When a failed item is tried again, when its sender is told, and when it has expired (hooks 5.3).

use crate::attempt::NotifyStep;

/// Retry rule of a transport, as data.
///
/// An attempt with `retry` attempts behind it that fails for a temporary reason waits as long as step `retry` says,
/// or the last step when the list is exhausted. It has expired when `retry >= count`, or when the message
/// is older than `during_ms`. So `count` is the number of retries after the first attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first attempt; `None`: only the age decides.
    pub count: Option<u32>,
    /// Waits between attempts; the last one repeats.
    pub steps: Vec<RetryStep>,
    /// Longest time in the queue, in milliseconds.
    pub during_ms: Option<u64>,
}

/// One wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryStep {
    /// How long, in milliseconds.
    pub interval_ms: u64,
    /// Tell the sender that the message is delayed, when this wait begins. Not again when a last step repeats.
    pub notify: bool,
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
    /// A policy whose steps tell nobody.
    pub fn new(
        count: Option<u32>,
        intervals_ms: impl IntoIterator<Item = u64>,
        during_ms: Option<u64>,
    ) -> Self {
        let steps = intervals_ms.into_iter().map(|interval_ms| RetryStep { interval_ms, notify: false });
        RetryPolicy { count, steps: steps.collect(), during_ms }
    }

    /// What follows when an attempt with `attempts` attempts behind it fails for a temporary reason.
    pub fn after_failure(&self, attempts: u32, received_ms: u64, now_ms: u64) -> After {
        if self.has_expired(attempts, received_ms, now_ms) {
            return After::Expired;
        }
        After::RetryAt(self.next_try_ms(attempts, now_ms))
    }

    /// Whether an attempt with `attempts` attempts behind it is the last one.
    pub fn has_expired(&self, attempts: u32, received_ms: u64, now_ms: u64) -> bool {
        let age_ms = now_ms.saturating_sub(received_ms);
        self.count.is_some_and(|count| attempts >= count)
            || self.during_ms.is_some_and(|during_ms| age_ms > during_ms)
    }

    /// When an attempt with `attempts` attempts behind it that fails now is repeated, if it is.
    pub fn next_try_ms(&self, attempts: u32, now_ms: u64) -> u64 {
        let step = self.steps.get(attempts as usize).or(self.steps.last());
        let interval_ms = step.map_or(NO_STEPS_MS, |step| step.interval_ms);
        now_ms.saturating_add(interval_ms.max(SHORTEST_MS))
    }

    /// The step that tells the sender when an attempt with `attempts` attempts behind it has failed.
    pub fn notify_after(&self, attempts: u32) -> Option<NotifyStep> {
        self.steps.get(attempts as usize).filter(|step| step.notify).map(|_| NotifyStep(attempts))
    }

    /// The same for an item that only waited, by its age: the last step that tells, of those that would have begun
    /// by now if every attempt had failed at once.
    pub fn notify_at_age(&self, age_ms: u64) -> Option<NotifyStep> {
        let (mut begins_ms, mut found) = (0_u64, None);
        for (number, step) in (0..).zip(&self.steps) {
            if begins_ms > age_ms {
                break;
            }
            if step.notify {
                found = Some(NotifyStep(number));
            }
            begins_ms = begins_ms.saturating_add(step.interval_ms);
        }
        found
    }

    /// How old an item may become that is never tried, because it only waits (a local fault, a dead destination, a
    /// suspend): `during`, and without that five days, or as long as all retries would take if that is longer.
    pub fn longest_wait_ms(&self) -> u64 {
        self.during_ms.unwrap_or_else(|| FIVE_DAYS_MS.max(self.schedule_ms()))
    }

    /// When the last attempt is, at the latest, of an item that was received at `received_ms`, has `attempts` attempts behind
    /// it and is tried next at `next_ms`, if every attempt fails at once. `None`: it is tried for ever.
    pub fn last_try_ms(&self, attempts: u32, received_ms: u64, next_ms: u64) -> Option<u64> {
        let by_count = self.count.map(|count| next_ms.saturating_add(self.waits_ms(attempts, count)));
        let by_age = self.during_ms.map(|during_ms| received_ms.saturating_add(during_ms).max(next_ms));
        by_count.into_iter().chain(by_age).min()
    }

    fn schedule_ms(&self) -> u64 {
        self.waits_ms(0, self.count.unwrap_or(0).max(self.steps.len() as u32))
    }

    /// What follows failed attempts with `from` attempts behind them and more, up to those with `to`, takes together.
    fn waits_ms(&self, from: u32, to: u32) -> u64 {
        let listed = self.steps.len();
        let range = (from as usize).min(listed)..(to.max(from) as usize).min(listed);
        let interval_ms = |step: &RetryStep| step.interval_ms.max(SHORTEST_MS);
        let within = self.steps[range].iter().map(interval_ms).fold(0, u64::saturating_add);
        let last_ms = self.steps.last().map_or(NO_STEPS_MS, interval_ms);
        let repeated = u64::from(to).saturating_sub(u64::from(from).max(listed as u64));
        within.saturating_add(last_ms.saturating_mul(repeated))
    }
}

/// The wait of a policy without steps (configuration 4.8.5).
const NO_STEPS_MS: u64 = 3_600_000;

/// An interval of zero would retry in a loop.
const SHORTEST_MS: u64 = 1_000;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const FIVE_DAYS_MS: u64 = 5 * 24 * HOUR_MS;

impl Default for RetryPolicy {
    /// Without a `retry` block: five days on a rising curve.
    fn default() -> Self {
        let curve = [1, 5, 15, 30, 60, 120, 240];
        RetryPolicy::new(None, curve.map(|minutes| minutes * MINUTE_MS), Some(FIVE_DAYS_MS))
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
        assert_eq!(waits_s(&RetryPolicy::new(Some(4), [60_000, 900_000], None)), [60, 900, 900, 900]);
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
    fn a_policy_without_steps_waits_an_hour() {
        assert_eq!(waits_s(&RetryPolicy::new(Some(1), [], None)), [3600]);
    }

    #[test]
    fn an_interval_of_zero_does_not_spin() {
        assert_eq!(waits_s(&RetryPolicy::new(Some(1), [0], None)), [1]);
    }

    #[test]
    fn age_ends_it_even_when_retries_are_left() {
        assert_eq!(waits_s(&RetryPolicy::new(Some(100), [60_000], Some(150_000))), [60, 60, 60]);
    }

    /// Waits of 60 s, 900 s and an hour, of which these tell the sender.
    fn telling(steps: &[u32]) -> RetryPolicy {
        let mut policy = RetryPolicy::new(Some(30), [60_000, 900_000, 3_600_000], None);
        steps.iter().for_each(|step| policy.steps[*step as usize].notify = true);
        policy
    }

    #[test]
    fn a_step_tells_when_its_wait_begins_and_not_when_it_repeats() {
        let policy = telling(&[2]);
        let told: Vec<_> = (0..30).filter_map(|attempts| policy.notify_after(attempts)).collect();
        assert_eq!(told, [NotifyStep(2)]);
    }

    /// A report said "tried again until" five days later, of what failed for good after seconds.
    #[test]
    fn the_last_try_is_known_beforehand() {
        let policies = [
            RetryPolicy::default(),
            RetryPolicy::new(Some(4), [60_000, 900_000], None),
            RetryPolicy::new(Some(2), [60_000, 900_000, 3_600_000], None),
            RetryPolicy::new(Some(0), [60_000], None),
            RetryPolicy::new(Some(3), [], None),
            RetryPolicy::new(Some(100), [60_000], Some(150_000)),
            RetryPolicy::new(Some(1), [60_000], Some(150_000)),
        ];
        for policy in policies {
            let tries: Vec<u64> = waits_s(&policy)
                .iter()
                .scan(0, |at, wait| {
                    *at += wait;
                    Some(*at)
                })
                .collect();
            let last_s = tries.last().copied().unwrap_or(0);
            for (attempts, at_s) in (1..).zip(&tries) {
                let said_s = policy.last_try_ms(attempts, 0, at_s * 1000).expect("it ends") / 1000;
                // By age, it is the first try after that.
                let before_s = if policy.during_ms.is_some() {
                    tries.iter().rev().nth(1).copied().unwrap_or(0)
                } else {
                    last_s
                };
                assert!((before_s..=last_s).contains(&said_s), "{attempts} {said_s}: {policy:?}");
            }
        }
        assert_eq!(RetryPolicy::new(None, [60_000], None).last_try_ms(1, 0, 5), None);
        assert_eq!(
            RetryPolicy::new(Some(2), [60_000], None).last_try_ms(7, 0, 5),
            Some(5),
            "a script wants it"
        );
    }

    #[test]
    fn what_only_waits_is_told_of_when_it_would_have_been_otherwise() {
        let policy = telling(&[1, 2]);
        let cases =
            [(59_999, None), (60_000, Some(1)), (959_999, Some(1)), (960_000, Some(2)), (u64::MAX, Some(2))];
        for (age_ms, step) in cases {
            assert_eq!(policy.notify_at_age(age_ms), step.map(NotifyStep), "{age_ms}");
        }
        assert_eq!(telling(&[]).notify_at_age(u64::MAX), None);
    }

    #[test]
    fn what_only_waits_expires_like_the_rest() {
        let cases = [
            (RetryPolicy::default(), FIVE_DAYS_MS),
            (RetryPolicy::new(Some(3), [60_000], Some(7_200_000)), 7_200_000),
            (RetryPolicy::new(Some(3), [60_000], None), FIVE_DAYS_MS),
            (RetryPolicy::new(Some(0), [], None), FIVE_DAYS_MS),
            // 3 + 7 times 24 hours.
            (RetryPolicy::new(Some(10), [24 * HOUR_MS; 3], None), 10 * 24 * HOUR_MS),
            (RetryPolicy::new(Some(u32::MAX), [u64::MAX], None), u64::MAX),
        ];
        for (policy, expected) in cases {
            assert_eq!(policy.longest_wait_ms(), expected, "{policy:?}");
        }
    }
}
