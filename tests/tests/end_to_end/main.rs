//! The real programs over real sockets.
#![allow(missing_docs, reason = "a test binary")]
#![expect(clippy::disallowed_methods, reason = "tests stand outside the engine")]
#![expect(clippy::print_stdout, reason = "figures for whoever reads the test output")]

mod acceptance;
mod bad_input;
mod bounces;
mod control;
mod crash;
mod damage;
mod delivery;
mod delivery_file;
mod dns;
mod edits;
mod examples;
mod halonctl;
mod hook_cases;
mod hook_sessions;
mod hooks;
mod hostile_mail;
mod hsh;
mod http_bulk;
mod monitor;
mod next_hop_session;
mod next_hops;
mod operations;
mod ourselves;
mod outside;
mod policies;
mod queue_hooks;
mod script_calls;
mod selectors;
mod session;
mod shows;
mod start;
mod submission;
mod tls;
