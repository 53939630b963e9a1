//! SASL (RFC 4422) as SMTP carries it (RFC 4954): mechanisms as values that take challenges and give responses.
//!
//! [`Client`] logs us in at a peer. Names and passwords are used as they are: SASLprep (RFC 4013) is not applied.

mod client;
mod scram;
mod server;

pub use client::{Client, Credentials, Failure, Nonce};
pub use server::{CramMd5, CramMd5Response, ScramFinal, ScramFirst, ScramKeys};

/// A mechanism.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mechanism {
    /// CRAM-MD5 (RFC 2195): does not show the password, but lets a listener try guesses.
    CramMd5,
    /// LOGIN: shows the password. It has no standard; what it does is what its clients and servers do.
    Login,
    /// PLAIN (RFC 4616): shows the password.
    Plain,
    /// SCRAM-SHA-256 (RFC 7677): does not show the password, and proves that the server knows it too.
    ScramSha256,
}

impl Mechanism {
    /// All, by name.
    pub const ALL: [Mechanism; 4] =
        [Mechanism::CramMd5, Mechanism::Login, Mechanism::Plain, Mechanism::ScramSha256];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::CramMd5 => "CRAM-MD5",
            Mechanism::Login => "LOGIN",
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// The mechanism of this name, in any case.
    pub fn parse(name: &[u8]) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether whoever listens learns the password.
    pub fn shows_password(self) -> bool {
        matches!(self, Mechanism::Plain | Mechanism::Login)
    }
}
