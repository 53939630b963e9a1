//! The client's side of an SMTP session.
//!
//! The driver's loop:
//!
//! 1. [`Session::step`] with what has arrived, again and again.
//! 2. On [`Step::Ready`]: [`Session::begin`] a transaction, or keep the connection for later, or
//!    [`Session::quit`].
//! 3. On [`Step::SendBody`]: send the output and the message behind it, as it is (its [`LineEnds`] checked) or through
//!    a [`DotStuffer`] as the [`BodyForm`] says, then say [`Session::body_sent`].
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
mod exchange;
mod handshake;
mod outcome;
mod phase;
mod reply_reader;
mod session;
mod transaction;
mod xclient;

pub use capabilities::{Attributes, Capabilities, Limits, Mechanisms};
pub use config::{Config, Login, Protocol, StartTls, Timeouts};
pub use dot_stuff::{DotStuffer, LineEnds, Unclean};
pub use outcome::{Aim, BodyForm, Cause, Closed, Envelope, Outcome, Protection, Recipient, Step};
pub use phase::Phase;
pub use session::Session;
pub use xclient::XclientAttribute;
