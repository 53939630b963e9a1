//! What a report means for an item: the one table.
//!
//! | outcome | counts as an attempt | what follows |
//! |---|---|---|
//! | delivered | - | done |
//! | temporary | yes | retry by the policy; expired: fails for good |
//! | permanent | yes | fails for good |
//! | no such domain | yes | the first time as temporary, then as permanent |
//! | not tried | no | at once; when it repeats, after a pause of 1 s, 2 s, ... 60 s |
//! | local fault | no | when the fault is over, at the latest after a pause of 15 s, 30 s, 60 s, 120 s; never expires |
//! | parked | no | when its hosts may be tried again |
//! | suspended | no | when the rules change |

use crate::attempt::{HoldCause, Outcome, Reason};
use crate::retry::{After, RetryPolicy};

const NOT_TRIED_FIRST_MS: u64 = 1_000;
const NOT_TRIED_LONGEST_MS: u64 = 60_000;
/// What has just been found parked is not looked at again in the same second.
const PARKED_SHORTEST_MS: u64 = 1_000;
const LOCAL_FAULT_FIRST_MS: u64 = 15_000;
const LOCAL_FAULT_LONGEST_MS: u64 = 2 * 60_000;

/// What the table looks at, beside the outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    /// Attempts behind the item, without this one.
    pub(crate) attempts: u32,
    /// Reports in a row that did not count.
    pub(crate) uncounted: u8,
    pub(crate) received_ms: u64,
    pub(crate) now_ms: u64,
    pub(crate) policy: &'a RetryPolicy,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// Counted; due at this time.
    Retry(u64, Reason),
    /// Counted; fails for good.
    Fail(HoldCause, Reason),
    /// Not counted; due at once.
    AtOnce,
    /// Not counted; due at this time.
    Pause(u64),
    /// Not counted; due at this time, or when what is wrong on our side is over.
    WaitForUs(u64),
    /// Not counted; due when the rules change.
    Park,
}

pub(crate) fn verdict(outcome: Outcome, at: Situation<'_>) -> Verdict {
    match outcome {
        Outcome::Delivered => Verdict::Done,
        Outcome::Temporary(reason) => retry_or_expire(reason, at),
        Outcome::NoDomain(reason) if at.attempts == 0 => retry_or_expire(reason, at),
        Outcome::Permanent(reason) | Outcome::NoDomain(reason) => Verdict::Fail(HoldCause::Permanent, reason),
        Outcome::NotTried => match at.uncounted {
            0 => Verdict::AtOnce,
            before => Verdict::Pause(at.now_ms.saturating_add(doubled(
                NOT_TRIED_FIRST_MS,
                before - 1,
                NOT_TRIED_LONGEST_MS,
            ))),
        },
        Outcome::LocalFault(_) => Verdict::WaitForUs(at.now_ms.saturating_add(doubled(
            LOCAL_FAULT_FIRST_MS,
            at.uncounted,
            LOCAL_FAULT_LONGEST_MS,
        ))),
        Outcome::Parked { until_ms } => {
            Verdict::Pause(until_ms.max(at.now_ms.saturating_add(PARKED_SHORTEST_MS)))
        }
        Outcome::Suspended => Verdict::Park,
    }
}

fn retry_or_expire(reason: Reason, at: Situation<'_>) -> Verdict {
    match at.policy.after_failure(at.attempts, at.received_ms, at.now_ms) {
        After::RetryAt(at_ms) => Verdict::Retry(at_ms, reason),
        After::Expired => Verdict::Fail(HoldCause::Expired, reason),
    }
}

fn doubled(first_ms: u64, times: u8, longest_ms: u64) -> u64 {
    let factor = 1_u64 << u32::from(times).min(20);
    (first_ms * factor).min(longest_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_000_000;

    fn policy() -> RetryPolicy {
        RetryPolicy { count: Some(2), intervals_ms: vec![60_000, 900_000], during_ms: None }
    }

    fn reason() -> Reason {
        "450 4.2.1 later".into()
    }

    #[test]
    fn each_outcome_leads_to_what_the_table_says() {
        let retry = |after_ms| Verdict::Retry(NOW_MS + after_ms, reason());
        let wait = |after_ms| Verdict::WaitForUs(NOW_MS + after_ms);
        let pause = |after_ms| Verdict::Pause(NOW_MS + after_ms);
        let permanent = || Verdict::Fail(HoldCause::Permanent, reason());
        let cases = [
            // outcome, attempts, uncounted, verdict
            (Outcome::Delivered, 0, 0, Verdict::Done),
            (Outcome::Delivered, 9, 9, Verdict::Done),
            (Outcome::Temporary(reason()), 0, 0, retry(60_000)),
            (Outcome::Temporary(reason()), 1, 0, retry(900_000)),
            (Outcome::Temporary(reason()), 2, 0, Verdict::Fail(HoldCause::Expired, reason())),
            (Outcome::Permanent(reason()), 0, 0, permanent()),
            (Outcome::NoDomain(reason()), 0, 0, retry(60_000)),
            (Outcome::NoDomain(reason()), 1, 0, permanent()),
            (Outcome::NotTried, 2, 0, Verdict::AtOnce),
            (Outcome::NotTried, 2, 1, pause(1_000)),
            (Outcome::NotTried, 2, 4, pause(8_000)),
            (Outcome::NotTried, 2, 255, pause(60_000)),
            (Outcome::LocalFault(reason()), 2, 0, wait(15_000)),
            (Outcome::LocalFault(reason()), 2, 2, wait(60_000)),
            (Outcome::LocalFault(reason()), 2, 255, wait(120_000)),
            (Outcome::Parked { until_ms: NOW_MS + 60_000 }, 2, 7, pause(60_000)),
            (Outcome::Parked { until_ms: NOW_MS }, 2, 0, pause(1_000)),
            (Outcome::Suspended, 2, 0, Verdict::Park),
        ];
        for (outcome, attempts, uncounted, expected) in cases {
            let policy = policy();
            let at = Situation { attempts, uncounted, received_ms: 0, now_ms: NOW_MS, policy: &policy };
            assert_eq!(verdict(outcome.clone(), at), expected, "{outcome:?} {attempts} {uncounted}");
        }
    }
}
