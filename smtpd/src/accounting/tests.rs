use std::time::Duration;

use engine::disk::Dir;
use engine::sim::Sim;

use super::*;
use crate::log::Target;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn the_file_is_rotated_with_the_first_write_after_its_time() {
    let mut sim = Sim::new(7);
    let host = sim.host("server");
    sim.start(host, 1, |_| async {
        if !engine::boot::is_control() {
            return;
        }
        Dir::create("/accounting".as_ref()).await.expect("a perfect disk");
        let settings = config::Accounting {
            path: "/accounting/a.jsonl".into(),
            rotate_size_bytes: u64::MAX,
            rotate_interval: HOUR,
        };
        Writer::open(&settings, Log::start(Target::Memory(Arc::default()))).await.expect("opened");
        let event = async |name: &str| {
            Writer::write_here(format!("\"event\":\"{name}\"}}\n"), 1).await.expect("written");
        };
        event("first").await;
        engine::time::sleep(HOUR - Duration::from_secs(1)).await;
        event("second").await;
        engine::time::sleep(Duration::from_secs(1)).await;
        event("third").await;
        engine::time::sleep(HOUR * 3).await;
        event("fourth").await;
    });
    sim.run_for(HOUR * 5);
    let read = |name: &str| {
        let bytes = sim.read_file(host, &format!("/accounting/{name}")).unwrap_or_default();
        let text = String::from_utf8(bytes).expect("text");
        let events = text.lines().filter_map(|line| line.split_once("\"event\":\"")?.1.strip_suffix("\"}"));
        events.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(read("a.jsonl.000000000001"), ["opened", "first", "second"]);
    assert_eq!(read("a.jsonl.000000000004"), ["opened", "third"]);
    assert_eq!(read("a.jsonl"), ["opened", "fourth"]);
}
