//! The hosts that take a domain's mail (RFC 5321 section 5, RFC 7505).

use std::net::IpAddr;
use std::sync::Arc;

/// Which addresses are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

/// A host that takes mail, with at least one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailHost {
    /// Its name; for an address literal the address in brackets.
    pub name: Arc<str>,
    /// Its addresses, in the order in which to try them.
    pub addresses: Vec<IpAddr>,
    /// Preference of its MX record; 0 when there is none.
    pub preference: u16,
}

/// What a search for hosts came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailHosts {
    /// Hosts in the order in which to try them.
    Found(Vec<MailHost>),
    /// The domain says that it takes no mail (RFC 7505): permanent, 556 5.1.10.
    NullMx,
    /// The domain does not exist (NXDOMAIN), with the text for the log.
    NoDomain(Arc<str>),
    /// The domain exists and has no host with a usable address: no MX and no address, or MX hosts without one.
    NoMailHost(Arc<str>),
    /// Not known now: SERVFAIL, timeout, too many questions. Our side or the name servers' side: never a bounce.
    Temporary(Arc<str>),
}
