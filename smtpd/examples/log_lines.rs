//! Nanoseconds and allocations per log line: `cargo run --release -p smtpd --example log_lines`.
#![allow(clippy::print_stdout)] // a measurement

use std::alloc::System;
use std::time::Duration;

use net::smtp::reply::{EnhancedCode, Reply};
use smtpd::log::event::{Accepted, Answer, AnswerCause, AttemptResult, Attempted, Delays, Event, Peer, Tls};
use smtpd::log::line::{Form, Line};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 200_000;

fn main() {
    let ok = Some(EnhancedCode { class: 2, subject: 0, detail: 0 });
    let reply = Reply::new(250, ok, "Ok: queued as 4Wsdf8723");
    let tls = Some(Tls { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", verified: true });
    let remote = "198.51.100.25:25".parse().expect("an address");
    let accepted = Accepted {
        transaction: Uuid::from_u128(0x018f_6b1e_7c21_11ef_8d5b_0242_ac12_0002),
        server: "inbound",
        remote,
        helo: Some(b"mx.example.com"),
        user: None,
        tls,
        from: b"news@example.com",
        to: &[b"ann@example.net"],
        recipients: 1,
        size_bytes: 24_013,
        took_ms: 12,
    };
    let delivered = Attempted {
        transaction: accepted.transaction,
        queue_id: 1,
        from: accepted.from,
        to: b"ann@example.net",
        transport: "by-mx",
        size_bytes: 24_013,
        retry: 0,
        peer: Peer {
            mx: Some("mx1.example.net"),
            remote: Some(remote),
            local: Some("192.0.2.5".parse().expect("an address")),
            tls,
        },
        delays: Delays { queue_ms: 3, dns_ms: 18, connect_ms: 95, send_ms: 240 },
        result: AttemptResult::Delivered,
        answer: Answer { state: "EOD", enhanced: ok, cause: AnswerCause::Reply(&reply) },
    };
    for form in [Form::Text, Form::Json] {
        measure(&format!("accepted, {form:?}"), form, &Event::Accepted(&accepted));
        measure(&format!("delivered, {form:?}"), form, &Event::Attempted(&delivered));
    }
}

/// The best of five, in CPU time, as the machine is shared.
fn measure(what: &str, form: Form, event: &Event<'_>) {
    let mut out = String::with_capacity(4096);
    let mut best = Duration::MAX;
    let region = Region::new(ALLOCATOR);
    for _ in 0..5 {
        let start = cpu_time();
        for _ in 0..ROUNDS {
            out.clear();
            event.write(&mut Line::new(&mut out, form));
        }
        best = best.min(cpu_time() - start);
    }
    let allocations = region.change().allocations;
    let nanoseconds = best.as_nanos() / ROUNDS as u128;
    println!(
        "{what}: {nanoseconds} ns, {} bytes, {allocations} allocations in {} lines",
        out.len(),
        5 * ROUNDS
    );
}

fn cpu_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("Linux has it");
    Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32)
}
