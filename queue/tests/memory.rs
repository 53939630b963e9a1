//! What a queued recipient costs, counted by the allocator.

use std::alloc::System;

use queue::{Details, Entry, Item, ItemKey, Options, Origin, Queue};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW_MS: u64 = 1_700_000_000_000;
const ITEMS: u64 = 200_000;

/// Bytes for each of many items: two 24-byte addresses, everything but the addresses shared or from `domains`.
fn bytes_per_item(
    domains: u64,
    job: Option<&str>,
    details: &Details<'_>,
    entry: impl Fn(u64) -> Entry,
) -> f64 {
    let region = Region::new(ALLOCATOR);
    let mut queue = Queue::new(Options::default());
    for sequence in 0..ITEMS {
        let sender = format!("{sequence:08}@sender.example.test");
        let recipient = format!("{sequence:08}@receiver.example");
        let domain = format!("domain-{}.test", sequence % domains);
        let item = Item {
            key: ItemKey::new(1, sequence, 0),
            transaction: [0; 16],
            sender: &sender.as_bytes()[..24],
            sender_domain: Some("sender.example"),
            recipient: &recipient.as_bytes()[..24],
            domain: &domain,
            transport: "mx",
            job_id: job,
            tenant_id: job,
            size_bytes: 2048,
            received_ms: NOW_MS,
            attempts: 0,
            flags: 0,
            priority: 0,
            details: details.clone(),
        };
        queue.insert(item, entry(sequence), NOW_MS).expect("there is room");
    }
    let change = region.change();
    let bytes =
        change.bytes_allocated as isize - change.bytes_deallocated as isize + change.bytes_reallocated;
    drop(queue);
    bytes as f64 / ITEMS as f64
}

#[test]
fn a_queued_recipient_costs_what_the_limits_promise() {
    let later = |sequence| Entry::DeferUntil(NOW_MS + 60_000 + sequence % 3_600 * 1_000);
    let plain = Details::default();
    let origin = Origin { server_id: "default".into(), helo: "client.example".into(), ..Origin::default() };
    let tagged = Details { origin, metadata: &[(b"campaign", b"24 bytes of a long value")], ..plain.clone() };
    let cases = [
        ("plain, ACTIVE", bytes_per_item(1_000, None, &plain, |_| Entry::Active), 200.0),
        ("job and tenant, ACTIVE", bytes_per_item(1_000, Some("job"), &plain, |_| Entry::Active), 200.0),
        ("with metadata, DEFER over an hour", bytes_per_item(1_000, Some("job"), &tagged, later), 290.0),
        ("plain, DEFER over an hour", bytes_per_item(1_000, None, &plain, later), 210.0),
        ("a domain for each, ACTIVE", bytes_per_item(u64::MAX, None, &plain, |_| Entry::Active), 440.0),
    ];
    for (profile, bytes, at_most) in cases {
        println!("{profile}: {bytes:.0} bytes");
        assert!(bytes <= at_most, "{profile}: {bytes:.0} bytes, more than {at_most}");
    }
}
