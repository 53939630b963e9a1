//! `servers[].tls` and `session.tls`.

mod checks;
mod ciphers;
mod protocols;

use crate::tree::{Checked, Tree};

pub(crate) use checks::{check_monitor, check_servers, check_transports};
pub use ciphers::CipherList;
pub use protocols::TlsVersions;

/// `servers[].tls`, where `certs.cert` is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// `certs.cert`: id of the `pki.private` entry for clients that ask for no name, or for an unknown one.
    pub certificate: String,
    /// `certs.sni`: names, or `*.` and a domain, with ids of `pki.private`.
    pub by_name: Vec<(String, String)>,
    /// Which listeners begin in TLS.
    pub implicit: Implicit,
    /// What may be agreed on.
    pub protocols: TlsProtocols,
    /// `clientcert`.
    pub client_certificates: ClientCertificates,
    /// Refuse MAIL before TLS.
    pub required: bool,
}

/// `servers[].tls.implicit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Implicit {
    /// None.
    None,
    /// All.
    All,
    /// Those with these ids.
    Listeners(Vec<String>),
}

/// `servers[].tls.clientcert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Clients are not asked.
    Disabled,
    /// They are asked; any answer will do.
    Optional,
    /// They must show one that `pki.trusted` vouches for.
    Require,
}

/// `protocols` and `ciphers` together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProtocols {
    /// `protocols`.
    pub versions: TlsVersions,
    /// `ciphers`; `None`: all that there are.
    pub ciphers: Option<CipherList>,
}

/// `session.tls` of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportTls {
    /// `mode`; `None`: nothing is said, and everything is in clear.
    pub mode: Option<TlsMode>,
    /// What a server's certificate must satisfy in the modes that check it.
    pub verify: VerifyTls,
    /// TLS from the first byte, without STARTTLS.
    pub implicit: bool,
    /// What may be agreed on.
    pub protocols: TlsProtocols,
    /// The name to ask for.
    pub sni: SendName,
    /// `clientcert`: id of the `pki.private` entry to show.
    pub client_certificate: Option<String>,
}

/// Policy of outgoing TLS (configuration 4.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// Everything is in clear.
    Disabled,
    /// In clear where TLS cannot be had.
    Optional,
    /// The same, also where the certificate does not pass.
    OptionalVerify,
    /// No mail without TLS.
    Require,
    /// No mail without a certificate that passes.
    RequireVerify,
    /// A host with secure TLSA records gets mail over TLS as those say (RFC 7672); any other as if TLS was optional.
    Dane,
    /// The same, and no mail for hosts without.
    DaneRequire,
    /// The same, and for hosts without no mail without TLS.
    DaneFallbackRequire,
    /// The same, and for hosts without no mail without a certificate that passes.
    DaneFallbackRequireVerify,
}

/// `session.tls.verify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyTls {
    /// The certificate must be for the host that was connected to. Not asked where there are `names`.
    pub host: bool,
    /// The certificate must be for one of these; empty: `host` decides.
    pub names: Vec<String>,
    /// The system's authorities are trusted, besides those of `pki.trusted`.
    pub default_ca: bool,
}

/// `session.tls.sni`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SendName {
    /// None.
    Off,
    /// That of the host that was connected to.
    Host,
    /// This one.
    Name(String),
}

impl TlsProtocols {
    /// TLS 1.2 is spoken.
    pub fn tls12(&self) -> bool {
        self.versions.tls12 && self.ciphers.as_ref().is_none_or(|ciphers| !ciphers.tls12.is_empty())
    }

    /// TLS 1.3 is spoken.
    pub fn tls13(&self) -> bool {
        self.versions.tls13 && self.ciphers.as_ref().is_none_or(|ciphers| !ciphers.tls13.is_empty())
    }

    /// IANA numbers of cipher suites in order of preference; `None`: all.
    pub fn suites(&self) -> Option<Vec<u16>> {
        self.ciphers.as_ref().map(|ciphers| [&*ciphers.tls13, &*ciphers.tls12].concat())
    }
}

impl TlsMode {
    const ALL: [(&'static str, TlsMode); 9] = [
        ("disabled", TlsMode::Disabled),
        ("optional", TlsMode::Optional),
        ("optional_verify", TlsMode::OptionalVerify),
        ("require", TlsMode::Require),
        ("require_verify", TlsMode::RequireVerify),
        ("dane", TlsMode::Dane),
        ("dane_require", TlsMode::DaneRequire),
        ("dane_fallback_require", TlsMode::DaneFallbackRequire),
        ("dane_fallback_require_verify", TlsMode::DaneFallbackRequireVerify),
    ];

    /// The mode of a name; `None`: it is not one of those that there are.
    pub fn parse(name: &str) -> Option<TlsMode> {
        TlsMode::ALL.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode)
    }

    /// Its name, as files have it.
    pub fn name(self) -> &'static str {
        TlsMode::ALL.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }

    /// Certificates are held against authorities; under DANE, of hosts without secure TLSA records.
    pub fn verifies(self) -> bool {
        matches!(self, TlsMode::OptionalVerify | TlsMode::RequireVerify | TlsMode::DaneFallbackRequireVerify)
    }

    /// TLSA records of a host go before everything else.
    pub fn is_dane(self) -> bool {
        matches!(
            self,
            TlsMode::Dane
                | TlsMode::DaneRequire
                | TlsMode::DaneFallbackRequire
                | TlsMode::DaneFallbackRequireVerify
        )
    }

    /// Deliver in clear where TLS cannot be had; under DANE, to hosts without secure TLSA records.
    pub fn is_optional(self) -> bool {
        matches!(self, TlsMode::Optional | TlsMode::OptionalVerify | TlsMode::Dane)
    }
}

impl TransportTls {
    /// TLS is used, or tried.
    pub fn is_on(&self) -> bool {
        !matches!(self.mode, None | Some(TlsMode::Disabled))
    }

    /// Deliver in clear where TLS cannot be had. Behind a port that begins in TLS nobody speaks in clear.
    pub fn is_optional(&self) -> bool {
        self.mode.is_some_and(TlsMode::is_optional) && !self.implicit
    }

    /// Hosts are asked for TLSA records.
    pub fn is_dane(&self) -> bool {
        self.mode.is_some_and(TlsMode::is_dane)
    }

    /// What a server's certificate must satisfy; `None`: anything will do.
    pub fn checks(&self) -> Option<&VerifyTls> {
        self.mode.is_some_and(TlsMode::verifies).then_some(&self.verify)
    }
}

/// The typed value at `servers[].tls`, from a tree without errors and with all defaults.
pub(crate) fn server(tls: &Tree) -> Option<ServerTls> {
    let name = |tree: &Tree| {
        let text = |key| tree.text(key).expect("required").to_owned();
        (text("hostname").to_ascii_lowercase(), text("cert"))
    };
    Some(ServerTls {
        certificate: tls.text("certs.cert")?.to_owned(),
        by_name: tls.items("certs.sni").iter().map(name).collect(),
        implicit: match tls.bool("implicit") {
            Some(true) => Implicit::All,
            Some(false) => Implicit::None,
            None => Implicit::Listeners(texts(tls.items("implicit"))),
        },
        protocols: protocols(tls),
        client_certificates: match tls.text("clientcert") {
            Some("optional") => ClientCertificates::Optional,
            Some("require") => ClientCertificates::Require,
            _ => ClientCertificates::Disabled,
        },
        required: tls.bool("required").expect("has a default"),
    })
}

/// The typed value of `session.tls` of a transport, from a tree without errors and with all defaults.
pub(crate) fn transport(transport: &Tree) -> TransportTls {
    let tls = transport.get("session.tls");
    let bool = |key| tls.and_then(|tls| tls.bool(key));
    let text = |key| tls.and_then(|tls| tls.text(key));
    TransportTls {
        mode: text("mode").and_then(TlsMode::parse),
        verify: VerifyTls {
            host: bool("verify.host").unwrap_or(true),
            names: tls.map_or_else(Vec::new, |tls| texts(tls.items("verify.names"))),
            default_ca: bool("verify.defaultca").unwrap_or(true),
        },
        implicit: bool("implicit").unwrap_or(false),
        protocols: tls.map_or(TlsProtocols { versions: TlsVersions::ALL, ciphers: None }, protocols),
        sni: match (bool("sni"), text("sni")) {
            (_, Some(name)) => SendName::Name(name.to_owned()),
            (Some(true), None) => SendName::Host,
            _ => SendName::Off,
        },
        client_certificate: text("clientcert").map(str::to_owned),
    }
}

fn protocols(tls: &Tree) -> TlsProtocols {
    let parsed = "checked with the scalar";
    let versions = tls.text("protocols").map(|text| TlsVersions::parse(text).expect(parsed));
    TlsProtocols {
        versions: versions.unwrap_or(TlsVersions::ALL),
        ciphers: tls.text("ciphers").map(|list| CipherList::parse(list).expect(parsed)),
    }
}

fn texts(items: &[Tree]) -> Vec<String> {
    let text = |item: &Tree| match &item.value {
        Checked::Text(text) => Some(text.clone()),
        _ => None,
    };
    items.iter().filter_map(text).collect()
}
