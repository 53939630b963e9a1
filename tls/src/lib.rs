//! Connections that are plain or encrypted, on the engine.
//!
//! A [`Stream`] is what sessions talk over: it receives, sends and knows its addresses like the [`engine::net::Conn`]
//! below it, and costs nothing more while it is plain. [`Stream::accept_tls`] and [`Stream::connect_tls`] encrypt it from
//! then on; [`TlsInfo`] says what was agreed. How TLS is spoken is prepared once and shared by all shards: [`ServerSide`]
//! and [`ClientSide`], made from [`Identity`], [`Roots`] and [`Protocols`].
//!
//! The protocol itself is rustls, driven as a byte machine (`machine`): no thread, no socket, no buffer of an idle session.
//! Early data is off on both sides, as what comes in it can be replayed.
//!
//! ```no_run
//! # async fn greet(conn: engine::net::Conn, side: tls::ServerSide) -> Result<(), tls::TlsError> {
//! use bytes::Bytes;
//! use tls::Stream;
//!
//! let stream = Stream::plain(conn);
//! stream.send(Bytes::from_static(b"220 2.0.0 Ready to start TLS\r\n")).await?;
//! let agreed = stream.accept_tls(&side).await?;
//! println!("{} with {}", agreed.version, agreed.cipher);
//! let received = stream.recv().await?;
//! stream.send(Bytes::copy_from_slice(&received)).await?;
//! # Ok(())
//! # }
//! ```

mod client;
mod clock;
mod dane;
mod error;
mod identity;
mod info;
pub mod limits;
mod machine;
mod received;
mod report;
mod server;
mod signatures;
mod stream;
mod suites;
mod trust;

pub use client::{ClientOptions, ClientSide, Sni, VerifyName};
pub use dane::{Dane, DanePolicy, Demand, TlsaRecord};
pub use error::TlsError;
pub use identity::{Identity, IdentityError, certificates};
pub use info::{PeerCertificate, TlsInfo, Verified};
pub use received::Received;
pub use report::{CertificateFault, ResultType};
pub use rustls::pki_types::CertificateDer;
pub use server::{ClientCertificates, ServerOptions, ServerResumption, ServerSide};
pub use stream::{Moving, Stream};
pub use suites::{CIPHER_SUITES, Protocols};
pub use trust::Roots;

#[cfg(test)]
mod tests;
