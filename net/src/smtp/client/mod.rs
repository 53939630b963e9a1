//! The client's side of an SMTP session.
//!
//! The driver's loop:
//!
//! 1. [`Session::step`] with what has arrived, again and again.
//! 2. On [`Step::Ready`]: [`Session::begin`] a transaction, or keep the connection for later, or
//!    [`Session::quit`].
//! 3. On [`Step::SendBody`]: pass the message through a [`DotStuffer`], send it with its final dot (the output
//!    first, if any), then say [`Session::body_sent`].
//! 4. On [`Step::Done`]: each recipient has its [`Outcome`].
//! 5. On [`Step::NeedInput`]: send [`Session::take_output`], then receive, for at most [`Session::patience`].
//! 6. On [`Step::StartTls`]: make the TLS handshake, then [`Session::tls_started`] or [`Session::tls_failed`].
//! 7. On [`Step::Closed`]: close.
//!
//! When the connection breaks or a clock runs out: [`Session::lost`], then step as before: a transaction in
//! flight is settled with [`Step::Done`] before [`Step::Closed`].

mod capabilities;
mod config;
mod dot_stuff;
mod outcome;
mod reply_reader;
mod session;
mod transaction;

pub use capabilities::Capabilities;
pub use config::{Config, StartTls, Timeouts};
pub use dot_stuff::{DotStuffer, Unclean};
pub use outcome::{Cause, Closed, Envelope, Outcome, Phase, Protection, Recipient, Step};
pub use session::Session;
