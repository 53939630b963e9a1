//! What a client session is told.

use std::time::Duration;

use super::{Phase, XclientAttribute};
use crate::smtp::address::Hostname;
use crate::smtp::sasl::Credentials;

/// Settings shared by all sessions of one transport. Build it with [`Config::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct Config {
    /// What we call ourselves.
    pub hostname: Hostname,
    /// What is spoken.
    pub protocol: Protocol,
    /// Send an 8-bit message as it is to a peer that does not offer 8BITMIME, as most servers do: nearly every
    /// such peer passes it on unharmed, and refusing it would lose mail. `false` fails the message instead.
    pub eight_bit_as_is: bool,
    /// Send messages with BDAT to a peer that offers CHUNKING (RFC 3030).
    pub chunking: bool,
    /// When to use STARTTLS (RFC 3207).
    pub starttls: StartTls,
    /// Whom to log in as before the first message. A peer that does not let us in gets no mail.
    pub login: Option<Login>,
    /// What to say with XCLIENT, of which the peer is told what it takes. A peer that does not offer XCLIENT gets no
    /// mail: it would take the mail for our own.
    pub xclient: Vec<(XclientAttribute, Box<[u8]>)>,
    /// How long to wait for each reply.
    pub timeouts: Timeouts,
}

/// What is spoken to the peer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033): each recipient has its own reply after the message.
    Lmtp,
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

/// How to log in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// Who we are.
    pub credentials: Credentials,
    /// Use a mechanism that shows the password even where the connection is not encrypted.
    pub in_clear: bool,
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
    /// For LHLO: 300 s.
    pub lhlo: Duration,
    /// For STARTTLS: 300 s.
    pub starttls: Duration,
    /// For XCLIENT: 300 s.
    pub xclient: Duration,
    /// For AUTH CRAM-MD5: 300 s.
    pub auth_cram_md5: Duration,
    /// For AUTH PLAIN: 300 s.
    pub auth_plain: Duration,
    /// For AUTH LOGIN: 300 s.
    pub auth_login: Duration,
    /// For the question after the user name of AUTH LOGIN: 300 s.
    pub auth_login_user: Duration,
    /// For what follows the last thing said to log in: 300 s.
    pub auth: Duration,
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
            protocol: Protocol::default(),
            eight_bit_as_is: true,
            chunking: true,
            starttls: StartTls::default(),
            login: None,
            xclient: Vec::new(),
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
            lhlo: usual,
            starttls: usual,
            xclient: usual,
            auth_cram_md5: usual,
            auth_plain: usual,
            auth_login: usual,
            auth_login_user: usual,
            auth: usual,
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
    /// Sets the time for the reply of `phase`.
    pub fn set(&mut self, phase: Phase, wait: Duration) {
        let place = match phase {
            Phase::Banner => &mut self.banner,
            Phase::Ehlo => &mut self.ehlo,
            Phase::Helo => &mut self.helo,
            Phase::Lhlo => &mut self.lhlo,
            Phase::StartTls => &mut self.starttls,
            Phase::Xclient => &mut self.xclient,
            Phase::AuthCramMd5 => &mut self.auth_cram_md5,
            Phase::AuthPlain => &mut self.auth_plain,
            Phase::AuthLogin => &mut self.auth_login,
            Phase::AuthLoginUser => &mut self.auth_login_user,
            Phase::Auth => &mut self.auth,
            Phase::Mail => &mut self.mail,
            Phase::Rcpt => &mut self.rcpt,
            Phase::Data => &mut self.data,
            Phase::Body => &mut self.body,
            Phase::Eod => &mut self.eod,
            Phase::Rset => &mut self.rset,
            Phase::Quit => &mut self.quit,
        };
        *place = wait;
    }

    /// The time for the reply of `phase`.
    pub fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Banner => self.banner,
            Phase::Ehlo => self.ehlo,
            Phase::Helo => self.helo,
            Phase::Lhlo => self.lhlo,
            Phase::StartTls => self.starttls,
            Phase::Xclient => self.xclient,
            Phase::AuthCramMd5 => self.auth_cram_md5,
            Phase::AuthPlain => self.auth_plain,
            Phase::AuthLogin => self.auth_login,
            Phase::AuthLoginUser => self.auth_login_user,
            Phase::Auth => self.auth,
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
