//! Live stages: a second running configuration beside the one in force, for a share of the new connections (reference:
//! configuration 7.6).
//!
//! - [`Stage`]: what all threads share of it: who gets it, how many have got it, whether it has ended.
//! - [`Here`]: the stage on one shard; [`OnStage`]: a connection that is on it, until that closes.
//! - [`Deck`]: the stage on the control thread, from its start to its end, with the [`Desk`](hostcalls::debugger::Desk) of its
//!   scripts that stand at breakpoints; [`link`] brings them there.
//!
//! A stage changes what sessions do, and which scripts run for what these sessions queue. Transports, limits of the queue,
//! the resolver and everything else are those of the configuration in force.

mod conditions;
mod deck;
mod here;
pub mod link;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

pub use conditions::Conditions;
pub use deck::{Deck, End, Live, Watching};
pub use here::{Here, OnStage, Staged};

/// A stage, as all threads see it.
#[derive(Debug)]
pub struct Stage {
    /// Its name.
    pub id: Arc<str>,
    /// Tells stages of the process apart.
    pub number: u64,
    conditions: Conditions,
    seed: u64,
    draws: AtomicU64,
    taken: AtomicU64,
    open: AtomicU32,
    ended: AtomicBool,
    watched: AtomicBool,
    printed: bool,
}

impl Stage {
    /// One that nobody is on yet. `seed` decides who gets it where that is left to chance; `printed`: somebody wants to see
    /// what its scripts print.
    pub fn new(id: Arc<str>, number: u64, conditions: Conditions, seed: u64, printed: bool) -> Stage {
        Stage {
            id,
            number,
            conditions,
            seed,
            draws: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            open: AtomicU32::new(0),
            ended: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            printed,
        }
    }

    /// Decides about a connection, once: whether it is on the stage from now on, until [`Stage::leave`].
    pub fn admit(&self, server: usize, client: IpAddr) -> bool {
        if self.is_ended() || !self.conditions.may_take(server, client) || !self.draw() {
            return false;
        }
        self.open.fetch_add(1, Relaxed);
        let most = self.conditions.count;
        let room = |taken: u64| (taken < most).then_some(taken + 1);
        let admitted = self.taken.fetch_update(Relaxed, Relaxed, room).is_ok();
        if !admitted {
            self.leave();
        }
        admitted
    }

    /// A connection that was on it has closed.
    pub fn leave(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// Every draw is another number of one sequence, whichever thread it is on.
    fn draw(&self) -> bool {
        let draw = self.draws.fetch_add(1, Relaxed);
        unit(self.seed, draw) < self.conditions.probability
    }

    /// Connections that were or are on it.
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed).min(self.conditions.count)
    }

    /// Nobody can get it any more, and nobody is on it.
    pub fn is_used_up(&self) -> bool {
        self.taken.load(Relaxed) >= self.conditions.count && self.open.load(Relaxed) == 0
    }

    /// Who gets it.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Whether it takes no connection any more, and its scripts run only for those that are on it.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    /// Whether a debugger waits for its scripts.
    fn is_watched(&self) -> bool {
        self.watched.load(Relaxed) && !self.is_ended()
    }

    fn set_watched(&self, watched: bool) {
        self.watched.store(watched, Relaxed);
    }
}

/// A number from 0 up to 1: the `draw`th of the sequence of `seed` (SplitMix64).
fn unit(seed: u64, draw: u64) -> f64 {
    let mut bits = seed.wrapping_add(draw.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use control::smtpd::ConfigGreenConditions;

    use super::*;

    fn stage(asked: ConfigGreenConditions) -> Stage {
        let conditions = Conditions::read(&asked, &["in", "out"]).expect("they are good");
        Stage::new("t".into(), 1, conditions, 7, false)
    }

    fn client(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn all_kinds_of_conditions_must_hold() {
        let stage = stage(ConfigGreenConditions {
            remoteips: vec!["127.0.0.2".to_owned(), "2001:db8::/32".to_owned()],
            serverids: vec!["out".to_owned()],
            ..ConfigGreenConditions::default()
        });
        for (server, address, expected) in [
            (1, "127.0.0.2", true),
            (1, "::ffff:127.0.0.2", true),
            (1, "2001:db8::1", true),
            (1, "127.0.0.3", false),
            (0, "127.0.0.2", false),
        ] {
            assert_eq!(stage.admit(server, client(address)), expected, "{server} {address}");
        }
        assert_eq!(stage.taken(), 3);
    }

    #[test]
    fn a_share_is_drawn_from_the_seed() {
        let of = |probability| {
            let stage = stage(ConfigGreenConditions { probability: Some(probability), ..Default::default() });
            (0..10_000).map(|_| stage.admit(0, client("192.0.2.1"))).collect::<Vec<_>>()
        };
        let count = |drawn: &[bool]| drawn.iter().filter(|on| **on).count();
        assert_eq!((count(&of(0.0)), count(&of(1.0))), (0, 10_000));
        let quarter = of(0.25);
        assert!((2_300..2_700).contains(&count(&quarter)), "{}", count(&quarter));
        assert_eq!(quarter, of(0.25), "the same seed draws the same");
        assert!(quarter.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_count_holds_over_threads_and_is_used_up_when_the_last_one_leaves() {
        let stage = stage(ConfigGreenConditions { count: Some(100), ..Default::default() });
        let admitted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        admitted.fetch_add(u64::from(stage.admit(0, client("192.0.2.1"))), Relaxed);
                    }
                });
            }
        });
        assert_eq!((admitted.load(Relaxed), stage.taken()), (100, 100));
        for _ in 0..100 {
            assert!(!stage.is_used_up());
            stage.leave();
        }
        assert!(stage.is_used_up());
    }

    #[test]
    fn nobody_gets_a_stage_that_has_ended() {
        let stage = stage(ConfigGreenConditions::default());
        assert!(stage.admit(0, client("192.0.2.1")));
        stage.end();
        assert!(!stage.admit(0, client("192.0.2.1")));
    }
}
