//! Whether the shards' loops turn, seen from the control thread without their help.
//!
//! The engine counts the turns of each loop and says whether it waits; a loop that neither turns nor waits stands still. A
//! shard that waits is woken every second, which also has it note and show some of its state: one that does not wake up
//! stands still, too. After [`STALLED`](limits::STALLED) it is said so; after [`STALLED_FOR_GOOD`](limits::STALLED_FOR_GOOD),
//! or before a service manager that watches it would kill it, the process ends itself: its state on disk is whole, and the messages of that shard go on with the next start.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::boot::ShardId;
use engine::mesh;
use engine::stats::Pulse;
use engine::time::Instant;
use hostcalls::Board;
use spool::Admission;

use crate::limits;
use crate::log::{Log, Output, Priority};
use crate::program::Program;
use crate::shard::Shell;

/// What a shard shows of itself.
#[derive(Debug, Default)]
pub struct Shown {
    /// The script that runs.
    pub board: Arc<Board>,
    /// Recipients queued, about a second ago.
    pub queued: AtomicU64,
    /// What was queued before the start is queued here.
    pub loaded: AtomicBool,
    /// It neither accepts nor sends until thawed.
    pub frozen: AtomicBool,
    /// It takes no mail: its part of the spool is full or takes no writes.
    pub closed: AtomicBool,
}

/// A shard that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// For how long, at least.
    pub for_ms: u64,
    /// What it runs: a script with file and line, or nothing that is known.
    pub in_what: Option<String>,
}

impl std::fmt::Display for Stall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = self.in_what.as_deref().unwrap_or("the server's own code");
        write!(f, "for {} ms, in {what}", self.for_ms)
    }
}

/// The heartbeat of all shards; on the control thread.
#[derive(Debug)]
pub struct Heartbeat {
    program: Arc<Program>,
    log: Rc<Log>,
    watch: RefCell<Watch>,
}

impl Heartbeat {
    /// Not running yet. `watchdog`: how long a service manager waits for a sign of life, if there is one that does.
    pub fn new(program: Arc<Program>, log: Rc<Log>, watchdog: Option<Duration>) -> Rc<Heartbeat> {
        // Before the manager does it: this way the log says which shard, and in what.
        let before = watchdog.map_or(limits::STALLED_FOR_GOOD, |watchdog| watchdog * 3 / 4);
        let for_good = before.min(limits::STALLED_FOR_GOOD);
        let watch = RefCell::new(Watch::new(usize::from(program.shards), for_good));
        Rc::new(Heartbeat { program, log, watch })
    }

    /// Looks now and then, for ever.
    pub async fn run(self: Rc<Self>) {
        let mut round = 0;
        loop {
            let findings = self.look();
            for (shard, finding) in findings {
                self.tell(shard, finding).await;
            }
            if round == 0 {
                self.wake_all();
            }
            round = (round + 1) % 4;
            engine::time::sleep(limits::HEARTBEAT).await;
        }
    }

    /// The shard's stall, if it stands still.
    pub fn stall(&self, shard: u16) -> Option<Stall> {
        let for_ms = self.watch.borrow().stalled_ms(usize::from(shard))?;
        Some(Stall { for_ms, in_what: self.runs(shard) })
    }

    /// What the shard runs just now: a script with file and line, where it is one.
    pub fn runs(&self, shard: u16) -> Option<String> {
        self.program.shown[usize::from(shard)].board.read()
    }

    /// How many shards stand still.
    pub fn stalled(&self) -> usize {
        let watch = self.watch.borrow();
        (0..watch.beats.len()).filter(|shard| watch.stalled_ms(*shard).is_some()).count()
    }

    fn look(&self) -> Vec<(u16, Finding)> {
        let pulses = (0..self.program.shards).map(|shard| engine::stats::pulse(ShardId(shard)));
        self.watch.borrow_mut().look(engine::time::now(), pulses)
    }

    async fn tell(&self, shard: u16, finding: Finding) {
        match finding {
            Finding::Stalled => {
                let stall = self.stall(shard).map(|stall| stall.to_string()).unwrap_or_default();
                self.log.line(Priority::Critical, format_args!("shard {shard} stands still {stall}"));
            }
            Finding::Recovered { after_ms } => {
                let text = format_args!("shard {shard} goes on, after {after_ms} ms");
                self.log.line(Priority::Warning, text);
            }
            Finding::ForGood => self.give_up(shard).await,
        }
    }

    /// A shard that has stood still for a minute does not come back, and its sessions and messages with it.
    async fn give_up(&self, shard: u16) {
        let stall = self.stall(shard).map(|stall| stall.to_string()).unwrap_or_default();
        let text = format_args!("shard {shard} stands still {stall}: aborting, to be started anew");
        self.log.line(Priority::Critical, text);
        self.log.flush();
        if let Some(output) = mesh::local::get::<Output>() {
            output.drain(limits::LAST_LINES).await;
        }
        std::process::abort();
    }

    fn wake_all(&self) {
        for shard in (0..self.program.shards).map(ShardId) {
            // The ring to a shard that stands still fills up, which does not matter.
            let _ = mesh::send(shard, note_and_show);
        }
    }
}

/// What a shard does every second.
fn note_and_show() {
    let Some(shard) = Shell::here().shard() else { return };
    shard.stats.history.roll(&shard);
    let shown = shard.shown();
    shown.queued.store(shard.queue.borrow().counts().total() as u64, Ordering::Relaxed);
    shown.frozen.store(shard.is_frozen(), Ordering::Relaxed);
    shown.closed.store(shard.store.admission() != Admission::Open, Ordering::Relaxed);
}

/// What is known of each loop.
#[derive(Debug)]
struct Watch {
    beats: Vec<Beat>,
    last_look: Option<Instant>,
    /// How long a loop stands still that does not come back.
    for_good: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Beat {
    turns: u64,
    /// For how long it has neither turned nor waited.
    still: Duration,
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// A loop stands still; told once.
    Stalled,
    /// It turns again.
    Recovered { after_ms: u64 },
    /// It does not come back.
    ForGood,
}

impl Watch {
    fn new(shards: usize, for_good: Duration) -> Watch {
        Watch { beats: vec![Beat::default(); shards], last_look: None, for_good }
    }

    fn look(&mut self, now: Instant, pulses: impl Iterator<Item = Pulse>) -> Vec<(u16, Finding)> {
        // A process that was stopped as a whole, or a machine that slept, says nothing about its shards.
        let passed = self.last_look.map_or(Duration::ZERO, |last| now - last).min(2 * limits::HEARTBEAT);
        self.last_look = Some(now);
        let mut findings = Vec::new();
        for (number, (beat, pulse)) in (0u16..).zip(self.beats.iter_mut().zip(pulses)) {
            let before = beat.still;
            beat.still = match pulse.asleep || pulse.turns != beat.turns {
                true => Duration::ZERO,
                false => before + passed,
            };
            beat.turns = pulse.turns;
            let crossed = |limit: Duration| before < limit && beat.still >= limit;
            if crossed(limits::STALLED) {
                findings.push((number, Finding::Stalled));
            }
            if crossed(self.for_good) {
                findings.push((number, Finding::ForGood));
            }
            if before >= limits::STALLED && beat.still.is_zero() {
                let after_ms = before.as_millis() as u64;
                findings.push((number, Finding::Recovered { after_ms }));
            }
        }
        findings
    }

    fn stalled_ms(&self, shard: usize) -> Option<u64> {
        let still = self.beats.get(shard)?.still;
        (still >= limits::STALLED).then_some(still.as_millis() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STILL: Pulse = Pulse { turns: 7, asleep: false, mesh_waiting: 0 };

    /// Looks `times` times, a heartbeat apart.
    fn look(watch: &mut Watch, at: &mut Instant, times: u32, pulse: impl Fn(u32) -> Pulse) -> Vec<Finding> {
        let mut found = Vec::new();
        for round in 0..times {
            *at = *at + limits::HEARTBEAT;
            found.extend(watch.look(*at, [pulse(round)].into_iter()).into_iter().map(|(_, finding)| finding));
        }
        found
    }

    #[test]
    fn a_loop_that_neither_turns_nor_waits_is_told_of_once_and_given_up_after_a_minute() {
        let (mut watch, mut at) = (Watch::new(1, limits::STALLED_FOR_GOOD), Instant(0));
        assert_eq!(look(&mut watch, &mut at, 4, |_| STILL), [], "not yet a second");
        assert_eq!(look(&mut watch, &mut at, 1, |_| STILL), [Finding::Stalled]);
        assert_eq!(watch.stalled_ms(0), Some(1000));
        assert_eq!(look(&mut watch, &mut at, 235, |_| STILL), []);
        assert_eq!(look(&mut watch, &mut at, 1, |_| STILL), [Finding::ForGood]);
    }

    #[test]
    fn one_that_goes_on_again_is_told_of() {
        let (mut watch, mut at) = (Watch::new(1, limits::STALLED_FOR_GOOD), Instant(0));
        assert_eq!(look(&mut watch, &mut at, 9, |_| STILL), [Finding::Stalled]);
        let turning = |round: u32| Pulse { turns: 8 + u64::from(round), ..STILL };
        assert_eq!(look(&mut watch, &mut at, 100, turning), [Finding::Recovered { after_ms: 2000 }]);
        assert_eq!(watch.stalled_ms(0), None);
    }

    #[test]
    fn one_that_waits_or_is_busy_does_not_stand_still() {
        let (mut watch, mut at) = (Watch::new(1, limits::STALLED_FOR_GOOD), Instant(0));
        assert_eq!(look(&mut watch, &mut at, 1000, |_| Pulse { asleep: true, ..STILL }), []);
        assert_eq!(look(&mut watch, &mut at, 1000, |round| Pulse { turns: u64::from(round), ..STILL }), []);
    }

    #[test]
    fn a_process_that_was_stopped_as_a_whole_does_not_give_up_its_shards() {
        let (mut watch, mut at) = (Watch::new(1, limits::STALLED_FOR_GOOD), Instant(0));
        look(&mut watch, &mut at, 2, |_| STILL);
        at = at + Duration::from_secs(3600);
        assert_eq!(look(&mut watch, &mut at, 1, |_| STILL), []);
        assert_eq!(watch.stalled_ms(0), None);
    }
}
