//! What a server session is told.

use std::time::Duration;

use super::{Auth, Extensions};
use crate::limits;
use crate::smtp::address::Hostname;

/// Settings shared by all sessions of one server. Build it with [`Config::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name in the greeting and in the HELO and EHLO replies.
    pub hostname: Hostname,
    /// What EHLO announces, and which commands and parameters are taken.
    pub extensions: Extensions,
    /// Refuse MAIL (and AUTH) before TLS with 530.
    pub tls_required: bool,
    /// What AUTH offers.
    pub auth: Auth,
    /// Largest message in bytes; 0 means no limit. Announced with SIZE, enforced at MAIL and while receiving.
    pub size_bytes_max: u64,
    /// Most recipients of one transaction; then 452.
    pub recipients_max: u32,
    /// Most transactions on one connection; 0 means no limit. Then 421 and close.
    pub messages_max: u32,
    /// Most Received fields in a message; then 554.
    pub hops_max: u32,
    /// Need HELO or EHLO before MAIL.
    pub hello_required: bool,
    /// What to do with a CR or LF that is not part of a CRLF in a message.
    pub bare_eol: BareEol,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// What to do with a CR or LF that is not part of a CRLF in a message. In either case only CRLF.CRLF ends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BareEol {
    /// Each becomes CRLF.
    Convert,
    /// Read the message to its end, then answer 550 5.6.11.
    Reject,
}

/// How long to wait for the peer.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a whole command, and for the next bytes of a message.
    pub idle: Duration,
    /// For a whole message: this much, and a second more for every [`data_bytes_per_second`](Self::data_bytes_per_second).
    pub data: Duration,
    /// Slower than this a message may come only as long as `data` lasts.
    pub data_bytes_per_second: u64,
}

impl Config {
    /// The documented defaults.
    pub fn new(hostname: Hostname) -> Config {
        Config {
            hostname,
            extensions: Extensions {
                pipelining: true,
                size: true,
                eight_bit_mime: true,
                enhanced_status_codes: true,
                chunking: true,
                smtputf8: true,
                ..Extensions::NONE
            },
            tls_required: false,
            auth: Auth::default(),
            size_bytes_max: 0,
            recipients_max: limits::RECIPIENTS_MAX,
            messages_max: 0,
            hops_max: limits::HOPS_MAX,
            hello_required: false,
            bare_eol: BareEol::Reject,
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let idle = Duration::from_secs(600);
        Timeouts { idle, data: idle, data_bytes_per_second: 512 }
    }
}
