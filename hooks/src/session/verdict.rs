//! What hooks say, in the server's words, and how it is read from the decision of a script.

use std::net::IpAddr;

use net::smtp::address::Address;
use net::smtp::reply::Reply;

use crate::codes::{self, Codes, Refusals, Said};
use crate::decision::{Decision, Failure, Options};

/// What a hook says: go on with what is in it, or answer and do not.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Go on.
    Accept(T),
    /// Answer this instead.
    Refuse(Refusal),
}

/// An answer that ends a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What to say. Its enhanced code is left out where the client was not promised any.
    pub reply: Reply,
    /// Close the connection afterwards.
    pub disconnect: bool,
}

/// A connection is welcome.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// Text of the banner, if the script has one.
    pub banner: Option<String>,
}

/// HELO or EHLO is accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HelloAccepted {
    /// Keyword lines to announce instead of the server's.
    pub extensions: Option<Vec<String>>,
    /// First line of the reply.
    pub greeting: Option<String>,
}

/// AUTH is decided.
#[derive(Debug, PartialEq, Eq)]
pub enum AuthVerdict {
    /// Authenticated.
    Accept(AuthAccepted),
    /// Not, or not now.
    Refuse(Refusal),
    /// These bytes go to the client; its answer comes back with the next round.
    Challenge {
        /// What to send, before base64.
        bytes: Vec<u8>,
        /// Close the connection afterwards.
        disconnect: bool,
    },
}

/// Somebody is authenticated.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthAccepted {
    /// The name that counts.
    pub username: Option<Vec<u8>>,
    /// What to answer.
    pub reply: Reply,
}

/// MAIL is accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct MailAccepted {
    /// Another sender, for all recipients.
    pub sender: Option<Option<Address>>,
    /// Another answer than the server's.
    pub reply: Option<Reply>,
}

/// RCPT is accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct RcptAccepted {
    /// Another recipient.
    pub recipient: Option<Address>,
    /// Another transport.
    pub transport: Option<String>,
    /// Another answer than the server's.
    pub reply: Option<Reply>,
}

/// The message is taken.
#[derive(Debug, PartialEq, Eq)]
pub struct MessageAccepted {
    /// Another answer than the server's.
    pub reply: Option<Reply>,
}

/// What becomes of a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Proxied {
    /// The server handles the line, or this one instead.
    Pass {
        /// The replacement.
        command: Option<String>,
        /// The next line comes here too, whatever it is.
        next: bool,
    },
    /// It is answered; the server does not see it.
    Reply {
        /// The answer.
        reply: Reply,
        /// Close the connection afterwards.
        disconnect: bool,
        /// The next line comes here too, whatever it is.
        next: bool,
    },
}

/// What a decision to accept, reject or defer means.
pub(super) fn verdict<T>(
    decision: &Decision,
    refusals: &Refusals,
    accept: impl FnOnce(&Options) -> Result<T, Failure>,
) -> Result<Verdict<T>, Failure> {
    if decision.name == "Accept" {
        return accept(&decision.options(0)?).map(Verdict::Accept);
    }
    refused(decision, refusals).map(Verdict::Refuse)
}

/// `Reject` or `Defer`, with the reason and options of the script.
fn refused(decision: &Decision, refusals: &Refusals) -> Result<Refusal, Failure> {
    let (default, class) = match decision.name {
        "Reject" => (refusals.reject, 5),
        _ => (refusals.defer, 4),
    };
    let options = decision.options(1)?;
    let codes = options.codes(default.codes, &[class])?;
    let text = decision.reason()?;
    Ok(Refusal {
        reply: codes.reply(text.as_deref().unwrap_or(default.text)),
        disconnect: refusals.closes || options.boolean("disconnect")?,
    })
}

/// What the client hears of a script that failed, or that ends where that means a delay.
pub(super) fn refusal(refusals: &Refusals) -> Refusal {
    let Said { codes, text } = refusals.defer;
    Refusal { reply: codes.reply(text), disconnect: refusals.closes }
}

pub(super) fn failed<T>(refusals: &Refusals) -> Verdict<T> {
    Verdict::Refuse(refusal(refusals))
}

/// The reply of an accepting decision, where it says anything about that.
pub(super) fn accepting_reply(options: &Options, codes: Codes, text: &str) -> Result<Option<Reply>, Failure> {
    let given = options.reason()?;
    if given.is_none() && !options.has("reply_codes") {
        return Ok(None);
    }
    let codes = options.codes(codes, &[2])?;
    Ok(Some(codes.reply(given.as_deref().unwrap_or(text))))
}

pub(super) fn proxied(decision: &Decision) -> Result<Proxied, Failure> {
    if decision.name == "Pass" {
        let options = decision.options(0)?;
        return Ok(Proxied::Pass { command: options.string("command")?, next: options.boolean("next")? });
    }
    let options = decision.options(1)?;
    let default = codes::PROXY_REPLY;
    let codes = options.codes(default.codes, &[2, 3, 4, 5])?;
    let text = decision.reason()?;
    Ok(Proxied::Reply {
        reply: codes.reply(text.as_deref().unwrap_or(default.text)),
        disconnect: options.boolean("disconnect")?,
        next: options.boolean("next")?,
    })
}

pub(super) fn auth_verdict(decision: &Decision, username: Option<&[u8]>) -> Result<AuthVerdict, Failure> {
    match decision.name {
        "Accept" => {
            let options = decision.options(0)?;
            let default = codes::AUTH_ACCEPTED;
            let reply = accepting_reply(&options, default.codes, default.text)?;
            Ok(AuthVerdict::Accept(AuthAccepted {
                username: options.bytes("username")?.or_else(|| username.map(<[u8]>::to_vec)),
                reply: reply.unwrap_or_else(|| default.codes.reply(default.text)),
            }))
        }
        "Reply" => {
            let options = decision.options(1)?;
            // SMTP knows no other code here (RFC 4954 section 4).
            options.codes(Codes { code: 334, enhanced: None }, &[3])?;
            Ok(AuthVerdict::Challenge {
                bytes: decision.bytes()?,
                disconnect: options.boolean("disconnect")?,
            })
        }
        _ => refused(decision, &codes::AUTH).map(AuthVerdict::Refuse),
    }
}

pub(super) fn parse_ip(text: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| Failure(format!("option \"remoteip\": \"{text}\" is not an address")))
}
