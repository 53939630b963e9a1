//! The states that replies are awaited in.

use std::fmt;

/// What the client waits for. The names are those of time-outs, logs and results.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The greeting.
    Banner,
    /// The reply to EHLO.
    Ehlo,
    /// The reply to HELO.
    Helo,
    /// The reply to LHLO.
    Lhlo,
    /// The reply to STARTTLS, and the handshake.
    StartTls,
    /// The reply to XCLIENT.
    Xclient,
    /// The challenge after AUTH CRAM-MD5.
    AuthCramMd5,
    /// The reply to AUTH PLAIN.
    AuthPlain,
    /// The question for the user name after AUTH LOGIN.
    AuthLogin,
    /// The question for the password after the user name.
    AuthLoginUser,
    /// The reply to the last thing that is said to log in, and each challenge of SCRAM.
    Auth,
    /// The reply to MAIL. Also between transactions.
    Mail,
    /// The reply to RCPT.
    Rcpt,
    /// The reply to DATA.
    Data,
    /// The peer to take the message.
    Body,
    /// The reply to the final dot, or to the last BDAT.
    Eod,
    /// The reply to RSET.
    Rset,
    /// The reply to QUIT.
    Quit,
}

impl Phase {
    /// All of them, in the order of a session.
    pub const ALL: [Phase; 18] = [
        Phase::Banner,
        Phase::Ehlo,
        Phase::Helo,
        Phase::Lhlo,
        Phase::StartTls,
        Phase::Xclient,
        Phase::AuthCramMd5,
        Phase::AuthPlain,
        Phase::AuthLogin,
        Phase::AuthLoginUser,
        Phase::Auth,
        Phase::Mail,
        Phase::Rcpt,
        Phase::Data,
        Phase::Body,
        Phase::Eod,
        Phase::Rset,
        Phase::Quit,
    ];

    /// `BANNER`, `EHLO`, ... `EOD`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Banner => "BANNER",
            Phase::Ehlo => "EHLO",
            Phase::Helo => "HELO",
            Phase::Lhlo => "LHLO",
            Phase::StartTls => "STARTTLS",
            Phase::Xclient => "XCLIENT",
            Phase::AuthCramMd5 => "AUTH-CRAM-MD5",
            Phase::AuthPlain => "AUTH-PLAIN",
            Phase::AuthLogin => "AUTH-LOGIN",
            Phase::AuthLoginUser => "AUTH-LOGIN-USER",
            Phase::Auth => "AUTH",
            Phase::Mail => "MAIL",
            Phase::Rcpt => "RCPT",
            Phase::Data => "DATA",
            Phase::Body => "BODY",
            Phase::Eod => "EOD",
            Phase::Rset => "RSET",
            Phase::Quit => "QUIT",
        }
    }

    /// Whether a refusal here is about the message or a recipient. At any other it is about us or the peer, and
    /// says nothing about what another host, or the same one tomorrow, does.
    pub fn is_about_message(self) -> bool {
        matches!(self, Phase::Mail | Phase::Rcpt | Phase::Data | Phase::Body | Phase::Eod)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
