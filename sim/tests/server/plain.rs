//! Days on which little goes wrong.

use std::time::Duration;

use engine::sim::Crash;
use sim::seeds::seeds;
use sim::sink::Mood;
use sim::verdict::Breach;

use crate::world::World;

#[test]
fn messages_go_through_byte_for_byte_and_once() {
    for seed in seeds(3) {
        let mut world = World::new(seed);
        world.start_sink(Mood::default());
        world.start_server(2);
        world.send(60, 4);
        world.finish_client();
        assert_eq!(world.accepted().len(), 60, "seed {seed}");
        if !world.run_until_delivered(Duration::from_secs(60)) {
            world.fail("not all were delivered");
        }
        world.finish();
    }
}

#[test]
fn a_moody_next_hop_gets_everything_in_the_end() {
    for seed in seeds(3) {
        let mut world = World::new(seed);
        world.start_sink(Mood {
            refuses_recipient: 200,
            refuses_message: 100,
            hangs_up: 100,
            takes_and_hangs_up: 50,
            ..Mood::default()
        });
        world.start_server(2);
        world.send(40, 3);
        world.finish_client();
        if !world.run_until_delivered(Duration::from_secs(600)) {
            world.fail("not all were delivered");
        }
        world.finish();
    }
}

/// The wall clock is set by a day, forward or back, while mail waits for a next hop that is away, and once more before a
/// restart: nothing expires (the schedule allows five days), and nothing waits for a day.
#[test]
fn a_step_of_the_wall_clock_neither_expires_mail_nor_holds_it_up() {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    for (seed, step_ms) in seeds(4).zip([DAY_MS, -DAY_MS, 6 * DAY_MS, -6 * DAY_MS]) {
        let mut world = World::with_retry(seed, 30);
        world.start_server(2);
        world.send(20, 2);
        world.finish_client();
        world.sim.run_for(Duration::from_secs(60));
        world.sim.step_wall_clock(step_ms);
        world.sim.run_for(Duration::from_secs(60));
        if seed % 2 == 0 {
            world.crash_server(Crash::Process);
            world.start_server(2);
        }
        world.start_sink(Mood::default());
        if !world.run_until_delivered(Duration::from_secs(600)) {
            world.fail("a step of the clock held mail up");
        }
        world.finish();
    }
}

#[test]
fn one_seed_is_one_history_of_the_whole_server() {
    let history = |seed| {
        let mut world = World::new(seed);
        world.start_sink(Mood { refuses_recipient: 100, ..Mood::default() });
        world.start_server(3);
        world.send(20, 3);
        world.sim.step(3000);
        world.crash_server(Crash::Power);
        world.start_server(2);
        world.finish_client();
        world.run_until_delivered(Duration::from_secs(60));
        (world.sim.trace(), world.sim.steps())
    };
    for seed in seeds(2) {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
}

#[test]
fn the_verdict_sees_a_spool_that_is_not_durable() {
    let lossy = |seed| {
        let mut world = World::new(seed);
        world.start_server(1);
        let text = world.sim.read_file(world.server, "/etc/smtpd.yaml").expect("planted");
        let text =
            String::from_utf8(text).expect("our own text").replace("minfree:", "fsync: false, minfree:");
        world.sim.write_file(world.server, "/etc/smtpd.yaml", text.as_bytes());
        world.crash_server(Crash::Process);
        world.start_server(1);
        world.send(10, 2);
        world.finish_client();
        world.crash_server(Crash::Power);
        world.breaches().iter().any(|breach| matches!(breach, Breach::Lost(_)))
    };
    assert!((0..20).any(lossy), "with fsync: false, power losses lose mail");
}
