//! SPF (RFC 7208): whether a client may send for a domain.
//!
//! A [`Check`] asks nobody itself. It says what it needs to know, is told, and says the next thing, until it knows the
//! result. Inside, each answer makes it evaluate the records anew from what it has been told so far: the limits of the
//! standard keep that short.
//!
//! ```
//! use mail::spf::{Answer, Check, Identity, Kind, Result, Step};
//!
//! let identity = Identity {
//!     ip: "192.0.2.1".parse()?,
//!     helo: "mail.example.org".into(),
//!     sender: "joe@example.org".into(),
//!     receiver: "mx.example.net".into(),
//!     now: 0,
//! };
//! let mut check = Check::new(identity);
//! let Step::Ask(question) = check.step() else { panic!("the record is not known yet") };
//! assert_eq!((question.kind, question.name.as_str()), (Kind::Txt, "example.org"));
//! check.answer(Answer::Records(vec!["v=spf1 ip4:192.0.2.0/24 -all".into()]));
//! let Step::Done(outcome) = check.step() else { panic!("everything is known") };
//! assert_eq!(outcome.result, Result::Pass);
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod evaluate;
mod macros;
mod record;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;

/// What SPF says (RFC 7208, section 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// There is no record, or no domain to ask for one.
    None,
    /// The domain says nothing about this client.
    Neutral,
    /// The client may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// The DNS gave no answer.
    TempError,
    /// The records of the domain are wrong.
    PermError,
}

impl Result {
    /// The word for it in scripts and header fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// Who wants to send what.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The client's address; an IPv4-mapped one counts as IPv4.
    pub ip: IpAddr,
    /// What it said in HELO. Labels of domains, here and in the sender, may be in other scripts (U-labels).
    pub helo: String,
    /// The sender, an address or only a domain; empty for the null sender, then the HELO name counts.
    pub sender: String,
    /// Our name, for explanations.
    pub receiver: String,
    /// Seconds since 1970, for explanations.
    pub now: u64,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The result.
    pub result: Result,
    /// What the domain says to those that it refuses, or what is wrong.
    pub reason: Option<String>,
}

/// A type of DNS records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Texts, each with its strings concatenated.
    Txt,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Names of mail exchangers.
    Mx,
    /// Names of an address.
    Ptr,
}

/// Something to ask the DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The type.
    pub kind: Kind,
    /// The name, lower case, without a final dot.
    pub name: String,
}

/// What the DNS said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The records in their text form: addresses, names, texts.
    Records(Vec<String>),
    /// There are no such records, or no such name.
    Nothing,
    /// No answer that can be used: a time-out, a server that failed, an answer that makes no sense.
    Temporary,
}

/// What a check needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The answer to this, through [`Check::answer`].
    Ask(Question),
    /// Nothing more.
    Done(Outcome),
}

/// A check under way.
#[derive(Debug, Clone)]
pub struct Check {
    identity: Identity,
    answers: HashMap<Question, Answer>,
    asked: Option<Question>,
}

impl Check {
    /// Begins one.
    pub fn new(mut identity: Identity) -> Self {
        identity.ip = identity.ip.to_canonical();
        Self { identity, answers: HashMap::new(), asked: None }
    }

    /// The result, or what it needs to know.
    pub fn step(&mut self) -> Step {
        match evaluate::evaluate(&self.identity, &self.answers) {
            Ok(outcome) => Step::Done(outcome),
            Err(question) => {
                self.asked = Some(question.clone());
                Step::Ask(question)
            }
        }
    }

    /// The answer to the question that [`step`](Self::step) gave last; without one it is ignored.
    pub fn answer(&mut self, answer: Answer) {
        if let Some(question) = self.asked.take() {
            self.answers.insert(question, answer);
        }
    }
}
