//! Tests of whole programs against each other, in the simulator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::sim::Sim;

use crate::crew::{self, Reports};
use crate::floor;
use crate::load;
use crate::sink;
use crate::sink::Counts;
use crate::sink::options::Mode;
use crate::tally::Tally;

const PORT: u16 = 2525;
const LIMIT: Duration = Duration::from_secs(600);
const SIGTERM: i32 = 15;

/// Runs a load against a sink, both with two shards; ends the sink once the load has ended.
fn load_into_sink(
    seed: u64,
    load: impl Fn(&mut load::options::Options),
    sink: impl Fn(&mut sink::options::Options),
) -> (Tally, Counts) {
    let mut sim = Sim::new(seed);
    let (receiver, sender) = (sim.host("sink"), sim.host("load"));
    let address = SocketAddr::new(sim.addr(receiver), PORT);

    let mut options = sink::options::Options::new(address);
    options.threads = 2;
    sink(&mut options);
    let received = Reports::default();
    let job = Arc::new(sink::Job::new(options).unwrap());
    sim.start(receiver, 2, crew::root(&received, move |id, stop| sink::shard(Arc::clone(&job), id, stop)));
    sim.run_for(Duration::from_millis(100));

    let mut options = load::options::Options::new(address);
    (options.threads, options.messages, options.connections) = (2, Some(60), 5);
    load(&mut options);
    let (sent, threads) = (Reports::default(), options.threads);
    let job = load::Job::new(options).unwrap();
    sim.start(sender, threads, crew::root(&sent, move |id, stop| load::shard(job.clone(), id, stop)));

    run_to_end(&mut sim, sender);
    sim.signal(receiver, SIGTERM);
    run_to_end(&mut sim, receiver);
    (load::sum(sent.take()).0, sink::sum(received.take()).unwrap())
}

fn run_to_end(sim: &mut Sim, host: engine::sim::HostId) {
    for _ in 0..LIMIT.as_secs() {
        if !sim.is_running(host) {
            return;
        }
        sim.run_for(Duration::from_secs(1));
    }
    panic!("seed {}: it does not end", sim.seed());
}

#[test]
fn every_message_arrives_once_and_whole() {
    for (seed, pipelining, per_connection) in
        [(1, true, None), (2, true, Some(1)), (3, false, None), (4, false, Some(7))]
    {
        let set = |options: &mut load::options::Options| {
            options.mix = "600:2,2048:2,40000".parse().unwrap();
            options.shape.recipients = 3;
            (options.pipelining, options.per_connection) = (pipelining, per_connection);
        };
        let (tally, counts) = load_into_sink(seed, set, |_| {});
        assert_eq!((tally.ok, tally.failed), (60, 0), "seed {seed}: {:?}", tally.failures);
        assert_eq!((counts.messages, counts.recipients, counts.bytes), (60, 180, tally.bytes), "seed {seed}");
        assert_eq!((counts.corrupt, counts.duplicates, counts.foreign), (0, 0, 0), "seed {seed}");
        assert_eq!(tally.after_dot.count(), 60);
        let connections = match per_connection {
            Some(1) => 60,
            Some(_) => counts.connections,
            None => 5,
        };
        assert_eq!(tally.connections, connections, "seed {seed}");
    }
}

#[test]
fn refusals_are_failures_of_their_message_only() {
    for (mode, named, pipelining) in
        [(Mode::Defer, "RCPT: 451 4.3.0", true), (Mode::Reject, "RCPT: 550 5.7.1", false)]
    {
        let (tally, counts) = load_into_sink(
            5,
            |options| options.pipelining = pipelining,
            |options| (options.mode, options.every) = (mode, 3),
        );
        assert_eq!(tally.ok, counts.messages);
        assert_eq!(tally.ok + tally.failed, 60);
        assert_eq!(tally.failed, counts.deferred + counts.rejected);
        assert!((18..=20).contains(&tally.failed), "{} of 60 in two shards", tally.failed);
        assert!(tally.failures.keys().all(|kind| kind.starts_with(named)), "{:?}", tally.failures);
    }
}

#[test]
fn a_dropped_connection_fails_its_message_and_the_next_one_goes_over_a_new_connection() {
    let (tally, counts) =
        load_into_sink(6, |_| {}, |options| (options.mode, options.every) = (Mode::Drop, 10));
    assert_eq!((tally.ok, tally.failed), (counts.messages, counts.dropped));
    // A connection that was dropped at the very end is not opened again.
    let most = 5 + counts.dropped;
    assert!(counts.dropped >= 4 && (most - 5..=most).contains(&tally.connections), "{}", tally.connections);
    assert_eq!(tally.failures.keys().collect::<Vec<_>>(), ["data: connection closed"]);
}

#[test]
fn an_open_loop_keeps_its_rate_and_a_slow_server_shows_in_its_latency() {
    let set = |options: &mut load::options::Options| {
        options.rate_per_s = Some(10.0);
        (options.threads, options.connections) = (1, 1);
    };
    let (quick, _) = load_into_sink(7, set, |_| {});
    assert!(quick.transaction.quantile_us(0.9) < 100_000, "{}", quick.text(1.0));
    // Three waits of 100 ms for each message that is due every 100 ms: the last ones wait for all before them.
    let (slow, _) = load_into_sink(7, set, |options| options.delay = Duration::from_millis(100));
    assert_eq!(slow.ok, 60);
    assert!(slow.transaction.quantile_us(1.0) > 5_000_000, "{}", slow.transaction.quantile_us(1.0));
    assert!(slow.after_dot.quantile_us(0.5) < 300_000, "{}", slow.text(1.0));
}

#[test]
fn idle_sessions_are_held_and_still_answer() {
    let (tally, counts) = load_into_sink(
        8,
        |options| {
            options.idle = Some(Duration::from_secs(30));
            options.connections = 50;
        },
        |_| {},
    );
    assert_eq!((tally.ok, tally.failed, counts.connections, counts.messages), (50, 0, 50, 0));
}

#[test]
fn a_load_without_a_server_ends() {
    let mut sim = Sim::new(9);
    let sender = sim.host("load");
    let mut options = load::options::Options::new(SocketAddr::new(sim.addr(sender), PORT));
    options.reconnect = Duration::from_secs(3);
    let sent = Reports::default();
    let job = load::Job::new(options).unwrap();
    sim.start(sender, 1, crew::root(&sent, move |id, stop| load::shard(job.clone(), id, stop)));
    run_to_end(&mut sim, sender);
    let (tally, elapsed_s) = load::sum(sent.take());
    assert_eq!(tally.ok, 0);
    assert!(tally.failures.keys().all(|kind| kind.starts_with("connect: ")), "{:?}", tally.failures);
    assert!((3.0..10.0).contains(&elapsed_s), "{elapsed_s}");
}

#[test]
fn the_floor_stores_and_forwards_what_the_generator_sends() {
    for (seed, pipelining, relay) in
        [(10, true, false), (11, false, false), (12, true, true), (13, false, true)]
    {
        let mut sim = Sim::new(seed);
        let (middle, receiver, sender) = (sim.host("floor"), sim.host("sink"), sim.host("load"));
        sim.write_file(middle, "/store/x", b"");
        let next = SocketAddr::new(sim.addr(receiver), PORT);
        let address = SocketAddr::new(sim.addr(middle), PORT);

        let received = Reports::default();
        let job = Arc::new(sink::Job::new(sink::options::Options::new(next)).unwrap());
        sim.start(
            receiver,
            1,
            crew::root(&received, move |id, stop| sink::shard(Arc::clone(&job), id, stop)),
        );

        let stored = Reports::default();
        let line = format!("--dir /store -s 30000 -r 2 --out 3 {address}");
        let mut options =
            floor::options::Options::parse(lexopt::Parser::from_args(line.split(' '))).unwrap().unwrap();
        (options.pipelining, options.relay) = (pipelining, relay.then_some(next));
        let job = Arc::new(floor::Job::new(options));
        sim.start(middle, 1, crew::root(&stored, move |id, stop| floor::shard(Arc::clone(&job), id, stop)));
        sim.run_for(Duration::from_secs(10));

        let mut options = load::options::Options::new(address);
        (options.messages, options.connections, options.pipelining) = (Some(100), 30, pipelining);
        (options.mix, options.shape.recipients) = ("30000".parse().unwrap(), 2);
        let sent = Reports::default();
        let job = load::Job::new(options).unwrap();
        sim.start(sender, 1, crew::root(&sent, move |id, stop| load::shard(job.clone(), id, stop)));
        run_to_end(&mut sim, sender);
        sim.run_for(Duration::from_secs(5));
        for host in [middle, receiver] {
            sim.signal(host, SIGTERM);
            run_to_end(&mut sim, host);
        }

        let tally = load::sum(sent.take()).0;
        assert_eq!((tally.ok, tally.failed), (100, 0), "seed {seed}: {:?}", tally.failures);
        let counts = floor::sum(stored.take()).unwrap();
        assert_eq!(counts.messages, 100);
        assert!(counts.batches < 100, "{} writes for 100 messages of 30 connections", counts.batches);
        let arrived = sink::sum(received.take()).unwrap();
        assert_eq!(arrived.messages, if relay { 100 } else { 0 }, "seed {seed}");
        assert_eq!((arrived.corrupt, arrived.duplicates), (0, 0));
        assert_eq!(sim.files(middle), ["/store/x"], "its file is gone");
    }
}
