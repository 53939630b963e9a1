//! The server's side of an SMTP session.
//!
//! The driver's loop:
//!
//! 1. [`Session::step`] with what has arrived, again and again.
//! 2. On [`Step::Event`]: decide, then [`Session::accept`], [`Session::reply`] or [`Session::refuse`].
//! 3. On [`Step::Body`]: append to the intake.
//! 4. On [`Step::NeedInput`]: send [`Session::take_output`] (all replies so far: pipelined commands are answered
//!    in one send), then receive, for at most [`Session::patience`].
//! 5. On [`Step::Handshake`]: send the output, do the TLS handshake, then [`Session::tls_started`].
//! 6. On [`Step::Close`]: send the output, close.
//!
//! After [`Event::Connect`] is answered and before the output is sent, give `step` what has already arrived: a
//! peer that talks before the greeting is answered with 554 and closed.

mod auth;
mod body;
mod command;
mod commands;
mod config;
mod event;
mod extensions;
mod hello;
mod line;
mod message;
mod parameters;
mod session;
mod submitted;
#[cfg(test)]
mod tests;
mod watch;
mod xclient;

pub use auth::{Auth, Claim};
pub use config::{BareEol, Config, Timeouts};
pub use event::{BodyType, Close, Discard, Event, Hello, Mail, Rcpt, Step, Summary, Verb, Written};
pub use extensions::Extensions;
pub use session::Session;
pub use submitted::{Submitted, queued_as};
pub use xclient::{Attribute, XClient};
