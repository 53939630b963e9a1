//! Why an attempt did not deliver: for log lines, listings and delivery status notifications.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

/// What went wrong, and who said so.
///
/// `Display` is one line for logs and listings: `RCPT: 550 5.1.1 no such user`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnosis {
    /// The peer's reply, codes first, its lines joined by a space; or a sentence of ours when `code` is `None`.
    pub text: Box<str>,
    /// Reply code of the peer, where it replied.
    pub code: Option<u16>,
    /// Enhanced code: the peer's, or ours for what was found without it.
    pub enhanced: Option<EnhancedCode>,
    /// What was awaited when it happened, as hooks 9.4 names it: `BANNER`, `RCPT`, `EOD`...
    pub phase: Option<&'static str>,
    /// Who replied, or with whom the connection failed.
    pub remote: Option<Remote>,
}

/// An enhanced status code (RFC 3463), such as 5.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedCode {
    /// 2 success, 4 transient failure, 5 permanent failure.
    pub class: u8,
    /// Which part of the system, 0 to 999.
    pub subject: u16,
    /// What is the matter with it, 0 to 999.
    pub detail: u16,
}

/// A peer. `Display`: `mx.example.net[192.0.2.1]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Remote {
    /// Its host name, or its address where the configuration has that.
    pub name: Arc<str>,
    /// Its address.
    pub address: IpAddr,
}

/// A [`Diagnosis`] that is shared between the recipients it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason(Arc<Diagnosis>);

impl Diagnosis {
    /// A sentence of ours, without a reply.
    pub fn new(text: impl Into<Box<str>>) -> Diagnosis {
        Diagnosis { text: text.into(), code: None, enhanced: None, phase: None, remote: None }
    }

    /// With an enhanced code.
    pub fn with_enhanced(self, class: u8, subject: u16, detail: u16) -> Diagnosis {
        Diagnosis { enhanced: Some(EnhancedCode { class, subject, detail }), ..self }
    }

    /// With the peer it is about.
    pub fn with_remote(self, remote: Remote) -> Diagnosis {
        Diagnosis { remote: Some(remote), ..self }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase {
            Some(phase) => write!(f, "{phase}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.name, self.address)
    }
}

impl Deref for Reason {
    type Target = Diagnosis;

    fn deref(&self) -> &Diagnosis {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Diagnosis> for Reason {
    fn from(diagnosis: Diagnosis) -> Reason {
        Reason(Arc::new(diagnosis))
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Reason {
        Diagnosis::new(text).into()
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Reason {
        Diagnosis::new(text).into()
    }
}

impl From<Arc<str>> for Reason {
    fn from(text: Arc<str>) -> Reason {
        Diagnosis::new(&*text).into()
    }
}
