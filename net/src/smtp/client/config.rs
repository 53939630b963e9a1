//! What a client session is told.

use std::time::Duration;

use super::Phase;
use crate::smtp::address::Hostname;

/// Settings shared by all sessions of one transport. Build it with [`Config::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct Config {
    /// What we call ourselves.
    pub hostname: Hostname,
    /// Send an 8-bit message as it is to a peer that does not offer 8BITMIME, as most servers do: nearly every
    /// such peer passes it on unharmed, and refusing it would lose mail. `false` fails the message instead.
    pub eight_bit_as_is: bool,
    /// When to use STARTTLS (RFC 3207).
    pub starttls: StartTls,
    /// How long to wait for each reply.
    pub timeouts: Timeouts,
}

/// When to use STARTTLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StartTls {
    /// Not at all: not wanted, or there is TLS from the first byte.
    #[default]
    Never,
    /// When the peer offers it; when it refuses after all, go on in clear text.
    IfOffered,
    /// A peer that does not offer it, or refuses, gets no mail.
    Required,
}

/// How long to wait for the reply in each phase (RFC 5321 4.5.3.2).
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the greeting: 300 s.
    pub banner: Duration,
    /// For EHLO: 300 s.
    pub ehlo: Duration,
    /// For HELO: 300 s.
    pub helo: Duration,
    /// For STARTTLS: 300 s.
    pub starttls: Duration,
    /// For MAIL: 300 s.
    pub mail: Duration,
    /// For RCPT: 300 s.
    pub rcpt: Duration,
    /// For the reply to DATA: 120 s.
    pub data: Duration,
    /// For each block of the message to be taken by the peer: 180 s.
    pub body: Duration,
    /// For the reply to the final dot: 600 s. Shorter makes duplicates.
    pub eod: Duration,
    /// For RSET: 300 s.
    pub rset: Duration,
    /// For QUIT: 300 s. Nothing hangs on this reply.
    pub quit: Duration,
}

impl Config {
    /// The documented defaults.
    pub fn new(hostname: Hostname) -> Config {
        Config {
            hostname,
            eight_bit_as_is: true,
            starttls: StartTls::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let usual = Duration::from_secs(300);
        Timeouts {
            banner: usual,
            ehlo: usual,
            helo: usual,
            starttls: usual,
            mail: usual,
            rcpt: usual,
            data: Duration::from_secs(120),
            body: Duration::from_secs(180),
            eod: Duration::from_secs(600),
            rset: usual,
            quit: usual,
        }
    }
}

impl Timeouts {
    /// The time for the reply of `phase`.
    pub fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Banner => self.banner,
            Phase::Ehlo => self.ehlo,
            Phase::Helo => self.helo,
            Phase::StartTls => self.starttls,
            Phase::Mail => self.mail,
            Phase::Rcpt => self.rcpt,
            Phase::Data => self.data,
            Phase::Body => self.body,
            Phase::Eod => self.eod,
            Phase::Rset => self.rset,
            Phase::Quit => self.quit,
        }
    }
}
