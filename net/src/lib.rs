//! What crosses the wire: SMTP, DNS and HTTP as sans-I/O state machines.
//!
//! This crate opens no socket, reads no clock and draws no random number. Bytes that came in go into a machine,
//! what it wants to say comes out as bytes, and what it learnt comes out as values; the caller owns the
//! connection, the clock and the disk. That lets the same code run under the engine, in the simulator and in a
//! unit test, one byte at a time.
//!
//! - [`smtp::server`]: a [`Session`](smtp::server::Session) answers a peer that sends us mail.
//! - [`smtp::client`]: a [`Session`](smtp::client::Session) hands mail to a peer. It mirrors the server.
//! - [`smtp::address`], [`smtp::reply`], [`smtp::error`]: the values both speak of.
//! - [`dns`]: a stub resolver with cache, and the search for the hosts that take a domain's mail.
//! - [`http`]: an HTTP/1.1 client's side of one exchange.
//! - [`proxy`]: the header that a proxy puts before a connection.
//! - [`limits`]: every bound, with the memory it implies.
//!
//! A server session, fed by hand:
//!
//! ```
//! use std::sync::Arc;
//! use net::smtp::address::Hostname;
//! use net::smtp::server::{Config, Event, Session, Step};
//!
//! let hostname = Hostname::parse(b"mx.example.com").expect("a valid name");
//! let mut session = Session::new(Arc::new(Config::new(hostname)));
//!
//! let mut input: &[u8] = b"";
//! assert!(matches!(session.step(&mut input), Step::Event(Event::Connect)));
//! session.accept();
//! assert_eq!(&session.take_output()[..], b"220 mx.example.com ESMTP\r\n");
//!
//! let mut input: &[u8] = b"HELO client.example.net\r\n";
//! let Step::Event(Event::Hello(hello)) = session.step(&mut input) else { panic!("expected HELO") };
//! assert_eq!(&*hello.host, b"client.example.net");
//! session.accept();
//! assert!(matches!(session.step(&mut input), Step::NeedInput));
//! assert_eq!(&session.take_output()[..], b"250 mx.example.com\r\n");
//! ```

pub mod dns;
pub mod http;
pub mod limits;
pub mod proxy;
pub mod smtp;
