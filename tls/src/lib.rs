//! Connections that are plain or encrypted, on the engine.
//!
//! A [`Stream`] is what sessions talk over: it receives, sends and knows its addresses like the [`engine::net::Conn`]
//! below it, and costs nothing more while it is plain.
//!
//! ```no_run
//! # async fn greet(conn: engine::net::Conn) -> std::io::Result<()> {
//! use tls::Stream;
//!
//! let stream = Stream::plain(conn);
//! stream.send(bytes::Bytes::from_static(b"220 mx.example.com ESMTP\r\n")).await?;
//! let received = stream.recv().await?;
//! assert!(received.ends_with(b"\r\n"));
//! # Ok(())
//! # }
//! ```

mod received;
mod stream;

pub use received::Received;
pub use stream::Stream;
