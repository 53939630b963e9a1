//! DNS without sockets: a stub resolver with cache, and the search for the hosts that take a domain's mail.
//!
//! * [`Stub`]: questions go in with [`Stub::lookup`], datagrams to send come out of [`Stub::poll_transmit`],
//!   what was received goes into [`Stub::handle_response`], and answers come out of [`Stub::poll_answer`].
//! * [`HostSearch`]: which questions lead to the [`MailHosts`] of a domain.
//! * [`Question`], [`Answer`], [`DomainName`]: the values they speak of.
//! * [`resolv_conf`]: the system's resolver file.
//!
//! Times are milliseconds of any clock that does not go back; randomness comes from the caller.

mod hosts;
mod name;

pub use hosts::{Families, MailHost, MailHosts};
pub use name::{DomainName, NameError};
