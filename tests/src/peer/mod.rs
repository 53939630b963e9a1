//! A next hop that does exactly what the test says.
//!
//! - [`Peer`]: listens on loopback and records what it is given.
//! - [`Behaviour`]: what it offers and how it answers; [`Rule`]s make the exceptions, phase by phase.
//! - [`Connection`] and [`Message`]: what it has seen.
//!
//! ```no_run
//! use tests::peer::{Behaviour, Peer, Phase, Rule};
//! // Takes 20 messages on a connection, then closes it without a word; the first RCPT of all is refused for now.
//! let peer = Peer::start(
//!     Behaviour::new()
//!         .rule(Rule::at(Phase::Dot).on_each_connection().nth(20).reply_then_close("250 2.0.0 taken"))
//!         .rule(Rule::at(Phase::Rcpt).nth(1).reply("451 4.2.1 later")),
//! );
//! ```

mod behaviour;
mod dialogue;
mod record;
#[cfg(test)]
mod tests;
mod wire;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

pub use behaviour::{Action, Behaviour, Phase, Rule, Tls, TlsFault};
pub use record::{Connection, Message, TlsSeen};

use crate::wait_until;
use behaviour::Counters;
use record::Records;

/// Connections served at once; further ones wait to be accepted. Each has a thread.
const THREADS_MAX: usize = 1024;

/// A next hop on loopback. Ends with the test.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<(Arc<Behaviour>, Counters)>,
    records: Mutex<Records>,
    changed: Condvar,
    open: AtomicUsize,
    stopped: Mutex<bool>,
    stop: Condvar,
}

impl Peer {
    /// Starts one on a free port of 127.0.0.1.
    pub fn start(behaviour: Behaviour) -> Peer {
        Peer::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), behaviour)
    }

    /// Starts one at this address; port 0 stands for a free one.
    ///
    /// # Panics
    /// When the address cannot be had.
    pub fn start_at(address: SocketAddr, behaviour: Behaviour) -> Peer {
        let listener = TcpListener::bind(address).expect("a loopback address with a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            behaviour: Mutex::new((Arc::new(behaviour), Counters::default())),
            records: Mutex::default(),
            changed: Condvar::new(),
            open: AtomicUsize::new(0),
            stopped: Mutex::new(false),
            stop: Condvar::new(),
        });
        let state = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &state));
        Peer { address, shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does from now on, on open connections too. Counts of rules begin anew.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = (Arc::new(behaviour), Counters::default());
    }

    /// The messages it has taken so far.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.shared.records).messages.clone()
    }

    /// How many messages it has taken so far.
    pub fn message_count(&self) -> usize {
        lock(&self.shared.records).messages.len()
    }

    /// All connections so far, in the order of their coming, the open ones too.
    pub fn connections(&self) -> Vec<Connection> {
        lock(&self.shared.records).connections.clone()
    }

    /// How many connections there were so far.
    pub fn connection_count(&self) -> usize {
        lock(&self.shared.records).connections.len()
    }

    /// How often a command with this verb came, on all connections (`DATA`, `RCPT`).
    pub fn command_count(&self, verb: &str) -> usize {
        let records = lock(&self.shared.records);
        records.connections.iter().map(|connection| connection.command_count(verb)).sum()
    }

    /// Most connections that were open at once.
    pub fn open_max(&self) -> usize {
        lock(&self.shared.records).open_max
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Waits until it has taken `count` messages, and gives them.
    ///
    /// # Panics
    /// When they do not come within a minute.
    pub fn wait_for(&self, count: usize) -> Vec<Message> {
        let records = lock(&self.shared.records);
        let (records, _) = self
            .shared
            .changed
            .wait_timeout_while(records, Duration::from_secs(60), |records| records.messages.len() < count)
            .expect("no test thread panics while it records");
        assert!(records.messages.len() >= count, "{} of {count} messages came", records.messages.len());
        records.messages.clone()
    }

    /// Waits until its connections, so far, satisfy `enough`.
    ///
    /// # Panics
    /// When they do not within 20 seconds; shows them.
    pub fn wait_until(&self, enough: impl Fn(&[Connection]) -> bool) {
        let came = wait_until(Duration::from_secs(20), || enough(&lock(&self.shared.records).connections));
        assert!(came, "not in time; connections: {:#?}", self.connections());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        *lock(&self.shared.stopped) = true;
        self.shared.stop.notify_all();
        // Wakes the accept, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().map_while(Result::ok) {
        while shared.open.load(Ordering::SeqCst) >= THREADS_MAX && !shared.is_stopped() {
            std::thread::sleep(Duration::from_millis(10));
        }
        if shared.is_stopped() {
            break;
        }
        let Ok(source) = stream.peer_addr() else { continue };
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        let number = lock(&shared.records).connected(source, open);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            dialogue::serve(stream, source.ip(), number, &shared);
            shared.record(|records| records.connections[number].closed = true);
        });
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        *lock(&self.stopped)
    }

    /// Sleeps this long, or until the peer ends.
    fn pause(&self, time: Duration) {
        let stopped = lock(&self.stopped);
        drop(self.stop.wait_timeout_while(stopped, time, |stopped| !*stopped));
    }

    /// Sleeps as long as this is the behaviour, or until the peer ends.
    fn pause_while(&self, behaviour: &Arc<Behaviour>) {
        while Arc::ptr_eq(behaviour, &self.behaviour()) && !*lock(&self.stopped) {
            self.pause(Duration::from_millis(20));
        }
    }

    fn behaviour(&self) -> Arc<Behaviour> {
        Arc::clone(&lock(&self.behaviour).0)
    }

    /// What a rule says about this moment. `text` is the command, or the recipient.
    fn exception(&self, phase: Phase, connection: usize, text: &str) -> Option<Action> {
        let mut behaviour = lock(&self.behaviour);
        let (behaviour, counters) = &mut *behaviour;
        counters.exception(behaviour, phase, connection, text)
    }

    fn record(&self, change: impl FnOnce(&mut Records)) {
        change(&mut lock(&self.records));
        self.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test thread panics while it holds a lock")
}
