//! DNS without sockets: a stub resolver with cache, and the search for the hosts that take a domain's mail.
//!
//! * [`Stub`]: questions go in with [`Stub::lookup`], what to send comes out of [`Stub::poll_transmit`], what was
//!   received goes into [`Stub::handle_response`], and answers come out of [`Stub::poll_answer`].
//! * [`RecordQuery`]: one question for records of any type, for those who have sockets and patience of their own.
//! * [`HostSearch`]: which questions lead to the [`MailHosts`] of a domain.
//! * [`TlsaSearch`]: which TLSA records count for one of them.
//! * [`Question`], [`Answer`], [`Resolved`], [`DomainName`]: the values they speak of.
//! * [`Cache`]: answers that are still good; a stub has one, and whoever asks a stub elsewhere may have another.
//! * [`resolv_conf`]: the system's resolver file.
//!
//! Times are milliseconds of any clock that does not go back; randomness comes from the caller.
//!
//! ```
//! use net::dns::{DomainName, Kind, Lookup, Question, Settings, Stub};
//!
//! let settings = Settings { servers: vec!["192.0.2.53:53".parse()?], ..Settings::default() };
//! let mut stub = Stub::new(settings, 7);
//! let question = Question { name: DomainName::parse("example.com")?, kind: Kind::Mx };
//! let Lookup::Wait(query) = stub.lookup(&question, 0) else { panic!("not in the cache") };
//!
//! // A real caller fills in bytes that nobody can guess, and sends the payload.
//! let transmit = stub.poll_transmit(0, &mut |bytes| bytes.fill(0)).expect("one query to send");
//! assert_eq!(transmit.server, "192.0.2.53:53".parse()?);
//! // stub.handle_response(transmit.id, &datagram, now_ms); or, when no answer comes:
//! assert_eq!(stub.poll_timeout(), Some(transmit.deadline_ms));
//! stub.handle_timeout(transmit.deadline_ms);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod cache;
mod hosts;
mod message;
mod name;
mod query;
mod records;
pub mod resolv_conf;
mod servers;
mod stub;
#[cfg(test)]
mod tests;
mod tlsa;

pub use answer::{Answer, Failure, Kind, Mx, Question, Resolved};
pub use cache::{Cache, CacheCounts};
pub use hosts::{Families, HostSearch, Lack, MailHost, MailHosts, Step};
pub use message::{RANDOM_BYTES, first_tcp_message};
pub use name::{DomainName, NameError};
pub use records::{Record, RecordData, RecordKind, RecordQuery, Records};
pub use stub::{Handled, Lookup, QueryId, Settings, Stub, StubCounts, Transmit, TransmitId};
pub use tlsa::{NoTlsa, SecureTlsa, TlsaSearch};
