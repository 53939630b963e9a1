//! TLS as a client, for scripts: whom we trust, and who we are.

use config::{CipherList, TlsProtocols, TlsVersions};
use tls::{CertificateDer, Identity, Protocols, Roots};

use crate::Environment;
use crate::crypto::Pki;
use crate::offload::offload;

impl Environment {
    /// The certificates of the settings, and with `system` those of the system, which are read once.
    pub(crate) async fn roots(&self, system: bool) -> Roots {
        let kept = &self.roots[usize::from(system)];
        if let Some(roots) = kept.get() {
            return roots.clone();
        }
        let extra = self.settings.extra_roots.clone();
        let read = offload("tls", move || {
            let extra: Vec<CertificateDer<'static>> = extra.into_iter().map(CertificateDer::from).collect();
            Roots::load(system, &extra)
        });
        // With nobody to trust, verification says so.
        let Ok(roots) = read.await else { return Roots::load(false, &[]) };
        kept.get_or_init(|| roots).clone()
    }
}

/// What an option `tls_client_cert` names: an id of the configuration (`pki.private`), or one PEM text with a certificate
/// chain and its private key.
pub(crate) fn identity(pki: &Pki, option: &[u8]) -> Result<Identity, String> {
    let pem = pki.identity(option).unwrap_or(option);
    Identity::from_pem(pem, pem).map_err(|error| {
        format!("the client certificate must be an id of pki.private, or PEM text with certificate and key: {error}")
    })
}

/// What the options `tls_protocols`, such as `!SSLv2,!TLSv1.2`, and `tls_ciphers` leave. The error names the option.
pub(crate) fn protocols(versions: Option<&str>, ciphers: Option<&str>) -> Result<Protocols, String> {
    let versions = TlsVersions::parse(versions.unwrap_or("!SSLv2,!SSLv3,!TLSv1,!TLSv1.1"))
        .map_err(|why| format!("option \"tls_protocols\": {why}"))?;
    let ciphers = ciphers.map(CipherList::parse).transpose();
    let ciphers = ciphers.map_err(|why| format!("option \"tls_ciphers\": {why}"))?;
    let spoken = TlsProtocols { versions, ciphers };
    Ok(Protocols { tls12: spoken.tls12(), tls13: spoken.tls13(), suites: spoken.suites() })
}
