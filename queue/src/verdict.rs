//! What a report means for an item: the one table.
//!
//! | outcome | counts as an attempt | what follows |
//! |---|---|---|
//! | delivered | - | done |
//! | temporary | yes | retry by the policy; expired: fails for good |
//! | permanent | yes | fails for good |
//! | no such domain | yes | as temporary, at the earliest when DNS may say something else; twice in a row: fails for good |
//! | not tried | no | at once; when it repeats, after a pause of 1 s, 2 s, ... 60 s |
//! | parked | no | when its hosts may be tried again |
//! | local fault | no | when the fault is over, at the latest after a pause of 15 s, 30 s, 60 s, 120 s |
//! | damaged | no | held until an operator decides |
//! | suspended | no | when the rules change |
//! | limited | no | when the policies permit it |
//!
//! What does not count waits no longer than [`RetryPolicy::longest_wait_ms`]; then it has expired and fails for good.
//! Under `soft_bounce` nothing fails for good: it is tried again by the policy, the last step repeating.

use crate::attempt::{FailCause, Outcome};
use crate::diagnosis::{Diagnosis, Reason};
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
    /// The last of them found no such domain.
    pub(crate) domain_missing: bool,
    /// Reports in a row that did not count.
    pub(crate) uncounted: u8,
    pub(crate) received_ms: u64,
    pub(crate) now_ms: u64,
    pub(crate) policy: &'a RetryPolicy,
    /// Nothing fails for good.
    pub(crate) soft_bounce: bool,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// Counted; due at this time.
    Retry(u64, Reason),
    /// Counted; fails for good.
    Fail(FailCause, Reason),
    /// Not counted; due at once.
    AtOnce,
    /// Not counted; due at this time.
    Pause(u64),
    /// Not counted; due at this time, or when what is wrong on our side is over.
    WaitForUs(u64, Reason),
    /// Not counted; due when an operator says so.
    Hold(Reason),
    /// Not counted; due when the rules change.
    Park,
    /// Not counted; due when the policies permit it.
    Limited,
}

impl Verdict {
    /// What went wrong.
    pub(crate) fn reason(&self) -> Option<&Reason> {
        match self {
            Verdict::Retry(_, reason)
            | Verdict::Fail(_, reason)
            | Verdict::WaitForUs(_, reason)
            | Verdict::Hold(reason) => Some(reason),
            Verdict::Done | Verdict::AtOnce | Verdict::Pause(_) | Verdict::Park | Verdict::Limited => None,
        }
    }

    /// A retry waits until this time.
    fn not_before(self, at_ms: u64) -> Verdict {
        match self {
            Verdict::Retry(due_ms, reason) => Verdict::Retry(due_ms.max(at_ms), reason),
            other => other,
        }
    }
}

pub(crate) fn verdict(outcome: Outcome, at: Situation<'_>) -> Verdict {
    match outcome {
        Outcome::Delivered => Verdict::Done,
        Outcome::Temporary(reason) => at.retry_or_expire(reason),
        Outcome::NoDomain { reason, until_ms } if !at.domain_missing => {
            at.retry_or_expire(reason).not_before(until_ms)
        }
        Outcome::Permanent(reason) | Outcome::NoDomain { reason, .. } => {
            at.fail(FailCause::Permanent, reason)
        }
        Outcome::NotTried if at.has_waited_too_long() => at.fail(FailCause::Expired, never_tried()),
        Outcome::NotTried => match at.uncounted {
            0 => Verdict::AtOnce,
            before => {
                let wait_ms = doubled(NOT_TRIED_FIRST_MS, before - 1, NOT_TRIED_LONGEST_MS);
                Verdict::Pause(at.now_ms.saturating_add(wait_ms))
            }
        },
        Outcome::LocalFault(reason) if at.has_waited_too_long() => at.fail(FailCause::Expired, reason),
        Outcome::LocalFault(reason) => {
            let wait_ms = doubled(LOCAL_FAULT_FIRST_MS, at.uncounted, LOCAL_FAULT_LONGEST_MS);
            Verdict::WaitForUs(at.now_ms.saturating_add(wait_ms), reason)
        }
        Outcome::Parked { .. } if at.has_waited_too_long() => at.fail(FailCause::Expired, no_answer()),
        Outcome::Parked { until_ms } => {
            Verdict::Pause(until_ms.max(at.now_ms.saturating_add(PARKED_SHORTEST_MS)))
        }
        Outcome::Damaged(reason) => Verdict::Hold(reason),
        Outcome::Suspended if at.has_waited_too_long() => at.fail(FailCause::Expired, suspended()),
        Outcome::Suspended => Verdict::Park,
        Outcome::Limited(_) if at.has_waited_too_long() => at.fail(FailCause::Expired, limited()),
        Outcome::Limited(_) => Verdict::Limited,
    }
}

/// RFC 3463: 4.4.2 bad connection.
fn never_tried() -> Reason {
    Diagnosis::new("each connection ended before its turn came").with_enhanced(4, 4, 2).into()
}

/// RFC 3463: 4.4.7 delivery time expired.
fn suspended() -> Reason {
    Diagnosis::new("delivery was suspended here for too long").with_enhanced(4, 4, 7).into()
}

/// RFC 3463: 4.4.7 delivery time expired.
fn limited() -> Reason {
    Diagnosis::new("a limit of ours kept it back for too long").with_enhanced(4, 4, 7).into()
}

/// RFC 3463: 4.4.1 no answer from host.
fn no_answer() -> Reason {
    Diagnosis::new("no host of the destination can be reached").with_enhanced(4, 4, 1).into()
}

impl Situation<'_> {
    fn retry_or_expire(self, reason: Reason) -> Verdict {
        match self.policy.after_failure(self.attempts, self.received_ms, self.now_ms) {
            After::RetryAt(at_ms) => Verdict::Retry(at_ms, reason),
            After::Expired => self.fail(FailCause::Expired, reason),
        }
    }

    /// The one place where mail fails for good.
    fn fail(self, cause: FailCause, reason: Reason) -> Verdict {
        if self.soft_bounce {
            return Verdict::Retry(self.policy.next_try_ms(self.attempts, self.now_ms), reason);
        }
        Verdict::Fail(cause, reason)
    }

    fn has_waited_too_long(self) -> bool {
        let age_ms = self.now_ms.saturating_sub(self.received_ms);
        !self.soft_bounce && age_ms > self.policy.longest_wait_ms()
    }
}

fn doubled(first_ms: u64, times: u8, longest_ms: u64) -> u64 {
    let factor = 1_u64 << u32::from(times).min(20);
    (first_ms * factor).min(longest_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Limited;

    const NOW_MS: u64 = 1_000_000_000;
    const DURING_MS: u64 = 86_400_000;

    fn policy() -> RetryPolicy {
        RetryPolicy::new(Some(2), [60_000, 900_000], Some(DURING_MS))
    }

    fn reason() -> Reason {
        "450 4.2.1 later".into()
    }

    fn parked() -> Outcome {
        Outcome::Parked { until_ms: NOW_MS + 60_000 }
    }

    fn judge(outcome: Outcome, attempts: u32, uncounted: u8, age_ms: u64, soft_bounce: bool) -> Verdict {
        let policy = policy();
        verdict(outcome, Situation { uncounted, soft_bounce, ..situation(&policy, attempts, age_ms) })
    }

    fn situation(policy: &RetryPolicy, attempts: u32, age_ms: u64) -> Situation<'_> {
        let received_ms = NOW_MS - age_ms;
        Situation {
            attempts,
            domain_missing: false,
            uncounted: 0,
            received_ms,
            now_ms: NOW_MS,
            policy,
            soft_bounce: false,
        }
    }

    fn no_domain(good_for_ms: u64) -> Outcome {
        Outcome::NoDomain { reason: reason(), until_ms: NOW_MS + good_for_ms }
    }

    fn retry(after_ms: u64) -> Verdict {
        Verdict::Retry(NOW_MS + after_ms, reason())
    }

    #[test]
    fn each_outcome_leads_to_what_the_table_says() {
        let pause = |after_ms| Verdict::Pause(NOW_MS + after_ms);
        let wait = |after_ms| Verdict::WaitForUs(NOW_MS + after_ms, reason());
        let permanent = || Verdict::Fail(FailCause::Permanent, reason());
        let cases = [
            // outcome, attempts, uncounted, verdict
            (Outcome::Delivered, 0, 0, Verdict::Done),
            (Outcome::Delivered, 9, 9, Verdict::Done),
            (Outcome::Temporary(reason()), 0, 0, retry(60_000)),
            (Outcome::Temporary(reason()), 1, 0, retry(900_000)),
            (Outcome::Temporary(reason()), 2, 0, Verdict::Fail(FailCause::Expired, reason())),
            (Outcome::Permanent(reason()), 0, 0, permanent()),
            (no_domain(1_000), 0, 0, retry(60_000)),
            (no_domain(3_600_000), 0, 0, retry(3_600_000)),
            (no_domain(1_000), 1, 0, retry(900_000)),
            (no_domain(1_000), 2, 0, Verdict::Fail(FailCause::Expired, reason())),
            (Outcome::NotTried, 2, 0, Verdict::AtOnce),
            (Outcome::NotTried, 2, 1, pause(1_000)),
            (Outcome::NotTried, 2, 4, pause(8_000)),
            (Outcome::NotTried, 2, 255, pause(60_000)),
            (Outcome::LocalFault(reason()), 2, 0, wait(15_000)),
            (Outcome::LocalFault(reason()), 2, 2, wait(60_000)),
            (Outcome::LocalFault(reason()), 2, 255, wait(120_000)),
            (Outcome::Parked { until_ms: NOW_MS + 60_000 }, 2, 7, pause(60_000)),
            (Outcome::Parked { until_ms: NOW_MS }, 2, 0, pause(1_000)),
            (Outcome::Damaged(reason()), 2, 0, Verdict::Hold(reason())),
            (Outcome::Suspended, 2, 0, Verdict::Park),
        ];
        for (outcome, attempts, uncounted, expected) in cases {
            let found = judge(outcome.clone(), attempts, uncounted, 0, false);
            assert_eq!(found, expected, "{outcome:?} {attempts} {uncounted}");
        }
    }

    #[test]
    fn a_domain_that_is_missing_twice_in_a_row_is_believed() {
        let policy = policy();
        for attempts in [1, 2] {
            let at = Situation { domain_missing: true, ..situation(&policy, attempts, 0) };
            assert_eq!(verdict(no_domain(1_000), at), Verdict::Fail(FailCause::Permanent, reason()));
            let soft = Situation { soft_bounce: true, ..at };
            assert_eq!(verdict(no_domain(1_000), soft), retry(900_000));
        }
    }

    #[test]
    fn what_only_waited_fails_when_it_is_too_old_and_not_before() {
        let limited = Outcome::Limited(Limited { by: Vec::new(), until_ms: 0 });
        for outcome in
            [parked(), Outcome::LocalFault(reason()), Outcome::NotTried, Outcome::Suspended, limited]
        {
            let at_age = |age_ms| judge(outcome.clone(), 0, 3, age_ms, false);
            let waits = matches!(
                at_age(DURING_MS),
                Verdict::Pause(_) | Verdict::WaitForUs(..) | Verdict::Park | Verdict::Limited
            );
            assert!(waits, "{outcome:?}");
            assert!(matches!(at_age(DURING_MS + 1), Verdict::Fail(FailCause::Expired, _)), "{outcome:?}");
        }
        assert_eq!(judge(Outcome::Delivered, 0, 0, DURING_MS + 1, false), Verdict::Done);
    }

    #[test]
    fn nothing_fails_for_good_under_soft_bounce() {
        let soft = |outcome, attempts, age_ms| judge(outcome, attempts, 1, age_ms, true);
        assert_eq!(soft(Outcome::Permanent(reason()), 0, 0), retry(60_000));
        assert_eq!(soft(no_domain(1_000), 7, 0), retry(900_000));
        assert_eq!(soft(Outcome::Temporary(reason()), 2, 0), retry(900_000));
        assert_eq!(soft(Outcome::Temporary(reason()), 0, DURING_MS + 1), retry(60_000));
        assert!(matches!(soft(Outcome::LocalFault(reason()), 0, DURING_MS + 1), Verdict::WaitForUs(..)));
    }
}
