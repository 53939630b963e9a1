//! Nanoseconds per item at a million items: `cargo run --release -p queue --example speed`.
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // a measurement

use std::sync::Arc;
use std::time::Instant;

use queue::{Entry, Item, ItemKey, Options, Outcome, Queue};

const NOW_MS: u64 = 1_700_000_000_000;
const ITEMS: u64 = 1_000_000;

fn insert(queue: &mut Queue, domains: &[String], entry: impl Fn(u64) -> Entry) {
    for sequence in 0..ITEMS {
        let item = Item {
            key: ItemKey::new(1, sequence, 0),
            transaction: [0; 16],
            sender: Arc::from(&b"bounces@sender.example"[..]),
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
        };
        queue.insert(item, entry(sequence), NOW_MS).expect("there is room");
    }
}

fn measure(what: &str, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    println!("{what:50} {:6.0} ns per item", start.elapsed().as_nanos() as f64 / ITEMS as f64);
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
        let mut longest = std::time::Duration::ZERO;
        measure("  next (an hour at once), delivered, report", || {
            let now_ms = NOW_MS + 3_600_001;
            loop {
                let start = Instant::now();
                let attempt = queue.next(now_ms);
                longest = longest.max(start.elapsed());
                match attempt {
                    Some(attempt) => drop(queue.report(attempt.id, vec![Outcome::Delivered], now_ms)),
                    None => break,
                }
            }
        });
        println!("  longest call of next: {longest:?}");
    }
}
