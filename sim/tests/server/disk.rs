//! The disk fails, fills up, or forgets.

use std::time::Duration;

use engine::sim::{Crash, DiskFaults};
use sim::seeds::seeds;
use sim::sink::Mood;

use crate::world::World;

/// Starts the server until it stays up: a failing disk may refuse it.
fn start_until_up(world: &mut World, shards: u16) {
    for _ in 0..100 {
        world.start_server(shards);
        world.sim.run_for(Duration::from_millis(200));
        if world.sim.is_running(world.server) {
            return;
        }
    }
    world.fail("the server never stays up");
}

#[test]
fn writes_that_fail_are_answered_451_and_lose_nothing() {
    let mut refused = 0;
    for seed in seeds(30) {
        let mut world = World::new(seed);
        // A settle that cannot be written is written again for as long as it takes.
        world.window = Duration::from_secs(3600);
        world.start_sink(Mood::default());
        world.start_server(2);
        world.sim.run_for(Duration::from_millis(100));
        let server = world.server;
        let faults = DiskFaults { write_eio: 0.03, short_write: 0.03, ..DiskFaults::default() };
        world.sim.disk_faults(server, faults);
        for _ in 0..2 {
            world.send(30, 4);
            let steps = world.sim.below(8000) as usize;
            world.sim.step(steps);
            world.crash_server_somehow();
            start_until_up(&mut world, 2);
            world.finish_client();
        }
        refused += world.refused(451);
        world.sim.disk_faults(server, DiskFaults::default());
        world.finish();
    }
    assert!(refused > 0, "no write failed under a message");
}

#[test]
fn reads_that_fail_only_delay() {
    for seed in seeds(15) {
        let mut world = World::new(seed);
        world.start_server(2);
        world.send(30, 4);
        world.finish_client();
        world.crash_server_somehow();
        let server = world.server;
        world.start_server(2);
        world.sim.run_for(Duration::from_secs(2));
        world.sim.disk_faults(server, DiskFaults { read_eio: 0.2, ..DiskFaults::default() });
        world.start_sink(Mood::default());
        world.sim.run_for(Duration::from_secs(20));
        world.sim.disk_faults(server, DiskFaults::default());
        world.finish();
    }
}

#[test]
fn a_full_disk_accepts_nothing_and_still_delivers_drains_and_restarts() {
    for seed in seeds(5) {
        fill_and_drain(World::with_retry(seed, 3600));
    }
}

/// The records of attempts that failed must not use up what is kept for those that succeed.
#[test]
fn a_full_disk_and_a_dead_next_hop_still_drain_in_the_end() {
    for seed in seeds(5) {
        fill_and_drain(World::with_retry(seed, 1));
    }
}

fn fill_and_drain(mut world: World) {
    let (server, seed) = (world.server, world.sim.seed());
    world.sim.disk_faults(server, DiskFaults { capacity_bytes: 4 << 20, ..DiskFaults::default() });
    world.start_server(1);
    // Nobody takes the mail: it fills the disk.
    for _ in 0..200 {
        world.send(200, 4);
        world.finish_client();
        if world.refused(452) > 0 {
            break;
        }
    }
    assert!(world.refused(452) > 0, "seed {seed}: a full disk must be answered 452");
    let accepted = world.accepted().len();
    assert!(accepted > 50, "seed {seed}: only {accepted} fitted");
    world.crash_server_somehow();
    world.start_server(1);
    world.send(20, 2);
    world.finish_client();
    world.start_sink(Mood::default());
    if !world.run_until_delivered(Duration::from_secs(7200)) {
        world.fail("a full disk must drain");
    }
    // The space comes back.
    world.sim.run_for(Duration::from_secs(60));
    let before = world.accepted().len();
    world.send(20, 2);
    world.finish_client();
    assert_eq!(world.accepted().len(), before + 20, "seed {seed}: mail is taken again");
    world.finish();
}

#[test]
fn flipped_bits_are_set_aside_and_never_sent() {
    for seed in seeds(20) {
        let mut world = World::new(seed);
        world.start_server(1);
        world.send(40, 3);
        world.finish_client();
        world.crash_server(Crash::Process);
        let flips = 1 + world.sim.below(3);
        for _ in 0..flips {
            flip_somewhere(&mut world);
        }
        world.start_sink(Mood::default());
        world.start_server(1);
        world.finish_client();
        world.run_until_delivered(Duration::from_secs(30));
        if world.sim.is_running(world.server) {
            world.stop_server();
        }
        let (damaged, taken) = (world.deliveries.borrow().damaged.len(), world.delivered());
        assert_eq!(damaged, 0, "seed {seed}: damaged mail was sent");
        // A batch is what three sessions had under way.
        let missing = world.accepted().len() - taken;
        if missing > 0 && !world.log_contains("damaged at") {
            world.fail("what is set aside must be in the log");
        }
        assert!(missing as u64 <= 4 * flips, "seed {seed}: {flips} flipped bits cost {missing} messages");
    }
}

/// Flips a bit of what is written in a segment.
fn flip_somewhere(world: &mut World) {
    let segments: Vec<String> = world
        .sim
        .files(world.server)
        .into_iter()
        .filter(|path| path.starts_with("/spool/") && !path.contains("spool.meta") && !path.contains("lock"))
        .collect();
    for _ in 0..10_000 {
        let path = &segments[world.sim.below(segments.len() as u64) as usize];
        let content = world.sim.read_file(world.server, path).expect("it is there");
        if content.is_empty() {
            continue;
        }
        let offset = world.sim.below(content.len() as u64);
        if content[offset as usize] != 0 {
            let bit = world.sim.below(8) as u8;
            world.sim.flip_bit(world.server, path, offset, bit);
            return;
        }
    }
    world.fail("nothing is written anywhere");
}

#[test]
fn a_file_system_without_direct_access_keeps_the_promise_too() {
    for seed in seeds(15) {
        let mut world = World::new(seed);
        let server = world.server;
        world.sim.disk_faults(server, DiskFaults { no_direct: true, ..DiskFaults::default() });
        world.start_sink(Mood::default());
        world.start_server(2);
        world.send(40, 4);
        let steps = world.sim.below(8000) as usize;
        world.sim.step(steps);
        world.crash_server_somehow();
        world.start_server(2);
        world.finish();
    }
}

#[test]
fn a_second_server_on_the_same_spool_is_refused_by_name() {
    let mut world = World::new(1);
    world.start_server(1);
    world.sim.run_for(Duration::from_secs(1));
    let text = world.sim.read_file(world.server, "/etc/smtpd.yaml").expect("planted");
    let text = String::from_utf8(text).expect("our own text").replace("port: 25}", "port: 26}");
    world.sim.write_file(world.server, "/etc/smtpd.yaml", text.as_bytes());
    world.start_server(1);
    world.sim.run_for(Duration::from_secs(5));
    if !world.log_contains("in use by process") {
        world.fail("the second server must say who has the spool");
    }
}

/// Lanes with a connection had gone on: what they delivered could not be written down, and was delivered again.
#[test]
fn nothing_is_begun_while_the_disk_takes_no_writes() {
    for seed in seeds(1) {
        let mut world = World::new(seed);
        world.window = Duration::from_secs(3600);
        world.start_server(1);
        world.sim.run_for(Duration::from_millis(100));
        world.send(600, 20);
        world.finish_client();
        world.start_sink(Mood::default());
        let taken = |world: &World| world.deliveries.borrow().taken.len();
        while taken(&world) < 20 {
            world.sim.run_for(Duration::from_millis(1));
        }
        let server = world.server;
        world.sim.disk_faults(server, DiskFaults { write_eio: 1.0, ..DiskFaults::default() });
        world.sim.run_for(Duration::from_secs(20));
        assert!(taken(&world) < 500, "{} were taken, of which the spool knows nothing", taken(&world));
        world.crash_server(Crash::Process);
        world.sim.disk_faults(server, DiskFaults::default());
        world.start_server(1);
        world.finish();
    }
}
