//! The accounting file, over kills at any step: every event at least once.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use engine::sim::Crash;
use sim::mail::Number;
use sim::seeds::seeds;
use sim::sink::Mood;

use crate::leftover;
use crate::world::{SPOOL, World};

const FILE: &str = "/var/log/accounting.jsonl";

#[test]
fn every_event_is_accounted_at_least_once_over_kills_at_any_step() {
    for seed in seeds(25) {
        let mut world = World::new(seed);
        let block = format!("accounting: {{path: {FILE}, rotate: {{size: 4000}}}}\n");
        world.add_to_startup_file(&block);
        world.sim.write_file(world.server, "/var/log/dmesg", b"the directory is there\n");
        world.start_sink(Mood {
            refuses_recipient: 50,
            refuses_message: 50,
            hangs_up: 20,
            ..Mood::default()
        });
        world.start_server(2);
        world.send(40, 4);
        for _ in 0..1 + world.sim.below(4) {
            let most = [50, 500, 3000, 12_000][world.sim.below(4) as usize];
            let steps = world.sim.below(most) as usize;
            world.sim.step(steps);
            world.crash_server(Crash::Process);
            world.start_server(2);
        }
        world.finish_client();
        world.run_until_delivered(Duration::from_secs(120));
        // What arrived before a kill, and was not settled, is tried again.
        world.sim.run_for(Duration::from_secs(60));
        world.stop_server();
        // What was in flight at two kills in a row is on hold.
        let left = leftover::read(&mut world.sim, world.server, SPOOL).numbers;
        check(&world, &left);
    }
}

/// Of each message that was answered `250`: that it was taken in, and what became of it.
fn check(world: &World, left: &BTreeSet<Number>) {
    // What a kill tore was not acknowledged: a reader skips it.
    let mut lines = lines(world);
    lines.retain(|line| line.starts_with("{\"seq\":") && line.ends_with('}') && !line.contains('\0'));
    let mut last = 0;
    for line in &lines {
        let sequence =
            line.strip_prefix("{\"seq\":").and_then(|rest| rest.split(',').next()?.parse::<u64>().ok());
        match sequence {
            Some(sequence) if sequence > last && line.ends_with('}') => last = sequence,
            _ => world.fail(&format!("{last} is followed by {line}")),
        }
    }
    let senders_of = |events: &[&str]| -> HashSet<&str> {
        let of_these = lines
            .iter()
            .filter(|line| events.iter().any(|event| line.contains(&format!("\"event\":\"{event}\""))));
        of_these.filter_map(|line| line.split_once("\"from\":\"")?.1.split('"').next()).collect()
    };
    let (came, went) = (senders_of(&["accepted"]), senders_of(&["delivered", "failed"]));
    for number in world.accepted() {
        let sender = format!("from{number}@client.test");
        if !came.contains(&*sender) || !(went.contains(&*sender) || left.contains(&number)) {
            let (came, went) = (came.contains(&*sender), went.contains(&*sender));
            world.fail(&format!(
                "{sender}: accepted {came}, delivered or failed {went} in\n{}",
                lines.join("\n")
            ));
        }
    }
}

/// Of all files, oldest first.
fn lines(world: &World) -> Vec<String> {
    let mut files = world.sim.files(world.server);
    files.retain(|path| path.starts_with(FILE));
    // `accounting.jsonl` itself is the newest.
    files.sort_by_key(|path| (path == FILE, path.clone()));
    let texts = files.iter().filter_map(|path| world.sim.read_file(world.server, path));
    texts
        .flat_map(|bytes| String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
