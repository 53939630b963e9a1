//! The whole server in a simulated world: a client, the server and a sink, each on a host of its own, and everything
//! that may go wrong between and under them. A failure prints its seed; `SIM_SEED=n` repeats it, `SIM_SEEDS=n` tries
//! n times as many.

#![expect(clippy::print_stdout, reason = "figures for whoever reads the test output")]

mod accounting;
mod crashes;
mod disk;
mod leftover;
mod nameserver;
mod outages;
mod plain;
mod world;
