//! What an attempt found out about hosts that were no use to it, and what that means for its mail.

use std::net::IpAddr;

use queue::{Diagnosis, Outcome, Reason};

use super::dial::Unusable;
use super::next_hop::Candidate;
use super::paths::{self, Paths};
use super::policies::{self, Refusal};
use super::report::Report;
use crate::limits;

/// What became of the hosts that were no use.
#[derive(Default)]
pub(super) struct Failures {
    /// One of them: the host's fault. The last word counts.
    pub(super) theirs: Option<Reason>,
    /// A fault of ours kept us from one of them.
    pub(super) ours: Option<Reason>,
    /// There is no way from here to the family of one of them, as on a host without IPv6.
    pub(super) no_route: Option<Reason>,
    /// The earliest time at which a parked one may be tried.
    pub(super) parked_until_ms: Option<u64>,
    pub(super) suspended: bool,
    /// What policies refused.
    pub(super) limited: Vec<Refusal>,
    /// Our addresses that they refused for the host that is tried.
    pub(super) refused_sources: Vec<IpAddr>,
    /// DNS did not say now where another one is.
    pub(super) unknown: Option<Reason>,
    /// One of them lacks what the message needs. That is final when there was no more to any of the others.
    pub(super) unfit: Option<Report>,
}

impl Failures {
    /// Policies refused a connect from `source`.
    pub(super) fn refused(&mut self, refusal: Refusal, source: Option<IpAddr>) {
        let by_source = refusal.by.key.fields().contains(queue::Field::LocalIp);
        self.refused_sources.extend(source.filter(|_| by_source));
        if self.limited.len() < limits::REFUSALS_MAX {
            self.limited.push(refusal);
        }
    }

    pub(super) fn note(&mut self, unusable: Unusable, candidate: &Candidate) {
        match unusable {
            Unusable::Host(reason)
            | Unusable::Refused(reason)
            | Unusable::NoTls(reason, _)
            | Unusable::NoImplicitTls(reason, _) => self.theirs = Some(reason),
            Unusable::Ours(reason) => self.ours = Some(reason),
            Unusable::NoRoute(reason) => {
                Paths::here().note_unreachable(candidate.address.is_ipv6());
                self.no_route = Some(reason);
            }
        }
    }

    pub(super) fn report(mut self) -> Report {
        let unfit = self.unfit.take();
        let another_may_do = self.unknown.is_some()
            || self.theirs.is_some()
            || self.ours.is_some()
            || self.no_route.is_some()
            || self.parked_until_ms.is_some()
            || self.suspended;
        unfit.filter(|_| !another_may_do).unwrap_or_else(|| Report::for_all(self.outcome()))
    }

    /// Only what a host itself did counts as an attempt, and only where no other one is left to hope for: not one that DNS
    /// does not tell of now, nor one that a fault of ours keeps us from. A family that this host does not have is no hope.
    fn outcome(self) -> Outcome {
        match self {
            Failures { unknown: Some(reason), .. } => Outcome::LocalFault(reason),
            Failures { ours: Some(reason), .. } => Outcome::LocalFault(reason),
            Failures { theirs: Some(reason), .. } => Outcome::Temporary(reason),
            Failures { no_route: Some(reason), .. } => Outcome::LocalFault(reason),
            Failures { limited, .. } if !limited.is_empty() => policies::outcome(limited),
            Failures { parked_until_ms: Some(until_ms), .. } => {
                let wait_ms = until_ms.saturating_sub(paths::now_ms());
                Outcome::Parked { until_ms: engine::time::steady_ms().saturating_add(wait_ms) }
            }
            Failures { suspended: true, .. } => Outcome::Suspended,
            // RFC 3463: 4.4.4 unable to route.
            _ => Outcome::Temporary(Diagnosis::new("no host to connect to").with_enhanced(4, 4, 4).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_did_counts_only_where_no_fault_of_ours_kept_us_from_another_one() {
        let reason = |text: &str| Some(Reason::from(text));
        let local = |text: &str| Outcome::LocalFault(text.into());
        let theirs = || Failures { theirs: reason("refused"), ..Failures::default() };
        let cases = [
            (theirs(), Outcome::Temporary("refused".into())),
            (Failures { ours: reason("no source"), ..theirs() }, local("no source")),
            (Failures { unknown: reason("SERVFAIL"), ..theirs() }, local("SERVFAIL")),
            // On a host without IPv6 nothing would ever count.
            (Failures { no_route: reason("unreachable"), ..theirs() }, Outcome::Temporary("refused".into())),
            (Failures { no_route: reason("unreachable"), ..Failures::default() }, local("unreachable")),
        ];
        for (failures, expected) in cases {
            assert_eq!(failures.outcome(), expected);
        }
    }
}
