//! What a message is: headers, MIME structure, changes as deltas, addresses, and how new messages are built.
//!
//! Pure: bytes in, bytes out. No system call, no clock and no random number; time and randomness are arguments. What
//! strangers sent is never refused for its form, only marked; everything is bounded by [`limits`].
//!
//! - [`message::Message`]: a message that came in, read part by part, and the changes recorded on it.
//! - [`delta::Delta`]: those changes as replacements of byte ranges, which is what is stored per recipient.
//! - [`build::Builder`]: new messages and parts.
//! - [`mime`]: the parser and the transfer encodings; [`header`]: fields, encoded words, folding.
//! - [`lines`]: the line ends of what scripts give.
//! - [`address`]: address lists of headers, addresses of envelopes.
//! - [`report`]: delivery status notifications.
//! - [`dkim`], [`keys`], [`taglist`]: signatures; [`spf`]: who may send for a domain.
//!
//! ```
//! use mail::delta::Now;
//! use mail::message::{Message, ValueForm};
//! use mail::mime::PartId;
//!
//! let mut message = Message::parse("Subject: =?utf-8?Q?h=C3=A9?=\r\n\r\nbody\r\n")?;
//! let root = message.root();
//! let subject = root.fields_named(b"subject").next().expect("it has one");
//! assert_eq!(root.text(subject), "hé");
//!
//! message.add_header(PartId::ROOT, b"X-Seen", b"yes", ValueForm::Encode)?;
//! let sent = message.to_bytes(Now::default());
//! assert_eq!(&sent[..], b"X-Seen: yes\r\nSubject: =?utf-8?Q?h=C3=A9?=\r\n\r\nbody\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod address;
pub mod build;
pub mod compat;
pub mod date;
pub mod delta;
pub mod dkim;
pub mod header;
mod idn;
pub mod keys;
pub mod limits;
pub mod lines;
pub mod message;
pub mod mime;
pub mod report;
pub mod spf;
pub mod taglist;
#[cfg(test)]
mod testing;
