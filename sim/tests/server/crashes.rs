//! The server dies: killed, or its power cut, at any step.

use std::time::Duration;

use engine::sim::Crash;
use sim::seeds::seeds;
use sim::sink::Mood;

use crate::world::World;

/// Lets the world run to a place that the seed chooses: mostly close, sometimes far.
fn somewhere(world: &mut World) {
    let most = [50, 500, 3000, 12_000][world.sim.below(4) as usize];
    let steps = world.sim.below(most) as usize;
    world.sim.step(steps);
}

#[test]
fn what_was_answered_250_survives_crashes_at_any_step() {
    for seed in seeds(60) {
        let mut world = World::new(seed);
        world.start_sink(Mood {
            refuses_recipient: 50,
            refuses_message: 50,
            hangs_up: 20,
            ..Mood::default()
        });
        let shards = 1 + world.sim.below(3) as u16;
        world.start_server(shards);
        world.send(40, 4);
        for _ in 0..1 + world.sim.below(4) {
            somewhere(&mut world);
            world.crash_server_somehow();
            let pause = world.sim.below(500);
            world.sim.run_for(Duration::from_millis(pause));
            world.start_server(shards);
        }
        world.finish();
    }
}

#[test]
fn what_fails_for_good_is_reported_whatever_crashes_come() {
    for seed in seeds(40) {
        let mut world = World::new(seed);
        world.start_sink(Mood { fails_every: 2, refuses_recipient: 50, ..Mood::default() });
        let shards = 1 + world.sim.below(3) as u16;
        world.start_server(shards);
        world.send(40, 4);
        let crashes = 1 + world.sim.below(4) as usize;
        for _ in 0..crashes {
            somewhere(&mut world);
            world.crash_server_somehow();
            world.start_server(shards);
        }
        // What was neither delivered nor reported, and is not queued any more, is lost.
        let reports = world.finish();
        // A crash can forget that a report was stored, and that the same report was delivered (decision 0023).
        assert!(reports.values().all(|times| *times <= 1 + 2 * crashes), "seed {seed}: {reports:?}");
        assert!(reports.keys().all(|number| number % 2 == 0), "seed {seed}: {reports:?}");
    }
}

#[test]
fn crashes_during_start_and_recovery_lose_nothing() {
    for seed in seeds(30) {
        let mut world = World::new(seed);
        world.start_server(2);
        world.send(30, 4);
        world.finish_client();
        world.crash_server_somehow();
        for _ in 0..6 {
            world.start_server(2);
            let steps = world.sim.below(600) as usize;
            world.sim.step(steps);
            world.crash_server_somehow();
        }
        world.start_sink(Mood::default());
        world.start_server(2);
        world.finish();
    }
}

#[test]
fn the_number_of_shards_may_change_at_each_crash() {
    for seed in seeds(15) {
        let mut world = World::new(seed);
        for shards in [1, 8, 2, 3] {
            world.start_server(shards);
            world.send(25, 4);
            world.finish_client();
            world.crash_server_somehow();
        }
        world.start_sink(Mood::default());
        world.start_server(3);
        if !world.run_until_delivered(Duration::from_secs(120)) {
            world.fail("not all were delivered");
        }
        world.finish();
    }
}

#[test]
fn a_dead_next_hop_and_a_dead_client_hurt_nobody() {
    for seed in seeds(10) {
        let mut world = World::new(seed);
        world.start_sink(Mood::default());
        world.start_server(2);
        world.send(40, 4);
        for _ in 0..3 {
            somewhere(&mut world);
            let (sink, client) = (world.sink, world.client);
            world.sim.crash(sink, Crash::Power);
            world.ends.push(world.sim.now());
            somewhere(&mut world);
            if world.sim.below(2) == 0 {
                world.sim.crash(client, Crash::Power);
                world.send(10, 2);
            }
            world.start_sink(Mood::default());
        }
        world.finish();
    }
}

#[test]
fn a_graceful_stop_under_load_loses_and_doubles_nothing() {
    for seed in seeds(15) {
        let mut world = World::new(seed);
        world.start_sink(Mood::default());
        world.start_server(2);
        world.send(40, 4);
        for _ in 0..2 {
            somewhere(&mut world);
            world.stop_server();
            // A stop is no excuse for a duplicate.
            world.ends.clear();
            world.start_server(2);
        }
        world.finish_client();
        world.run_until_delivered(Duration::from_secs(120));
        world.stop_server();
        world.ends.clear();
        let found = world.breaches();
        if !found.is_empty() {
            world.fail(&format!("{found:#?}"));
        }
    }
}

#[test]
fn segments_that_are_recycled_between_crashes_bring_nothing_back() {
    for seed in seeds(8) {
        let mut world = World::new(seed);
        world.start_sink(Mood { refuses_recipient: 30, ..Mood::default() });
        let shards = 1 + world.sim.below(2) as u16;
        world.start_server(shards);
        for _ in 0..3 {
            world.send(150, 4);
            world.finish_client();
            let pause = world.sim.below(3000);
            world.sim.run_for(Duration::from_millis(pause));
            world.crash_server_somehow();
            world.start_server(shards);
        }
        world.finish();
    }
}

#[test]
fn a_message_in_flight_at_two_aborts_starts_on_hold() {
    for seed in seeds(5) {
        let mut world = World::new(seed);
        world.start_silent_sink();
        world.start_server(1);
        world.send(1, 1);
        for _ in 0..2 {
            world.sim.run_for(Duration::from_secs(5));
            world.crash_server_somehow();
            world.start_server(1);
        }
        let sink = world.sink;
        world.sim.crash(sink, Crash::Process);
        world.start_sink(Mood::default());
        world.sim.run_for(Duration::from_secs(60));
        assert_eq!((world.accepted().len(), world.delivered()), (1, 0), "seed {seed}: it must be on hold");
        // And it is still there.
        world.finish();
    }
}

#[test]
fn mail_that_goes_by_mx_survives_crashes_and_lost_queries() {
    for seed in seeds(10) {
        let mut world = World::with_mx(seed);
        world.start_sink(Mood { refuses_recipient: 50, ..Mood::default() });
        world.start_server(2);
        world.send(30, 4);
        somewhere(&mut world);
        world.crash_server_somehow();
        world.start_server(2);
        world.finish_client();
        if !world.run_until_delivered(Duration::from_secs(600)) {
            world.fail("not all were delivered");
        }
        world.finish();
    }
}
