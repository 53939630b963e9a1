//! `servers[].tls` and `session.tls`.

mod checks;
mod ciphers;
mod protocols;

use crate::tree::{Checked, Tree};

pub(crate) use checks::{check_servers, check_transports};
pub(crate) use ciphers::CipherList;
pub(crate) use protocols::Versions;

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
    /// TLS 1.2 is spoken.
    pub tls12: bool,
    /// TLS 1.3 is spoken. One of the two is.
    pub tls13: bool,
    /// IANA numbers of cipher suites in order of preference; `None`: all.
    pub suites: Option<Vec<u16>>,
}

/// `session.tls` of a transport, unless its mode is `disabled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportTls {
    /// Deliver in clear where TLS cannot be had.
    pub optional: bool,
    /// What a server's certificate must satisfy; `None`: anything will do.
    pub verify: Option<VerifyTls>,
    /// TLS from the first byte, without STARTTLS.
    pub implicit: bool,
    /// What may be agreed on.
    pub protocols: TlsProtocols,
    /// The name to ask for.
    pub sni: SendName,
    /// `clientcert`: id of the `pki.private` entry to show.
    pub client_certificate: Option<String>,
}

/// `session.tls.verify`, in the modes that check.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendName {
    /// None.
    Off,
    /// That of the host that was connected to.
    Host,
    /// This one.
    Name(String),
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

/// The typed value at `session.tls`, from a tree without errors and with all defaults.
pub(crate) fn transport(tls: &Tree) -> Option<TransportTls> {
    let mode = tls.text("mode").unwrap_or("disabled");
    if mode == "disabled" {
        return None;
    }
    let verify = mode.ends_with("_verify").then(|| VerifyTls {
        host: tls.bool("verify.host").unwrap_or(true),
        names: texts(tls.items("verify.names")),
        default_ca: tls.bool("verify.defaultca").unwrap_or(true),
    });
    let implicit = tls.bool("implicit").expect("has a default");
    Some(TransportTls {
        // Behind a port that begins in TLS nobody speaks in clear.
        optional: mode.starts_with("optional") && !implicit,
        verify,
        implicit,
        protocols: protocols(tls),
        sni: match (tls.bool("sni"), tls.text("sni")) {
            (_, Some(name)) => SendName::Name(name.to_owned()),
            (Some(true), None) => SendName::Host,
            _ => SendName::Off,
        },
        client_certificate: tls.text("clientcert").map(str::to_owned),
    })
}

fn protocols(tls: &Tree) -> TlsProtocols {
    let parsed = "checked with the scalar";
    let versions = tls.text("protocols").map(|text| Versions::parse(text).expect(parsed));
    let versions = versions.unwrap_or(Versions::ALL);
    let Some(list) = tls.text("ciphers") else {
        return TlsProtocols { tls12: versions.tls12, tls13: versions.tls13, suites: None };
    };
    let CipherList { tls12, tls13 } = CipherList::parse(list).expect(parsed);
    TlsProtocols {
        tls12: versions.tls12 && !tls12.is_empty(),
        tls13: versions.tls13 && !tls13.is_empty(),
        suites: Some(tls13.into_iter().chain(tls12).collect()),
    }
}

fn texts(items: &[Tree]) -> Vec<String> {
    let text = |item: &Tree| match &item.value {
        Checked::Text(text) => Some(text.clone()),
        _ => None,
    };
    items.iter().filter_map(text).collect()
}
