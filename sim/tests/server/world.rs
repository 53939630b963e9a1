//! Three hosts: client, server, sink.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::sim::{Crash, HostId, NetworkFaults, Sim};
use engine::time::Instant;
use sim::client::{self, Answer, Ledger, Load};
use sim::mail::Number;
use sim::sink::{self, Deliveries, Mood};
use sim::verdict::{self, Breach};
use smtpd::log::Target;
use smtpd::program::Program;

use crate::leftover;
use crate::nameserver::{self, Health};

/// Segments small enough that a few hundred messages fill, seal and recycle some.
pub(crate) const SEGMENT_BYTES: u64 = 256 << 10;
pub(crate) const SPOOL: &str = "/spool";

/// One simulated deployment and what is known of it.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) client: HostId,
    pub(crate) server: HostId,
    pub(crate) sink: HostId,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) deliveries: Rc<RefCell<Deliveries>>,
    pub(crate) ends: Vec<Instant>,
    /// See [`verdict::SETTLE_WINDOW`].
    pub(crate) window: Duration,
    /// Of the name server, where there is one.
    pub(crate) resolver: Rc<Cell<Health>>,
    /// See [`Load::domains`].
    pub(crate) domains: u64,
    log: Arc<Mutex<Vec<String>>>,
    next: Number,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World::with_retry(seed, 1)
    }

    /// Deferred messages are tried again after this many seconds.
    pub(crate) fn with_retry(seed: u64, retry_s: u32) -> World {
        let mut world = World::empty(seed);
        world.configure(&every(retry_s), &world.to_sink(), "");
        world
    }

    /// The configuration says nothing of retries.
    pub(crate) fn without_retry(seed: u64) -> World {
        let mut world = World::empty(seed);
        world.configure("", &world.to_sink(), "");
        world
    }

    fn to_sink(&self) -> String {
        format!("server: {}, port: {}", self.sim.addr(self.sink), sink::PORT)
    }

    /// The next hop is found by MX: a name server that loses queries gives first a host where nobody listens, then
    /// the sink.
    pub(crate) fn with_mx(seed: u64) -> World {
        let mut world = World::empty(seed);
        let (client, sink) = (world.sim.addr(world.client), world.sim.addr(world.sink));
        let host = world.sim.host("nameserver");
        let address = SocketAddr::new(world.sim.addr(host), 53);
        world.sim.datagram_service(address, nameserver::service(client, sink, Rc::clone(&world.resolver)));
        world.sim.network_faults(NetworkFaults { datagram_loss: 0.2, datagram_duplicate: 0.1 });
        let resolver = format!("resolver: {{servers: [\"{address}\"]}}\n");
        world.configure(&every(1), &format!("port: {}", sink::PORT), &resolver);
        world
    }

    /// As [`World::with_mx`], on a network that loses nothing; recipients are spread over so many domains.
    pub(crate) fn with_domains(seed: u64, domains: u64) -> World {
        let mut world = World::with_mx(seed);
        world.sim.network_faults(NetworkFaults::default());
        world.domains = domains;
        world
    }

    fn empty(seed: u64) -> World {
        let mut sim = Sim::new(seed);
        let (client, server, sink) = (sim.host("client"), sim.host("server"), sim.host("sink"));
        World {
            sim,
            client,
            server,
            sink,
            ledger: Rc::default(),
            deliveries: Rc::default(),
            ends: Vec::new(),
            window: verdict::SETTLE_WINDOW,
            resolver: Rc::default(),
            domains: 0,
            log: Arc::default(),
            next: 0,
        }
    }

    fn configure(&mut self, retry: &str, connection: &str, more: &str) {
        let running = format!(
            "version: \"6.10\"\n\
             servers:\n  - id: default\n    transport: out\n    hostname: mx.test\n\
             transportgroups:\n  - id: default\n{retry}    \
             transports:\n      - id: out\n        connection: {{{connection}}}\n{more}",
        );
        let startup = format!(
            "version: \"6.10\"\n\
             servers:\n  - id: default\n    listeners:\n      - {{address: {address}, port: 25}}\n\
             spool: {{path: \"{SPOOL}\", minfree: {{bytes: 0, inodes: 0}}}}\n\
             environment: {{appconf: /etc/app.yaml, suspendconf: /etc/suspend.yaml}}\n",
            address = self.sim.addr(self.server),
        );
        self.sim.write_file(self.server, "/etc/smtpd.yaml", startup.as_bytes());
        self.sim.write_file(self.server, "/etc/app.yaml", running.as_bytes());
    }

    /// More top-level keys of the startup file.
    pub(crate) fn add_to_startup_file(&mut self, yaml: &str) {
        let mut text = self.sim.read_file(self.server, "/etc/smtpd.yaml").expect("it was configured");
        text.extend_from_slice(yaml.as_bytes());
        self.sim.write_file(self.server, "/etc/smtpd.yaml", &text);
    }

    pub(crate) fn start_sink(&mut self, mood: Mood) {
        sink::start(&mut self.sim, self.sink, mood, &self.deliveries);
    }

    /// A next hop that greets and never says a word after that: messages stay in flight.
    pub(crate) fn start_silent_sink(&mut self) {
        let addr = SocketAddr::new(self.sim.addr(self.sink), sink::PORT);
        self.sim.start(self.sink, 0, move |_| async move {
            let listener = engine::net::Listener::bind(addr, 0).expect("the port is free");
            let mut taken = Vec::new();
            loop {
                let conn = listener.accept().await.expect("a listener accepts");
                conn.send(bytes::Bytes::from_static(b"220 sink.test ESMTP\r\n")).await.expect("it reads");
                conn.recv().await.expect("it says EHLO");
                conn.send(bytes::Bytes::from_static(b"250 sink.test\r\n")).await.expect("it reads");
                taken.push(conn);
            }
        });
    }

    /// Starts the server as its program does, on what is configured now.
    pub(crate) fn start_server(&mut self, shards: u16) {
        let read = |path: &Path| {
            let bytes = self.sim.read_file(self.server, &path.to_string_lossy()).expect("planted above");
            Ok(String::from_utf8(bytes).expect("our own text"))
        };
        let options = config::Options::default();
        let startup = config::load_startup_file("/etc/smtpd.yaml".as_ref(), &read, &options);
        let startup = startup.expect("our own configuration").value;
        let target = Target::Memory(self.log.clone());
        let mut program = Program::new(startup, false, target, "mx.test".to_owned(), shards, None);
        program.tune_spool = Some(|options| options.segment_bytes = SEGMENT_BYTES);
        let program = Arc::new(program);
        self.sim.start(self.server, shards, move |id| Arc::clone(&program).run(id));
    }

    /// Ends the server where it stands.
    pub(crate) fn crash_server(&mut self, crash: Crash) {
        self.sim.crash(self.server, crash);
        self.ends.push(self.sim.now());
    }

    pub(crate) fn crash_server_somehow(&mut self) {
        let crash = if self.sim.below(2) == 0 { Crash::Process } else { Crash::Power };
        self.crash_server(crash);
    }

    /// Starts a client that sends `messages` more.
    pub(crate) fn send(&mut self, messages: u64, sessions: u64) {
        let server = SocketAddr::new(self.sim.addr(self.server), 25);
        let load =
            Load { server, first: self.next, messages, sessions, per_session: 8, domains: self.domains };
        self.next += messages;
        client::start(&mut self.sim, self.client, load, &self.ledger);
    }

    /// Runs until the client has tried all; panics when that takes an hour.
    pub(crate) fn finish_client(&mut self) {
        for _ in 0..3600 {
            if !self.sim.is_running(self.client) {
                return;
            }
            self.sim.run_for(Duration::from_secs(1));
        }
        self.fail("the client never ended");
    }

    /// Numbers answered 250.
    pub(crate) fn accepted(&self) -> Vec<Number> {
        let accepted = |answer: &Answer| matches!(answer, Answer::Accepted(_));
        self.ledger
            .borrow()
            .iter()
            .filter(|(_, answer)| accepted(answer))
            .map(|(&number, _)| number)
            .collect()
    }

    /// How many were refused with this code.
    pub(crate) fn refused(&self, code: u16) -> usize {
        self.ledger.borrow().values().filter(|&&answer| answer == Answer::Refused(code)).count()
    }

    pub(crate) fn delivered(&self) -> usize {
        self.deliveries.borrow().taken.len()
    }

    /// Runs until all that was accepted is delivered, at most so long.
    pub(crate) fn run_until_delivered(&mut self, limit: Duration) -> bool {
        let accepted = self.accepted();
        let deliveries = self.deliveries.clone();
        let mut missing = accepted.len();
        self.sim.run_until(limit, || {
            let deliveries = deliveries.borrow();
            let arrived = |number: &Number| {
                deliveries.taken.contains_key(number) || deliveries.reports.contains_key(number)
            };
            while missing > 0 && arrived(&accepted[missing - 1]) {
                missing -= 1;
            }
            missing == 0
        })
    }

    /// Stops the server as an operator does; panics when it does not end.
    pub(crate) fn stop_server(&mut self) {
        self.sim.signal(self.server, libc::SIGTERM);
        for _ in 0..600 {
            if !self.sim.is_running(self.server) {
                self.ends.push(self.sim.now());
                return;
            }
            self.sim.run_for(Duration::from_secs(1));
        }
        self.fail("the server does not stop");
    }

    /// Lets everything be delivered, stops the server, and holds what was promised against what happened and what
    /// is still in the spool. Gives the reports that came, by the number of what they are about.
    pub(crate) fn finish(mut self) -> BTreeMap<Number, usize> {
        self.finish_client();
        // On hold is as good as delivered, but never comes: do not wait for long.
        self.run_until_delivered(Duration::from_secs(120));
        self.stop_server();
        let found = self.breaches();
        if !found.is_empty() {
            self.fail(&format!("{found:#?}"));
        }
        self.deliveries.take().reports
    }

    /// What is wrong now; the server must not run.
    pub(crate) fn breaches(&mut self) -> Vec<Breach> {
        let left = leftover::read(&mut self.sim, self.server, SPOOL);
        let deliveries = self.deliveries.borrow();
        // A report is as good as a delivery.
        let mut found =
            verdict::breaches(&self.ledger.borrow(), &deliveries, &self.ends, self.window, |number| {
                left.numbers.contains(&number) || deliveries.reports.contains_key(&number)
            });
        drop(deliveries);
        if self.log_contains("cannot write") {
            // The write failed, and so did the record that would have taken it back: nobody can know what is there.
            found.retain(|breach| !matches!(breach, Breach::Refused(_)));
        }
        found
    }

    /// How many log lines so far have this in them.
    pub(crate) fn log_count(&self, text: &str) -> usize {
        self.log.lock().expect("one thread").iter().filter(|line| line.contains(text)).count()
    }

    pub(crate) fn log_contains(&self, text: &str) -> bool {
        self.log.lock().expect("one thread").iter().any(|line| line.contains(text))
    }

    /// Panics with what helps.
    pub(crate) fn fail(&self, what: &str) -> ! {
        let log = self.log.lock().expect("one thread");
        let tail = log[log.len().saturating_sub(80)..].join("\n");
        let len = |path: &String| self.sim.read_file(self.server, path).map_or(0, |bytes| bytes.len());
        let files: Vec<String> =
            self.sim.files(self.server).iter().map(|path| format!("{path} {}", len(path))).collect();
        panic!(
            "seed {}: {what}\n--- the server's files:\n{}\n--- its last words:\n{tail}",
            self.sim.seed(),
            files.join("\n"),
        );
    }
}

/// A retry block: again after so many seconds, for long.
fn every(retry_s: u32) -> String {
    format!("    retry: {{count: 100000, intervals: [{{interval: {retry_s}}}]}}\n")
}
