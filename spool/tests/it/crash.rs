//! Thousands of crashes at random places, on a disk that loses, tears and refuses writes.
//!
//! A model beside the store knows what was promised: what was acknowledged must be found again, in one of the states
//! that were asked for since the last durable one; nothing else may be found.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::boot;
use engine::rng;
use engine::sim::{Crash, DiskFaults, HostId, Sim};
use engine::task::{self, Class};
use engine::time;
use spool::{Admission, ItemState, MessageId, Options, ReadError, Recovered, Settle, Spool, Store};

use crate::support::{envelope, item, number, options, recovered, try_accept, whole};

/// What the model knows of a message.
#[derive(Debug)]
struct Known {
    len: usize,
    id: Option<MessageId>,
    acknowledged: bool,
    /// It was acknowledged to its client: not only found at a start, as one may be whose write failed halfway.
    promised: bool,
    /// The client was told 4xx while the store could write: it must not be found.
    refused: bool,
    /// Found in this start.
    seen: bool,
    items: Vec<Vec<State>>,
}

/// States an item may be found in: the last durable one, and those asked for since.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Active,
    RetryAt(u64),
    Hold(u64),
    Done,
}

impl State {
    fn settle(&self) -> Settle {
        match self {
            State::Active => Settle::Active,
            State::RetryAt(at_ms) => {
                Settle::RetryAt { at_ms: *at_ms, attempts: 1, reply: Bytes::from_static(b"450 not now") }
            }
            State::Hold(reason) => Settle::Hold { reason: Bytes::from(format!("reason {reason}")) },
            State::Done => Settle::Done,
        }
    }

    fn of(found: &ItemState) -> State {
        match found {
            ItemState::Active => State::Active,
            ItemState::RetryAt { at_ms, .. } => State::RetryAt(*at_ms),
            ItemState::Hold { reason } => {
                let text = std::str::from_utf8(reason).expect("ours");
                State::Hold(text.strip_prefix("reason ").and_then(|n| n.parse().ok()).unwrap_or(u64::MAX))
            }
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    messages: BTreeMap<u64, Known>,
    next: u64,
    /// Counts what happened, to see that the test tests something.
    accepted: u64,
    refused: u64,
    settled: u64,
    found: u64,
    loaded: usize,
    unhealthy: bool,
    stats: spool::Stats,
}

type Shared = Rc<RefCell<Model>>;

/// How a world behaves.
#[derive(Clone, Debug)]
struct Plan {
    options: Options,
    /// Chance, in percent, that a settle is the last one.
    done_percent: u64,
    /// Mail in flight per shard.
    clients: u64,
    body_max: u64,
}

/// The process: opens the spool on the control thread, then one store per shard.
fn start(sim: &mut Sim, host: HostId, plan: &Plan, model: &Shared) {
    let spool: Rc<RefCell<Option<Arc<Spool>>>> = Rc::default();
    let (plan, model) = (plan.clone(), model.clone());
    model.borrow_mut().loaded = 0;
    sim.start(host, plan.options.shards, move |id| {
        let (spool, plan, model) = (spool.clone(), plan.clone(), model.clone());
        async move {
            if id == boot::control() {
                loop {
                    match Spool::open(plan.options.clone()).await {
                        Ok(opened) => break *spool.borrow_mut() = Some(opened),
                        Err(error @ spool::OpenError::Io { .. }) => retry_open(&error).await,
                        Err(error) => panic!("{error}"),
                    }
                }
                time::sleep(Duration::from_secs(100_000)).await;
            }
            let spool = loop {
                let opened = spool.borrow().clone();
                match opened {
                    Some(spool) => break spool,
                    None => time::sleep(Duration::from_millis(1)).await,
                }
            };
            let store = loop {
                match Store::open(&spool, id.0).await {
                    Ok(store) => break store,
                    Err(error @ spool::OpenError::Io { .. }) => retry_open(&error).await,
                    Err(error) => panic!("{error}"),
                }
            };
            for client in 0..plan.clients {
                let (store, plan, model) = (store.clone(), plan.clone(), model.clone());
                drop(task::spawn(Class::Interactive, async move {
                    let _ = client;
                    loop {
                        send(&store, &plan, &model).await;
                    }
                }));
            }
            let found = recovered(&store).await;
            for message in &found {
                check_found(&model, message);
            }
            model.borrow_mut().loaded += 1;
            for message in found {
                deliver(&store, &plan, &model, number(&message.envelope), message.id).await;
            }
            loop {
                time::sleep(Duration::from_millis(50)).await;
                let stats = store.stats();
                let mut model = model.borrow_mut();
                model.unhealthy |= stats.admission == Admission::Unhealthy;
                model.stats = stats;
            }
        }
    });
}

async fn retry_open(error: &spool::OpenError) {
    if std::env::var("SPOOL_LOG").is_ok() {
        println!("{error}");
    }
    time::sleep(Duration::from_millis(5)).await;
}

/// A client: offers a message, then something happens to its recipients.
async fn send(store: &Rc<Store>, plan: &Plan, model: &Shared) {
    let len = if rng::below(4) == 0 { rng::below(plan.body_max) } else { rng::below(3000) } as usize;
    let recipients = if rng::below(3) == 0 { 1 + rng::below(4) as u32 } else { 1 };
    let number = {
        let mut model = model.borrow_mut();
        model.next += 1;
        let number = model.next;
        let items = vec![vec![State::Active]; recipients as usize];
        let known =
            Known { len, id: None, acknowledged: false, promised: false, refused: false, seen: false, items };
        model.messages.insert(number, known);
        number
    };
    match try_accept(store, number, recipients, len).await {
        Ok(id) => {
            {
                let mut model = model.borrow_mut();
                model.accepted += 1;
                let known = model.messages.get_mut(&number).expect("known");
                known.acknowledged = true;
                known.promised = true;
                known.id = Some(id);
            }
            deliver(store, plan, model, number, id).await;
        }
        Err(_) => {
            {
                let mut model = model.borrow_mut();
                model.refused += 1;
                let certain = store.admission() != Admission::Unhealthy && !model.unhealthy;
                model.messages.get_mut(&number).expect("known").refused = certain;
            }
            time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn deliver(store: &Rc<Store>, plan: &Plan, model: &Shared, number: u64, id: MessageId) {
    let Some(len) = model.borrow().messages.get(&number).map(|known| known.len) else { return };
    if rng::below(3) == 0 {
        store.release_body(id);
    }
    if rng::below(2) == 0 {
        check_body(store, model, number, id, len).await;
    }
    let Some(recipients) = model.borrow().messages.get(&number).map(|known| known.items.len() as u32) else {
        return;
    };
    for recipient in 0..recipients {
        let state = match rng::below(100) {
            chance if chance < plan.done_percent => State::Done,
            chance if chance < plan.done_percent + (100 - plan.done_percent) / 3 => {
                State::Hold(rng::below(1000))
            }
            chance if chance < 97 => State::RetryAt(rng::below(1_000_000)),
            _ => State::Active,
        };
        if rng::below(4) == 0
            && let Some(marked) = store.attempt(&[item(id, recipient)])
        {
            let _ = marked.await;
        }
        {
            let mut model = model.borrow_mut();
            let Some(known) = model.messages.get_mut(&number) else { return };
            let known = &mut known.items[recipient as usize];
            if known.last() == Some(&State::Done) {
                continue;
            }
            known.push(state.clone());
        }
        let durable = store.settle(vec![(item(id, recipient), state.settle())]);
        let (model, state) = (model.clone(), state);
        let wait = async move {
            if durable.await.is_ok() {
                let mut model = model.borrow_mut();
                model.settled += 1;
                let Some(known) = model.messages.get_mut(&number) else { return };
                let states = &mut known.items[recipient as usize];
                if let Some(at) = states.iter().position(|known| *known == state) {
                    states.drain(..at);
                }
            }
        };
        if rng::below(2) == 0 {
            wait.await;
        } else {
            drop(task::spawn(Class::Interactive, wait));
        }
    }
}

async fn check_body(store: &Rc<Store>, model: &Shared, number: u64, id: MessageId, len: usize) {
    let mut reader = store.body(id);
    let mut all = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(bytes)) => all.extend_from_slice(&bytes),
            Ok(None) => break assert!(all == whole(number, len), "message {number}: other bytes"),
            Err(ReadError::Io(_)) => return,
            // Nobody was promised that it is there, and a write of it has failed.
            Err(ReadError::Corrupt) if !is_promised(model, number) => return,
            Err(error) => panic!("message {number} ({id}): {error:?}"),
        }
    }
}

fn is_promised(model: &Shared, number: u64) -> bool {
    model.borrow().messages.get(&number).is_some_and(|known| known.promised)
}

/// A found message is one that was offered, whole, in a state that was asked for.
fn check_found(model: &Shared, message: &Recovered) {
    let mut model = model.borrow_mut();
    model.found += 1;
    let number = number(&message.envelope);
    let known = model
        .messages
        .get_mut(&number)
        .unwrap_or_else(|| panic!("nobody sent message {number} ({})", message.id));
    assert!(!known.refused, "message {number} was refused, and is found");
    assert!(known.id.is_none_or(|id| id == message.id), "message {number} is found twice");
    let recipients = known.items.len() as u32;
    assert_eq!(message.envelope, envelope(number, recipients));
    let mut live = BTreeSet::new();
    for found in &message.items {
        live.insert(found.recipient);
        let states = &mut known.items[found.recipient as usize];
        let state = State::of(&found.state);
        let aborted = state == State::Hold(u64::MAX);
        assert!(
            aborted || states.contains(&state),
            "message {number} ({}), recipient {}: found {state:?} of {states:?}",
            message.id,
            found.recipient
        );
        // A hold after aborts is only the start's advice until it is durable: the next start may find what was before.
        if aborted {
            states.push(state);
        } else {
            *states = vec![state];
        }
    }
    for (recipient, states) in known.items.iter_mut().enumerate() {
        if !live.contains(&(recipient as u32)) {
            assert!(
                states.contains(&State::Done),
                "message {number}, recipient {recipient}: lost, {states:?}"
            );
            *states = vec![State::Done];
        }
    }
    assert!(!known.seen, "message {number} is found twice");
    known.seen = true;
    known.id = Some(message.id);
    known.acknowledged = true;
}

/// All found: what was acknowledged and is not among them must be done.
fn check_lost(model: &Shared) {
    let mut model = model.borrow_mut();
    model.messages.retain(|number, known| {
        let may_be_done = known.items.iter().all(|states| states.contains(&State::Done));
        let seen = std::mem::take(&mut known.seen);
        assert!(seen || !known.acknowledged || may_be_done, "message {number} is lost: {known:?}");
        seen
    });
}

struct World {
    sim: Sim,
    host: HostId,
    model: Shared,
    plan: Plan,
}

impl World {
    fn new(seed: u64, plan: Plan) -> World {
        let mut sim = Sim::new(seed);
        let host = sim.host("server");
        World { sim, host, model: Shared::default(), plan }
    }

    /// Starts, lets it find everything without faults, checks, goes on for a while with faults, and crashes.
    fn round(&mut self, faults: &DiskFaults, steps: usize, crash: Crash) {
        self.model.borrow_mut().unhealthy = false;
        let none = DiskFaults { capacity_bytes: faults.capacity_bytes, ..DiskFaults::default() };
        self.sim.disk_faults(self.host, none);
        let before: Vec<u64> = self.model.borrow().messages.keys().copied().collect();
        start(&mut self.sim, self.host, &self.plan, &self.model);
        let (model, shards) = (self.model.clone(), usize::from(self.plan.options.shards));
        if std::env::var("SPOOL_DUMP").is_ok() {
            crate::support::dump(&self.sim, self.host);
        }
        let loaded = self.sim.run_until(Duration::from_secs(600), || model.borrow().loaded == shards);
        assert!(loaded, "does not load");
        self.check_lost(&before);
        self.sim.disk_faults(self.host, faults.clone());
        self.sim.step(steps);
        self.sim.crash(self.host, crash);
    }

    /// Messages of earlier starts only: others are under way.
    fn check_lost(&mut self, before: &[u64]) {
        let later: Vec<u64> = {
            let model = self.model.borrow();
            model.messages.keys().copied().filter(|number| before.binary_search(number).is_err()).collect()
        };
        let mut set_aside = BTreeMap::new();
        for number in later {
            let known = self.model.borrow_mut().messages.remove(&number).expect("listed");
            set_aside.insert(number, known);
        }
        check_lost(&self.model);
        self.model.borrow_mut().messages.extend(set_aside);
    }
}

fn plan(shards: u16) -> Plan {
    Plan { options: options("/spool", shards), done_percent: 90, clients: 4, body_max: 60_000 }
}

fn random_steps(seed: u64, round: u64, max: u64) -> usize {
    let mixed = (seed.wrapping_mul(1000) + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17;
    (mixed % max) as usize
}

fn run(seeds: std::ops::Range<u64>, rounds: u64, make: impl Fn(u64) -> (Plan, DiskFaults), shards: &[u16]) {
    let (mut accepted, mut settled, mut found) = (0, 0, 0);
    for seed in seeds {
        let (plan, faults) = make(seed);
        let mut world = World::new(seed, plan);
        for round in 0..rounds {
            world.plan.options.shards = shards[(round as usize) % shards.len()];
            let crash = if (seed + round) % 2 == 0 { Crash::Power } else { Crash::Process };
            let max = if round % 3 == 0 { 300 } else { 4000 };
            world.round(&faults, random_steps(seed, round, max), crash);
        }
        let model = world.model.borrow();
        accepted += model.accepted;
        settled += model.settled;
        found += model.found;
    }
    assert!(accepted > 0 && settled > 0 && found > 0, "the test tests nothing");
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("SPOOL_SEED").ok().and_then(|seed| seed.parse::<u64>().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_power_fails_at_any_place() {
    run(seeds(60), 12, |_| (plan(1), DiskFaults::default()), &[1]);
}

#[test]
fn held_mail_survives_compaction_and_crashes() {
    let make = |_| {
        let mut plan = plan(1);
        plan.done_percent = 60;
        (plan, DiskFaults::default())
    };
    run(seeds(30), 12, make, &[1]);
}

#[test]
fn failed_and_short_writes_refuse_mail_and_lose_nothing() {
    let make = |seed| {
        let chance = [0.002, 0.02, 0.2][(seed % 3) as usize];
        (plan(1), DiskFaults { write_eio: chance, short_write: chance, ..DiskFaults::default() })
    };
    run(seeds(60), 12, make, &[1]);
}

fn some_writes_fail() -> DiskFaults {
    DiskFaults { write_eio: 0.02, short_write: 0.02, ..DiskFaults::default() }
}

/// A message whose copy was done came back: the first segment could not go, and the index of the copy's says nothing of it.
#[test]
fn what_was_moved_and_done_does_not_come_back_from_where_it_was() {
    run(184..185, 12, |_| (plan(1), some_writes_fail()), &[1]);
}

/// A message came back that was done while it was copied: that was on its way to the disk when the copy was there, the write
/// failed, and what was written again knew nothing of the copy.
#[test]
fn what_is_done_while_it_is_moved_is_done_though_the_write_fails() {
    run(1690..1691, 12, |_| (plan(1), some_writes_fail()), &[1]);
}

#[test]
fn a_full_disk_refuses_mail_and_loses_nothing() {
    let make = |_| (plan(1), DiskFaults { capacity_bytes: 3 << 20, ..DiskFaults::default() });
    run(seeds(30), 12, make, &[1]);
}

#[test]
fn logs_are_found_by_any_number_of_shards_with_a_kill_at_each_step() {
    run(seeds(12), 12, |_| (plan(1), DiskFaults::default()), &[1, 8, 2, 3]);
}
