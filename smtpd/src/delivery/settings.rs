//! What one attempt uses instead of what its transport says.
//!
//! Three layers (configuration 4.8.1): what the script's `Try` says goes before the delivery file, and that before the
//! transport. Each is an [`AttemptSettings`] over the one below, where `None` leaves a member as it is there; the
//! lowest is the transport itself, and what comes out is a [`Route`](crate::snapshot::Route) as if it was configured so.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use config::{
    CipherList, MxPattern, NextHop, RetryInterval, SendName, TlsMode, TlsVersions, Transport, TransportLogin,
};

/// Settings of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AttemptSettings {
    /// Where to: a host, an address, or what MX records say.
    pub next_hop: Option<NextHop>,
    /// TCP port.
    pub port: Option<u16>,
    /// Which of a domain's hosts may be used.
    pub mx_include: Option<Vec<MxPattern>>,
    /// Which may not.
    pub mx_exclude: Option<Vec<MxPattern>>,
    /// Source addresses, for both families: one of which there is none here is not used.
    pub sources: Option<Vec<SourceAddress>>,
    /// Spread messages over the source addresses; `false`: the first that may be used.
    pub spread: Option<bool>,
    /// Bind source addresses though the host need not have them.
    pub nonlocal: Option<bool>,
    /// Who connects on our behalf.
    pub proxy: Option<SocketAddr>,
    /// The HELO name, but for a source address here that has its own.
    pub helo: Option<String>,
    /// LMTP instead of SMTP.
    pub lmtp: Option<bool>,
    /// Whom to log in as.
    pub login: Option<TransportLogin>,
    /// XCLIENT attributes: name in upper case, value.
    pub xclient: Option<Vec<(String, String)>>,
    /// TLS.
    pub tls: TlsSettings,
    /// TCP connect.
    pub connect_timeout: Option<Duration>,
    /// Wait for a reply, by the name of the state (hooks 9.4).
    pub timeouts: BTreeMap<String, Duration>,
    /// How the connection is used again.
    pub pooling: PoolingSettings,
    /// Retries after the first attempt.
    pub retry_count: Option<u32>,
    /// Waits between attempts; not empty.
    pub retry_intervals: Option<Vec<RetryInterval>>,
}

/// A source address of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceAddress {
    /// An id of `addresses`, with the HELO name to use there.
    Id(String, Option<String>),
    /// An address itself, with the same.
    Address(IpAddr, Option<String>),
}

/// TLS of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// The policy.
    pub mode: Option<TlsMode>,
    /// Versions.
    pub versions: Option<TlsVersions>,
    /// Cipher suites.
    pub ciphers: Option<CipherList>,
    /// The name to ask for.
    pub sni: Option<SendName>,
    /// The certificate must be for the host connected to.
    pub verify_host: Option<bool>,
    /// The certificate must be for one of these instead.
    pub verify_names: Option<Vec<String>>,
    /// The system's authorities are trusted.
    pub default_ca: Option<bool>,
    /// Id of the `pki.private` entry to show.
    pub client_certificate: Option<String>,
}

/// How a connection is used again (configuration 6.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PoolingSettings {
    /// It is kept for other messages.
    pub enabled: Option<bool>,
    /// How long it may be idle.
    pub timeout: Option<Duration>,
    /// Messages before it is closed.
    pub transactions: Option<u32>,
    /// It may be closed early when the pool is full.
    pub evictable: Option<bool>,
}

impl AttemptSettings {
    /// Nothing is set: the transport decides.
    pub fn is_empty(&self) -> bool {
        *self == AttemptSettings::default()
    }

    /// These, and of `below` what is not set here.
    #[must_use]
    pub fn over(mut self, below: &AttemptSettings) -> AttemptSettings {
        fill(&mut self.next_hop, &below.next_hop);
        fill(&mut self.port, &below.port);
        fill(&mut self.mx_include, &below.mx_include);
        fill(&mut self.mx_exclude, &below.mx_exclude);
        fill(&mut self.sources, &below.sources);
        fill(&mut self.spread, &below.spread);
        fill(&mut self.nonlocal, &below.nonlocal);
        fill(&mut self.proxy, &below.proxy);
        fill(&mut self.helo, &below.helo);
        fill(&mut self.lmtp, &below.lmtp);
        fill(&mut self.login, &below.login);
        fill(&mut self.xclient, &below.xclient);
        fill(&mut self.tls.mode, &below.tls.mode);
        fill(&mut self.tls.versions, &below.tls.versions);
        fill(&mut self.tls.ciphers, &below.tls.ciphers);
        fill(&mut self.tls.sni, &below.tls.sni);
        fill(&mut self.tls.verify_host, &below.tls.verify_host);
        fill(&mut self.tls.verify_names, &below.tls.verify_names);
        fill(&mut self.tls.default_ca, &below.tls.default_ca);
        fill(&mut self.tls.client_certificate, &below.tls.client_certificate);
        fill(&mut self.connect_timeout, &below.connect_timeout);
        for (state, wait) in &below.timeouts {
            self.timeouts.entry(state.clone()).or_insert(*wait);
        }
        fill(&mut self.pooling.enabled, &below.pooling.enabled);
        fill(&mut self.pooling.timeout, &below.pooling.timeout);
        fill(&mut self.pooling.transactions, &below.pooling.transactions);
        fill(&mut self.pooling.evictable, &below.pooling.evictable);
        fill(&mut self.retry_count, &below.retry_count);
        fill(&mut self.retry_intervals, &below.retry_intervals);
        self
    }

    /// Lays them over a transport, but for source addresses, pooling and retries, which go into the route itself.
    pub(crate) fn lay_over(&self, transport: &mut Transport) {
        set(&mut transport.next_hop, &self.next_hop);
        set(&mut transport.port, &self.port);
        set(&mut transport.mx.include, &self.mx_include);
        set(&mut transport.mx.exclude, &self.mx_exclude);
        set(&mut transport.source_random, &self.spread);
        transport.proxy = self.proxy.or(transport.proxy);
        if self.helo.is_some() {
            transport.helo.clone_from(&self.helo);
        }
        set(&mut transport.session.lmtp, &self.lmtp);
        if self.login.is_some() {
            transport.session.login.clone_from(&self.login);
        }
        set(&mut transport.session.xclient, &self.xclient);
        let tls = &mut transport.tls;
        tls.mode = self.tls.mode.or(tls.mode);
        set(&mut tls.protocols.versions, &self.tls.versions);
        if self.tls.ciphers.is_some() {
            tls.protocols.ciphers.clone_from(&self.tls.ciphers);
        }
        set(&mut tls.sni, &self.tls.sni);
        set(&mut tls.verify.host, &self.tls.verify_host);
        set(&mut tls.verify.names, &self.tls.verify_names);
        set(&mut tls.verify.default_ca, &self.tls.default_ca);
        if self.tls.client_certificate.is_some() {
            tls.client_certificate.clone_from(&self.tls.client_certificate);
        }
        set(&mut transport.timeouts.connect, &self.connect_timeout);
        for (state, wait) in &self.timeouts {
            transport.timeouts.set(state, *wait);
        }
    }
}

fn fill<T: Clone>(value: &mut Option<T>, below: &Option<T>) {
    if value.is_none() {
        value.clone_from(below);
    }
}

fn set<T: Clone>(value: &mut T, over: &Option<T>) {
    if let Some(over) = over {
        value.clone_from(over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(mode: TlsMode) -> AttemptSettings {
        AttemptSettings { tls: TlsSettings { mode: Some(mode), ..Default::default() }, ..Default::default() }
    }

    #[test]
    fn the_upper_layer_goes_first_member_by_member() {
        let wait = |state: &str, seconds| (state.to_owned(), Duration::from_secs(seconds));
        let script = AttemptSettings {
            port: Some(26),
            timeouts: BTreeMap::from([wait("MAIL", 1)]),
            ..mode(TlsMode::Require)
        };
        let file = AttemptSettings {
            port: Some(27),
            retry_count: Some(3),
            timeouts: BTreeMap::from([wait("MAIL", 2), wait("EOD", 2)]),
            ..mode(TlsMode::Optional)
        };
        let laid = script.over(&file);
        assert_eq!((laid.port, laid.retry_count, laid.tls.mode), (Some(26), Some(3), Some(TlsMode::Require)));
        assert_eq!(laid.timeouts, BTreeMap::from([wait("MAIL", 1), wait("EOD", 2)]));
        assert!(!laid.is_empty() && AttemptSettings::default().over(&AttemptSettings::default()).is_empty());
    }
}
