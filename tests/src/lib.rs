//! What end-to-end tests need: the real `smtpd` started from a directory of its own, a sink that records what it is
//! given, and a client that speaks raw SMTP.
//!
//! - [`Smtpd`]: the program under test, killed when dropped.
//! - [`Sink`]: a next hop; [`Peer`]: one that does what a script says, phase by phase.
//! - [`Client`]: a peer; [`SecureClient`]: one that speaks TLS.
//! - [`ControlClient`]: an operator.
//! - [`Run`]: a run of `hsh` or `hsl-lint`.
//! - [`NameServer`]: DNS with the records, and the faults, of the test.
//! - [`pki`]: certificates for the test.
//!
//! ```no_run
//! use tests::{Client, Sink, Smtpd};
//! let sink = Sink::start();
//! let server = Smtpd::relay_to(sink.port()).start();
//! Client::connect(server.port()).send("a@example.com", &["b@example.net"], b"Subject: x\r\n\r\nhi\r\n");
//! sink.wait_for(1);
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "tests stand outside the engine: the real clock, disk and network"
)]

mod client;
mod control_client;
mod halonctl;
mod hsh;
pub mod name_server;
pub mod peer;
pub mod pki;
mod secure_client;
mod sink;
mod smtpd;

pub use client::Client;
pub use control_client::ControlClient;
pub use halonctl::Halonctl;
pub use hsh::{Ended, Run};
pub use name_server::{NameServer, Record};
pub use peer::{Behaviour, Message, Peer, Phase, Rule};
pub use secure_client::SecureClient;
pub use sink::{Sink, SinkReply};
pub use smtpd::{Builder, Smtpd, program};

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A loopback port that was free a moment ago, below those that the kernel gives to outgoing connections: a server that
/// starts anew on its port shall find it free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() % 200 * 100;
    let mut candidates = std::iter::repeat_with(|| {
        let number = first + NEXT.fetch_add(1, Ordering::Relaxed);
        10_000 + (number % 22_000) as u16
    });
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    candidates.by_ref().take(22_000).find(is_free).expect("loopback has a free port")
}

/// Waits until `done`, for at most `limit`; says whether it came to pass.
pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    done()
}
