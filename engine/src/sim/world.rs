//! What the simulated processes stand on: the clock, the events to come, the disks and the network.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};

use super::disk::{Disk, Handle};
use super::network::{Network, Packet, Socket};
use super::random::{Random, mix};
use super::{Crash, HostId};
use crate::op::OpId;

/// Wall clock at the start of every world: 2026-01-01T00:00:00Z.
const EPOCH_US: u64 = 1_767_225_600_000_000;
pub(super) const MICROSECOND_NS: u64 = 1000;

/// One thread of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ThreadId {
    pub(super) process: u64,
    pub(super) index: usize,
}

/// What happens next.
#[derive(Debug)]
pub(super) enum Event {
    /// A thread takes a turn.
    Turn(ThreadId),
    /// An operation may get on.
    Op(ThreadId, OpId),
    /// An operation was cancelled.
    Cancel(ThreadId, OpId),
    /// A packet arrives.
    Packet(Packet),
}

/// What a descriptor's number stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    File(Handle),
    Socket(Socket),
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) addr: IpAddr,
    pub(super) disk: Disk,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) host: HostId,
    /// When each thread takes its next turn, unless something wakes it before.
    next_turn_ns: Vec<Option<u64>>,
    descriptors: BTreeMap<i32, Target>,
    next_descriptor: i32,
    /// Operations that were submitted and have not completed.
    pub(super) in_flight: BTreeSet<(usize, OpId)>,
    /// Operations that wait for their socket.
    waiting: BTreeMap<Socket, BTreeSet<(usize, OpId)>>,
    /// Sockets of connects under way.
    pub(super) connecting: BTreeMap<(usize, OpId), Socket>,
    /// Signals not yet taken, and the operation that takes them.
    pub(super) signals: Vec<i32>,
    pub(super) signal_taker: Option<(usize, OpId)>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) now_ns: u64,
    /// What the wall clock was set forward by.
    wall_step_us: i64,
    pub(super) random: Random,
    pub(super) network: Network,
    pub(super) hosts: Vec<Host>,
    /// Processes that live; what a dead one still asks for is ignored.
    pub(super) running: BTreeMap<u64, Running>,
    /// Due time, chance (the order of what falls on one instant), number.
    order: BinaryHeap<Reverse<(u64, u64, u64)>>,
    events: BTreeMap<u64, Event>,
    next: u64,
    pub(super) trace: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let network = Network::new(random.fork(1));
        World {
            seed,
            now_ns: 0,
            wall_step_us: 0,
            random,
            network,
            hosts: Vec::new(),
            running: BTreeMap::new(),
            order: BinaryHeap::new(),
            events: BTreeMap::new(),
            next: 0,
            trace: mix(seed),
        }
    }

    pub(super) fn add_host(&mut self, name: &str) -> HostId {
        let number = self.hosts.len() as u32;
        let [high, low] = (number as u16 + 257).to_be_bytes();
        let addr = IpAddr::V4(Ipv4Addr::new(127, 0, high, low));
        let disk = Disk::new(self.random.fork(2 + u64::from(number)));
        self.hosts.push(Host { name: name.to_owned(), addr, disk });
        self.network.add_host(addr);
        HostId(number)
    }

    pub(super) fn host_mut(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[host.0 as usize]
    }

    pub(super) fn host(&self, host: HostId) -> &Host {
        &self.hosts[host.0 as usize]
    }

    /// The disk under a process.
    pub(super) fn disk(&mut self, process: u64) -> &mut Disk {
        let host = self.running[&process].host;
        &mut self.host_mut(host).disk
    }

    pub(super) fn host_addr(&self, process: u64) -> IpAddr {
        self.host(self.running[&process].host).addr
    }

    pub(super) fn wall_us(&self) -> u64 {
        (EPOCH_US + self.now_ns / MICROSECOND_NS).saturating_add_signed(self.wall_step_us)
    }

    /// Somebody sets the wall clock.
    pub(super) fn step_wall(&mut self, by_us: i64) {
        self.wall_step_us += by_us;
    }

    /// The clock moves on with nothing happening.
    pub(super) fn set_now(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        self.network.set_now(now_ns);
    }

    pub(super) fn start_process(&mut self, host: HostId, threads: usize) -> u64 {
        let process = self.number();
        self.network.host_up(self.host(host).addr);
        self.running.insert(
            process,
            Running {
                host,
                next_turn_ns: vec![None; threads],
                descriptors: BTreeMap::new(),
                next_descriptor: 3,
                in_flight: BTreeSet::new(),
                waiting: BTreeMap::new(),
                connecting: BTreeMap::new(),
                signals: Vec::new(),
                signal_taker: None,
            },
        );
        process
    }

    /// The process is gone: what it had open closes.
    pub(super) fn end_process(&mut self, process: u64, crash: Crash) {
        let running = self.running.remove(&process).expect("it was running");
        let host = self.host_mut(running.host);
        let addr = host.addr;
        host.disk.end_process(process);
        self.network.end_process(process, addr, crash);
        self.pump();
    }

    // Events.

    pub(super) fn schedule(&mut self, at_ns: u64, event: Event) {
        let number = self.number();
        let chance = self.random.next();
        self.order.push(Reverse((at_ns.max(self.now_ns), chance, number)));
        self.events.insert(number, event);
    }

    /// The next event that is due by `limit_ns`; the clock moves there.
    pub(super) fn next_event(&mut self, limit_ns: u64) -> Option<Event> {
        loop {
            let &Reverse((at_ns, _, number)) = self.order.peek()?;
            if at_ns > limit_ns {
                return None;
            }
            self.order.pop();
            let event = self.events.remove(&number).expect("every number in the order has its event");
            if self.is_stale(&event, at_ns) {
                continue;
            }
            self.set_now(at_ns);
            self.note(at_ns);
            return Some(event);
        }
    }

    fn is_stale(&mut self, event: &Event, at_ns: u64) -> bool {
        match event {
            Event::Turn(thread) => match self.running.get_mut(&thread.process) {
                Some(running) if running.next_turn_ns[thread.index] == Some(at_ns) => {
                    running.next_turn_ns[thread.index] = None;
                    false
                }
                _ => true,
            },
            Event::Op(thread, id) | Event::Cancel(thread, id) => !self
                .running
                .get(&thread.process)
                .is_some_and(|running| running.in_flight.contains(&(thread.index, *id))),
            Event::Packet(_) => false,
        }
    }

    /// A thread takes a turn at `at_ns`, or before if that was already said.
    pub(super) fn schedule_turn(&mut self, thread: ThreadId, at_ns: u64) {
        let at_ns = at_ns.max(self.now_ns);
        let Some(running) = self.running.get_mut(&thread.process) else { return };
        let next = &mut running.next_turn_ns[thread.index];
        if next.is_none_or(|planned| planned > at_ns) {
            *next = Some(at_ns);
            self.schedule(at_ns, Event::Turn(thread));
        }
    }

    /// A thread has something to do soon.
    pub(super) fn wake(&mut self, thread: ThreadId) {
        let delay = self.random.between(200, 20 * MICROSECOND_NS);
        self.schedule_turn(thread, self.now_ns + delay);
    }

    pub(super) fn schedule_op(&mut self, thread: ThreadId, id: OpId, low_us: u64, high_us: u64) {
        let delay = self.random.between(low_us * MICROSECOND_NS, high_us * MICROSECOND_NS);
        self.schedule(self.now_ns + delay, Event::Op(thread, id));
    }

    /// Takes over what the network has put on its way, and wakes who waits for a socket.
    pub(super) fn pump(&mut self) {
        for (at_ns, packet) in self.network.take_scheduled() {
            self.schedule(at_ns, Event::Packet(packet));
        }
        for socket in self.network.take_ready() {
            let waiters: Vec<(u64, (usize, OpId))> = self
                .running
                .iter_mut()
                .filter_map(|(&process, running)| Some((process, running.waiting.remove(&socket)?)))
                .flat_map(|(process, waiters)| waiters.into_iter().map(move |waiter| (process, waiter)))
                .collect();
            for (process, (index, id)) in waiters {
                self.schedule_op(ThreadId { process, index }, id, 1, 20);
            }
        }
    }

    /// The operation gets on when something happens at its socket.
    pub(super) fn wait_for(&mut self, thread: ThreadId, id: OpId, socket: Socket) {
        if let Some(running) = self.running.get_mut(&thread.process) {
            running.waiting.entry(socket).or_default().insert((thread.index, id));
        }
    }

    // Descriptors.

    pub(super) fn open(&mut self, process: u64, target: Target) -> i32 {
        let running = self.running.get_mut(&process).expect("only a running process opens");
        let raw = running.next_descriptor;
        running.next_descriptor += 1;
        running.descriptors.insert(raw, target);
        raw
    }

    pub(super) fn target(&self, process: u64, raw: i32) -> Option<Target> {
        self.running.get(&process)?.descriptors.get(&raw).copied()
    }

    pub(super) fn close(&mut self, process: u64, raw: i32) {
        let Some(running) = self.running.get_mut(&process) else { return };
        match running.descriptors.remove(&raw) {
            Some(Target::File(handle)) => self.disk(process).close(handle),
            Some(Target::Socket(socket)) => {
                running.waiting.remove(&socket);
                self.network.close(socket);
                self.pump();
            }
            None => panic!("descriptor {raw} closed twice (seed {})", self.seed),
        }
    }

    // The trace: a hash of all that happened, to tell two runs apart.

    pub(super) fn note(&mut self, value: u64) {
        self.trace = mix(self.trace ^ value).wrapping_add(value);
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
