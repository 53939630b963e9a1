//! From the configuration's words to what speaks TLS.

use config::{SendName, ServerTls, TlsProtocols, TransportTls};
use tls::{
    CertificateDer, ClientCertificates, ClientOptions, ClientSide, Identity, Protocols, Roots, ServerOptions,
    ServerResumption, ServerSide, Sni, VerifyName,
};

use super::Keyring;

/// How a server speaks TLS.
///
/// # Errors
/// A sentence about what does not go together.
pub(crate) fn server_side(tls: &ServerTls, keyring: &Keyring) -> Result<ServerSide, String> {
    let mut by_name = Vec::with_capacity(tls.by_name.len());
    for (name, id) in &tls.by_name {
        by_name.push((name.clone(), identity(keyring, id)?));
    }
    ServerSide::new(ServerOptions {
        identity: identity(keyring, &tls.certificate)?,
        by_name,
        protocols: protocols(&tls.protocols),
        clients: match tls.client_certificates {
            config::ClientCertificates::Disabled => ClientCertificates::Ignored,
            config::ClientCertificates::Optional => ClientCertificates::Optional(trusted(keyring)),
            config::ClientCertificates::Require => ClientCertificates::Required(trusted(keyring)),
        },
        resumption: keyring.resumption.clone().ok_or("there are no keys for tickets")?,
    })
}

/// How the monitor speaks TLS.
///
/// # Errors
/// A sentence about what does not go together.
pub(crate) fn monitor_side(certificate: &str, keyring: &Keyring) -> Result<ServerSide, String> {
    ServerSide::new(ServerOptions {
        identity: identity(keyring, certificate)?,
        by_name: Vec::new(),
        protocols: Protocols::default(),
        clients: ClientCertificates::Ignored,
        resumption: keyring.resumption.clone().ok_or("there are no keys for tickets")?,
    })
}

/// How the control socket speaks TLS, with clients that show a certificate of `clients` where there are some. A session is
/// continued no longer than these are in force.
///
/// # Errors
/// A sentence about what does not go together.
pub(super) fn control_side(
    identity: Identity,
    clients: &[CertificateDer<'static>],
) -> Result<ServerSide, String> {
    ServerSide::new(ServerOptions {
        identity,
        by_name: Vec::new(),
        protocols: Protocols { tls12: false, tls13: true, ..Protocols::default() },
        clients: match clients.is_empty() {
            true => ClientCertificates::Ignored,
            false => ClientCertificates::Required(Roots::load(false, clients)),
        },
        resumption: ServerResumption::new()?,
    })
}

/// How a transport speaks TLS; and with hosts that DNS vouches for, where it asks for that.
///
/// # Errors
/// A sentence about what does not go together.
pub(crate) fn client_sides(
    tls: &TransportTls,
    keyring: &Keyring,
) -> Result<(ClientSide, Option<ClientSide>), String> {
    let issuers = tls.checks().map(|verify| match (verify.default_ca, &keyring.with_system) {
        (true, Some(roots)) => roots.clone(),
        _ => trusted(keyring),
    });
    let names = match tls.checks() {
        Some(verify) if !verify.names.is_empty() => VerifyName::OneOf(verify.names.clone()),
        Some(verify) if verify.host => VerifyName::Host,
        _ => VerifyName::Any,
    };
    let options = ClientOptions {
        protocols: protocols(&tls.protocols),
        issuers,
        names,
        sni: match &tls.sni {
            SendName::Off => Sni::Off,
            SendName::Host => Sni::Host,
            SendName::Name(name) => Sni::Name(name.clone()),
        },
        identity: match &tls.client_certificate {
            Some(id) => Some(identity(keyring, id)?),
            None => None,
        },
    };
    let dane = tls.is_dane().then(|| ClientSide::new(options.clone().for_dane())).transpose()?;
    Ok((ClientSide::new(options)?, dane))
}

fn identity(keyring: &Keyring, id: &str) -> Result<Identity, String> {
    let held = keyring.held.get(id).ok_or_else(|| format!("pki.private: \"{id}\" was not read"))?;
    Ok(held.identity.clone())
}

fn trusted(keyring: &Keyring) -> Roots {
    keyring.trusted.clone().unwrap_or_else(|| Roots::load(false, &[]))
}

fn protocols(protocols: &TlsProtocols) -> Protocols {
    Protocols { tls12: protocols.tls12(), tls13: protocols.tls13(), suites: protocols.suites() }
}
