//! The Received field (RFC 5321 4.4).

use std::net::IpAddr;

use super::address::{Address, Hostname};

/// What a Received field tells.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The name the peer gave in HELO or EHLO; `None` when it gave none.
    pub helo: Option<&'a [u8]>,
    /// The confirmed reverse name of the peer.
    pub peer_name: Option<&'a [u8]>,
    /// The peer's address.
    pub peer_ip: IpAddr,
    /// This host.
    pub by: &'a Hostname,
    /// How the message came in.
    pub with: With,
    /// The transaction, as in `queued as`.
    pub id: &'a str,
    /// The recipient, where there is just one (so that blind copies stay blind).
    pub recipient: Option<&'a Address>,
    /// When the message came in, in seconds since 1970.
    pub unix_seconds: u64,
}

/// The protocol keyword (RFC 3848).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum With {
    /// HELO.
    Smtp,
    /// EHLO.
    Esmtp,
}

impl Received<'_> {
    /// Appends the field, folded, with its final CRLF. What is not allowed in its place becomes `?`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        todo!()
    }
}
