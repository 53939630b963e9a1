//! The simulated driver: many hosts, each with processes of shards, on one thread, one virtual clock, one simulated
//! network and a simulated disk per host. Everything that happens follows from one seed: the order of events, how
//! long each takes, where a stream is cut, what a crash leaves on the disk.
//!
//! The code under test runs unchanged: it sees the same executor, wheel and mesh, and its operations end at
//! [`Port`] instead of a ring. What can go wrong is what real systems do (`sim/disk.rs` and `sim/network.rs` open
//! with the rules). A step is one turn of one thread with few tasks polled, one completion, or one packet; between
//! any two steps the process may be killed or the power cut.
//!
//! ```
//! use std::time::Duration;
//! use engine::disk::{Dir, Durability, OpenOptions};
//! use engine::sim::{Crash, Sim};
//!
//! let mut sim = Sim::new(7);
//! let host = sim.host("server");
//! sim.start(host, 1, |id| async move {
//!     if id != engine::boot::control() {
//!         let dir = Dir::create("/spool".as_ref()).await.expect("a perfect disk");
//!         let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
//!         let file = dir.open_file("log", options).await.expect("created");
//!         dir.sync().await.expect("synced");
//!         let mut buf = engine::buf::AlignedBuf::with_capacity(5);
//!         buf.extend_from_slice(b"hello");
//!         file.write_at(0, buf, Durability::Durable).await.0.expect("written");
//!     }
//! });
//! sim.run_for(Duration::from_secs(1));
//! sim.crash(host, Crash::Power);
//! assert_eq!(sim.read_file(host, "/spool/log").as_deref(), Some(&b"hello"[..]));
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use crate::boot::ShardId;
use crate::driver::Driver;
use crate::op::OpId;
use crate::shard::{Process, Shard};
use crate::time::Instant;

mod disk;
mod execute;
mod image;
mod network;
mod port;
mod random;
mod world;

pub(crate) use port::Port;
use world::{Event, ThreadId, World};

/// Chances and sizes of what can go wrong on a host's disk. All zero: a perfect disk.
#[derive(Clone, Debug, Default)]
pub struct DiskFaults {
    /// Chance that a read fails with EIO.
    pub read_eio: f64,
    /// Chance that a write (or its sync) fails with EIO, leaving any part of it on disk.
    pub write_eio: f64,
    /// Chance that a write is short.
    pub short_write: f64,
    /// Bytes the disk holds; writes that allocate beyond it fail with ENOSPC. 0: no limit.
    pub capacity_bytes: u64,
    /// The file system refuses direct I/O, as tmpfs does: files open buffered.
    pub no_direct: bool,
}

/// Chances of what can go wrong on the network. Streams lose nothing but their connection; late packets are part
/// of every world.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkFaults {
    /// Chance that a datagram is lost.
    pub datagram_loss: f64,
    /// Chance that a datagram arrives twice.
    pub datagram_duplicate: f64,
}

/// What happens to writes that were not durable when a host crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: everything that completed is kept, what was in flight may or may not be.
    Process,
    /// Power loss: of what was not durable, each sector is kept, lost or torn as the seed says.
    Power,
}

/// A host: an address on the network and a disk that outlives its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub u32);

/// A simulated world. While a panic unwinds it prints its seed.
pub struct Sim {
    world: Rc<RefCell<World>>,
    processes: BTreeMap<u64, Threads>,
    steps: u64,
}

/// The threads of one process, the control thread last.
struct Threads {
    host: HostId,
    shards: Vec<Rc<Shard>>,
}

impl Sim {
    /// A world that is a function of `seed`.
    pub fn new(seed: u64) -> Sim {
        Sim { world: Rc::new(RefCell::new(World::new(seed))), processes: BTreeMap::new(), steps: 0 }
    }

    /// A new host with an empty disk and the address 127.0.x.y. For every host 127.0.0.1 is itself.
    pub fn host(&mut self, name: &str) -> HostId {
        self.world.borrow_mut().add_host(name)
    }

    /// The host's address.
    pub fn addr(&self, host: HostId) -> IpAddr {
        self.world.borrow().host(host).addr
    }

    // What can go wrong.

    /// Sets what can go wrong on its disk from now on.
    pub fn disk_faults(&mut self, host: HostId, faults: DiskFaults) {
        self.world.borrow_mut().host_mut(host).disk.set_faults(faults);
    }

    /// Sets what can go wrong on the network from now on.
    pub fn network_faults(&mut self, faults: NetworkFaults) {
        let network = &mut self.world.borrow_mut().network;
        network.datagram_loss = faults.datagram_loss;
        network.datagram_duplicate = faults.datagram_duplicate;
    }

    /// Flips one bit of a file of the host, at rest. Panics when there is no such byte.
    pub fn flip_bit(&mut self, host: HostId, path: &str, offset: u64, bit: u8) {
        let flipped = self.world.borrow_mut().host_mut(host).disk.flip_bit(path, offset, bit);
        assert!(flipped, "{path} has no byte {offset}");
    }

    // The disk from outside.

    /// A file's bytes on the host as a reader sees them (after a power loss: what survived).
    pub fn read_file(&self, host: HostId, path: &str) -> Option<Vec<u8>> {
        self.world.borrow().host(host).disk.content(path)
    }

    /// Replaces a file on the host's disk, durably, with its directories: for planting old or foreign content.
    pub fn write_file(&mut self, host: HostId, path: &str, bytes: &[u8]) {
        self.world.borrow_mut().host_mut(host).disk.plant(path, bytes);
    }

    /// Paths of all files of the host, sorted.
    pub fn files(&self, host: HostId) -> Vec<String> {
        self.world.borrow().host(host).disk.files()
    }

    // Processes.

    /// Starts a process of `shards` shards and a control thread, like [`crate::boot::run`].
    pub fn start<F, Fut>(&mut self, host: HostId, shards: u16, root: F)
    where
        F: Fn(ShardId) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let threads = usize::from(shards) + 1;
        let number = self.world.borrow_mut().start_process(host, threads);
        let process = Process::new(shards);
        let shards: Vec<Rc<Shard>> = (0..=shards)
            .map(|id| {
                let thread = ThreadId { process: number, index: usize::from(id) };
                let mut seed = [0; 32];
                self.world.borrow_mut().random.fill(&mut seed);
                let driver = Driver::Sim(Port::new(self.world.clone(), thread));
                let shard = Shard::new(process.clone(), ShardId(id), driver, seed);
                shard.enter(|| shard.start(root(ShardId(id))));
                self.world.borrow_mut().wake(thread);
                shard
            })
            .collect();
        self.processes.insert(number, Threads { host, shards });
    }

    /// Ends the host's processes at once, with what that does to its disk and its connections.
    pub fn crash(&mut self, host: HostId, crash: Crash) {
        let numbers: Vec<u64> = self
            .processes
            .iter()
            .filter(|(_, threads)| threads.host == host)
            .map(|(&number, _)| number)
            .collect();
        for number in numbers {
            self.end(number, crash);
        }
        self.world.borrow_mut().host_mut(host).disk.crash(crash);
    }

    /// True while any root task of a process of the host runs.
    pub fn is_running(&self, host: HostId) -> bool {
        self.processes.values().any(|threads| threads.host == host)
    }

    /// Somebody sets the wall clock of all hosts, forward or back. The monotonic one goes on.
    pub fn step_wall_clock(&mut self, by_ms: i64) {
        self.world.borrow_mut().step_wall(by_ms * 1000);
    }

    /// Delivers a signal to the host's processes.
    pub fn signal(&mut self, host: HostId, signal: i32) {
        let mut world = self.world.borrow_mut();
        let mut takers = Vec::new();
        for (&process, running) in world.running.iter_mut().filter(|(_, running)| running.host == host) {
            running.signals.push(signal);
            takers.extend(running.signal_taker.map(|(index, id)| (ThreadId { process, index }, id)));
        }
        for (thread, id) in takers {
            world.schedule_op(thread, id, 1, 20);
        }
    }

    /// A peer that is no process: every datagram to `addr` is answered with what `answer` gives (none, one or more).
    pub fn datagram_service(
        &mut self,
        addr: SocketAddr,
        answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + 'static,
    ) {
        self.world.borrow_mut().network.add_responder(addr, Box::new(answer));
    }

    // Time.

    /// The virtual clock.
    pub fn now(&self) -> Instant {
        Instant(self.world.borrow().now_ns)
    }

    /// Runs the world for this much virtual time.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(duration, || false);
    }

    /// Runs until `done` says so (asked after every step); false when `limit` of virtual time passed first.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut() -> bool) -> bool {
        let limit = self.now() + limit;
        while !done() {
            if !self.step_until(limit) {
                self.world.borrow_mut().set_now(limit.0);
                return done();
            }
        }
        true
    }

    /// Runs `steps` single steps (task polls, completions or packets): for crashing at every possible place.
    pub fn step(&mut self, steps: usize) {
        for _ in 0..steps {
            if !self.step_until(Instant(u64::MAX)) {
                return;
            }
        }
    }

    /// Steps taken since the world began.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The seed, for messages.
    pub fn seed(&self) -> u64 {
        self.world.borrow().seed
    }

    /// A hash of all that happened: equal for equal seeds and equal programs.
    pub fn trace(&self) -> u64 {
        self.world.borrow().trace
    }

    /// A random number below `bound` (above 0), for the test's own decisions.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.world.borrow_mut().random.below(bound)
    }

    /// The next event that is due by `limit`; false when there is none.
    fn step_until(&mut self, limit: Instant) -> bool {
        let event = self.world.borrow_mut().next_event(limit.0);
        let Some(event) = event else { return false };
        self.steps += 1;
        match event {
            Event::Turn(thread) => self.turn(thread),
            Event::Op(thread, id) => self.with_op(thread, id, execute::execute),
            Event::Cancel(thread, id) => self.with_op(thread, id, execute::cancel),
            Event::Packet(packet) => {
                let mut world = self.world.borrow_mut();
                world.network.arrive(packet);
                world.pump();
            }
        }
        true
    }

    fn with_op(&mut self, thread: ThreadId, id: OpId, run: fn(&Rc<RefCell<World>>, ThreadId, &Shard, OpId)) {
        let shard = self.shard(thread);
        run(&self.world, thread, &shard, id);
        self.world.borrow_mut().wake(thread);
    }

    /// One turn of one thread: mostly a single task, sometimes all that are ready.
    fn turn(&mut self, thread: ThreadId) {
        let shard = self.shard(thread);
        let limit = match self.world.borrow_mut().random.below(4) {
            0 => usize::MAX,
            _ => 1,
        };
        let polled = shard.enter(|| {
            shard.awake();
            shard.begin_turn();
            shard.poll_ready(limit)
        });
        self.world.borrow_mut().note(polled as u64 ^ (thread.index as u64) << 32);
        if self.processes[&thread.process].shards.iter().all(|shard| shard.root_ended()) {
            self.end(thread.process, Crash::Process);
            return;
        }
        let awake = shard.enter(|| shard.has_work() || !shard.try_sleep());
        if awake {
            self.world.borrow_mut().wake(thread);
        } else if let Some(deadline) = shard.next_deadline() {
            self.world.borrow_mut().schedule_turn(thread, deadline.0);
        }
    }

    fn shard(&self, thread: ThreadId) -> Rc<Shard> {
        self.processes[&thread.process].shards[thread.index].clone()
    }

    /// A process ends. What its tasks do while they are dropped reaches neither disk nor network.
    fn end(&mut self, number: u64, crash: Crash) {
        let Some(threads) = self.processes.remove(&number) else { return };
        let mut world = self.world.borrow_mut();
        let in_flight: Vec<(usize, OpId)> = world.running[&number].in_flight.iter().copied().collect();
        for (index, id) in in_flight {
            let thread = ThreadId { process: number, index };
            execute::abandon(&mut world, thread, &threads.shards[index], id);
        }
        world.end_process(number, crash);
        drop(world);
        for shard in &threads.shards {
            shard.enter(|| shard.clear());
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the seed is what makes a failure repeatable")]
            if let Ok(world) = self.world.try_borrow() {
                let (seed, steps, now_us) = (world.seed, self.steps, world.now_ns / 1000);
                let hosts: Vec<String> =
                    world.hosts.iter().map(|host| format!("{} is {}", host.addr, host.name)).collect();
                eprintln!("simulated world: seed {seed}, step {steps}, {now_us} us in; {}", hosts.join(", "));
            }
            // Dropping tasks in the middle of a panic may panic again, and hide the first.
            std::mem::take(&mut self.processes).into_values().for_each(std::mem::forget);
            return;
        }
        let numbers: Vec<u64> = self.processes.keys().copied().collect();
        for number in numbers {
            self.end(number, Crash::Process);
        }
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("steps", &self.steps).field("world", &self.world).finish()
    }
}

#[cfg(test)]
mod tests;
