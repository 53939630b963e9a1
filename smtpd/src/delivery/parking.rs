//! Which ways to hosts are worth a connect: the memory of dead hosts.
//!
//! A *path* leads from one of our addresses to an address and port of a host. After [`FAILURES_TO_PARK`] failures in a
//! row it is *parked*: nobody connects for a minute, then one probe does, and when that fails, too, the next period is
//! twice as long, up to an hour. A path that has not been used lately gets few connects at once until one of them
//! has come through, so that a host that is dead costs few connects however much mail waits for it.
//!
//! Pure: one [`Parking`] holds the paths that a shard owns, and the time is an argument. What it has decided reaches
//! the other shards as a [`Standing`]; `paths.rs` carries it there.

use std::net::{IpAddr, SocketAddr};

use rustc_hash::FxHashMap;

use crate::limits;

/// Failures in a row after which a path is parked.
const FAILURES_TO_PARK: u32 = 3;

/// The first period of parking, and the longest.
const PERIOD_FIRST_MS: u64 = 60_000;
const PERIOD_LONGEST_MS: u64 = 3_600_000;

/// Connects at once over a path that is not proven.
const UNPROVEN_CONNECTS: u32 = 2;

/// How long after its last success a path counts as proven.
pub(super) const PROVEN_MS: u64 = 600_000;

/// How long others wait for connects that are to prove a path, from the first of them on.
pub(super) const PROOF_PATIENCE_MS: u64 = 1_000;

/// A probe that began longer ago is over: no time-out of connect, greeting and EHLO together is longer.
const PROBE_LONGEST_MS: u64 = 1_200_000;

/// When mail that did not wait for a proof looks again.
const LOOK_AGAIN_MS: u64 = 10_000;

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Path {
    /// Our address; `None`: what the system chooses.
    pub(super) source: Option<IpAddr>,
    /// Address and port of the host.
    pub(super) remote: SocketAddr,
}

/// The answer to somebody who wants to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The path is proven.
    Free,
    /// Connect, and report how it went: the path is on probation.
    Probe,
    /// Others are finding out: ask again when that is over, in a moment.
    Wait,
    /// Not before this time.
    Skip {
        /// Milliseconds of the clock that the calls are given.
        until_ms: u64,
    },
}

/// What all shards are told of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is known: ask the owner.
    Unproven,
    /// Connect freely.
    Proven,
    /// Connect freely, and report a success: there have been failures.
    Doubtful,
    /// Do not connect before this time.
    Parked {
        /// Milliseconds of the clock that the calls are given.
        until_ms: u64,
    },
}

/// What is new after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) standing: Standing,
    /// It was parked by this very failure, for so long.
    pub(super) parked_for_ms: Option<u64>,
}

/// The paths that one shard owns.
#[derive(Debug, Default)]
pub(super) struct Parking {
    paths: FxHashMap<Path, State>,
    swept_ms: u64,
}

/// What is known of a path: about 100 bytes.
#[derive(Debug)]
struct State {
    failures: u32,
    /// Connects under way that are to prove it.
    probes: u32,
    /// When the first of them began.
    probing_since_ms: u64,
    /// Last success.
    proven_ms: Option<u64>,
    parked: Option<Parked>,
    touched_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Parked {
    until_ms: u64,
    period_ms: u64,
}

impl Parking {
    /// Somebody wants to connect.
    pub(super) fn admit(&mut self, path: Path, now_ms: u64) -> Admission {
        if !self.paths.contains_key(&path) && !self.make_room(now_ms) {
            // More hosts than we can remember: better one connect too many than mail that waits.
            return Admission::Free;
        }
        let state = self.paths.entry(path).or_insert_with(|| State::new(now_ms));
        state.touched_ms = now_ms;
        let connects = match state.parked {
            Some(Parked { until_ms, .. }) if now_ms < until_ms => return Admission::Skip { until_ms },
            Some(_) => 1,
            None if state.is_proven(now_ms) => return Admission::Free,
            None => UNPROVEN_CONNECTS,
        };
        if now_ms.saturating_sub(state.probing_since_ms) > PROBE_LONGEST_MS {
            // Their reports were lost.
            state.probes = 0;
        }
        if state.probes < connects {
            if state.probes == 0 {
                state.probing_since_ms = now_ms;
            }
            state.probes += 1;
            return Admission::Probe;
        }
        if now_ms.saturating_sub(state.probing_since_ms) < PROOF_PATIENCE_MS {
            Admission::Wait
        } else {
            Admission::Skip { until_ms: now_ms + LOOK_AGAIN_MS }
        }
    }

    /// The host has greeted us. `probe`: the connect was a [`Admission::Probe`]. True when it had been parked.
    pub(super) fn succeeded(&mut self, path: Path, probe: bool, now_ms: u64) -> bool {
        if !self.paths.contains_key(&path) && !self.make_room(now_ms) {
            return false;
        }
        let state = self.paths.entry(path).or_insert_with(|| State::new(now_ms));
        state.end_probe(probe, now_ms);
        state.failures = 0;
        state.proven_ms = Some(now_ms);
        state.parked.take().is_some()
    }

    /// The connect, greeting or EHLO has failed for a reason that lies with the host.
    pub(super) fn failed(&mut self, path: Path, probe: bool, now_ms: u64) -> Failed {
        if !self.paths.contains_key(&path) && !self.make_room(now_ms) {
            return Failed { standing: Standing::Unproven, parked_for_ms: None };
        }
        let state = self.paths.entry(path).or_insert_with(|| State::new(now_ms));
        state.end_probe(probe, now_ms);
        let period_ms = match state.parked {
            // A connect that was begun before: it says nothing new.
            Some(Parked { until_ms, .. }) if !probe || now_ms < until_ms => {
                return Failed { standing: Standing::Parked { until_ms }, parked_for_ms: None };
            }
            Some(Parked { period_ms, .. }) => (period_ms * 2).min(PERIOD_LONGEST_MS),
            None => {
                state.failures += 1;
                if state.failures < FAILURES_TO_PARK {
                    let proven = state.is_proven(now_ms);
                    let standing = if proven { Standing::Doubtful } else { Standing::Unproven };
                    return Failed { standing, parked_for_ms: None };
                }
                PERIOD_FIRST_MS
            }
        };
        let until_ms = now_ms + period_ms;
        state.parked = Some(Parked { until_ms, period_ms });
        state.proven_ms = None;
        Failed { standing: Standing::Parked { until_ms }, parked_for_ms: Some(period_ms) }
    }

    /// A connect ended without saying anything about the host: given up, or a fault of ours.
    pub(super) fn abandoned(&mut self, path: Path, probe: bool, now_ms: u64) {
        if let Some(state) = self.paths.get_mut(&path) {
            state.end_probe(probe, now_ms);
        }
    }

    /// Room for one more path: when there is none, those that say nothing any more are forgotten, at most once a minute.
    fn make_room(&mut self, now_ms: u64) -> bool {
        if self.paths.len() < limits::PATHS_MAX {
            return true;
        }
        if now_ms.saturating_sub(self.swept_ms) < PERIOD_FIRST_MS {
            return false;
        }
        self.swept_ms = now_ms;
        self.paths.retain(|_, state| state.probes > 0 || !state.is_stale(now_ms));
        self.paths.len() < limits::PATHS_MAX
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.paths.len()
    }
}

impl State {
    fn new(now_ms: u64) -> State {
        State {
            failures: 0,
            probes: 0,
            probing_since_ms: now_ms,
            proven_ms: None,
            parked: None,
            touched_ms: now_ms,
        }
    }

    fn is_proven(&self, now_ms: u64) -> bool {
        self.proven_ms.is_some_and(|proven_ms| now_ms.saturating_sub(proven_ms) < PROVEN_MS)
    }

    fn end_probe(&mut self, probe: bool, now_ms: u64) {
        self.touched_ms = now_ms;
        if probe {
            self.probes = self.probes.saturating_sub(1);
        }
    }

    /// Nobody would miss it: not parked, and not used for a while.
    fn is_stale(&self, now_ms: u64) -> bool {
        let over = self.parked.is_none_or(|parked| now_ms > parked.until_ms + PERIOD_LONGEST_MS);
        over && now_ms.saturating_sub(self.touched_ms) > PERIOD_FIRST_MS
    }
}

#[cfg(test)]
mod tests;
