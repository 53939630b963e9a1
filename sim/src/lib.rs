//! Whole shards on a simulated clock, network and disk, from a seed: what the crash tests of the server share.
//!
//! The simulated world itself is [`engine::sim`]. This crate adds the two ends between which a mail server stands,
//! both written without the server's own SMTP code, so that they do not share its mistakes:
//!
//! - [`mail`]: messages that are a function of a number, so that any end can tell a message and check every byte;
//! - [`client`]: sends numbered messages and writes down, in the [`client::Ledger`], what it was answered;
//! - [`sink`]: takes messages, now and then refuses or hangs up, and writes down in [`sink::Deliveries`] what it took;
//! - [`verdict`]: holds the one against the other.
//!
//! ```ignore
//! let mut sim = Sim::new(seed);
//! let (client, server, sink) = (sim.host("client"), sim.host("server"), sim.host("sink"));
//! sink::start(&mut sim, sink, sink::Mood::default(), &deliveries);
//! client::start(&mut sim, client, load, &ledger);
//! // start the server, crash it, start it again ...
//! let found = verdict::breaches(&ledger.borrow(), &deliveries.borrow(), &crashes, SETTLE_WINDOW, |_| false);
//! assert!(found.is_empty(), "seed {seed}: {found:?}");
//! ```

pub mod client;
mod lines;
pub mod mail;
pub mod seeds;
pub mod sink;
pub mod verdict;
