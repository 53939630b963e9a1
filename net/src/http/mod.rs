//! HTTP/1.1 without sockets. As a client: one request, one response, then the connection is closed.
//!
//! * [`Url`]: parses and resolves addresses.
//! * [`Request`]: writes the head of a request; [`chunk`] and [`LAST_CHUNK`] frame a body of unknown length.
//! * [`Reader`]: bytes that came in become a [`Response`], within bounds.
//! * [`server`]: the side that is asked.
//! * [`multipart`]: a body of several parts, as forms send it, part by part.
//!
//! ```
//! use net::http::{Length, Progress, Reader, Request, Url};
//!
//! let url = Url::parse(b"http://www.example.com/list?page=2")?;
//! let request = Request { method: "GET", url: &url, headers: &[], length: Length::None, to_proxy: false };
//! let head = request.encode()?;
//! assert!(head.starts_with(b"GET /list?page=2 HTTP/1.1\r\nHost: www.example.com\r\n"));
//!
//! let mut reader = Reader::new(false, 1024);
//! assert_eq!(reader.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")?, Progress::More);
//! assert_eq!(reader.receive(b"lo")?, Progress::Done);
//! let response = reader.into_response().expect("it is complete");
//! assert_eq!((response.status, &response.body[..]), (200, &b"hello"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chunked;
pub mod multipart;
mod request;
mod response;
pub mod server;
#[cfg(test)]
mod tests;
mod url;

pub use request::{InvalidRequest, LAST_CHUNK, Length, Request, chunk};
pub use response::{Error, Header, Progress, Reader, Response};
pub use url::{Url, UrlError};
