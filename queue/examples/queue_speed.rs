//! Nanoseconds of CPU per item at a million items: `cargo run --release -p queue --example queue_speed`.
#![allow(clippy::print_stdout)] // a measurement

use nix::time::{ClockId, clock_gettime};
use queue::{Details, Entry, Item, ItemKey, Options, Outcome, Queue};

const NOW_MS: u64 = 1_700_000_000_000;
const ITEMS: u64 = 1_000_000;

fn insert(queue: &mut Queue, domains: &[String], entry: impl Fn(u64) -> Entry) {
    for sequence in 0..ITEMS {
        let item = Item {
            key: ItemKey::new(1, sequence, 0),
            transaction: [0; 16],
            sender: b"bounces@sender.example",
            sender_domain: Some("sender.example"),
            recipient: b"someone@receiver.example",
            domain: &domains[sequence as usize % domains.len()],
            transport: "mx",
            job_id: Some("job"),
            tenant_id: None,
            size_bytes: 2048,
            received_ms: NOW_MS,
            attempts: 0,
            flags: 0,
            priority: 0,
            details: Details::default(),
        };
        queue.insert(item, entry(sequence), NOW_MS).expect("there is room");
    }
}

/// CPU time of this thread in nanoseconds: others on the machine do not count.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

fn measure(what: &str, work: impl FnOnce()) {
    let start_ns = cpu_ns();
    work();
    println!("{what:50} {:6} ns per item", (cpu_ns() - start_ns) / ITEMS);
}

fn deliver_all(queue: &mut Queue, now_ms: u64) {
    while let Some(attempt) = queue.next(now_ms) {
        queue.report(attempt.id, vec![Outcome::Delivered], now_ms);
    }
    assert_eq!(queue.counts().total(), 0);
}

fn main() {
    for domains in [10, 1_000, 100_000] {
        let names: Vec<_> = (0..domains).map(|number| format!("domain-{number}.test")).collect();
        println!("{domains} domains");
        let mut queue = Queue::new(Options { hash_seed: 7, ..Options::default() });
        measure("  insert, ACTIVE", || insert(&mut queue, &names, |_| Entry::Active));
        measure("  next, fails, report", || {
            for _ in 0..ITEMS {
                let attempt = queue.next(NOW_MS).expect("all are due");
                queue.report(attempt.id, vec![Outcome::Temporary("451 later".into())], NOW_MS);
            }
        });
        measure("  next (all come due), delivered, report", || deliver_all(&mut queue, NOW_MS + 120_000));
        measure("  insert, DEFER over an hour", || {
            insert(&mut queue, &names, |sequence| Entry::DeferUntil(NOW_MS + sequence % 3_600 * 1_000 + 1));
        });
        measure("  scan", || {
            let (mut cursor, mut bytes) = (Some(queue::Cursor::default()), 0);
            while let Some(from) = cursor {
                cursor = queue.scan(from, |view| bytes += view.size_bytes);
            }
            assert_eq!(bytes, ITEMS * 2048);
        });
        measure("  next (an hour at once), delivered, report", || {
            deliver_all(&mut queue, NOW_MS + 3_600_001)
        });
        insert(&mut queue, &names, |sequence| Entry::DeferUntil(NOW_MS + sequence % 3_600 * 1_000 + 1));
        let mut longest_ns = 0;
        for _ in 0..ITEMS / 10 {
            let start_ns = cpu_ns();
            let attempt = queue.next(NOW_MS + 3_600_001).expect("all are due");
            longest_ns = longest_ns.max(cpu_ns() - start_ns);
            queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
        }
        println!("  longest of 100,000 calls of next, while a million come due: {} us", longest_ns / 1_000);
    }
}
