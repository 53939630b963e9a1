//! What is demanded of a server.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use crate::crypto::Pki;

/// How far a server's certificate is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verify {
    /// Somebody trusted has issued it.
    pub(crate) issuer: bool,
    /// It is for one of these names; none: for whatever name.
    pub(crate) names: Option<Vec<String>>,
}

/// A certificate chain and its key.
#[derive(Debug)]
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// How to speak TLS.
#[derive(Debug)]
pub(crate) struct TlsOptions {
    pub(crate) verify: Verify,
    /// Send the server's name.
    pub(crate) send_name: bool,
    /// A list such as `!SSLv2,!TLSv1.2`; see [`versions`].
    pub(crate) protocols: Option<String>,
    /// Who we are.
    pub(crate) identity: Option<Identity>,
}

/// Whom we trust: the system's certificates and those of the settings.
pub(crate) type Roots = Arc<RootCertStore>;

/// The configuration of one connection; what is wrong with the options.
pub(crate) fn client_config(options: TlsOptions, roots: Option<Roots>) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = versions(options.protocols.as_deref())?;
    let inner = match options.verify.issuer {
        false => None,
        true => {
            let roots = roots.unwrap_or_else(|| Arc::new(RootCertStore::empty()));
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            Some(verifier.map_err(|_| "no certificates to trust are known on this system")?)
        }
    };
    let verifier = Verifier { inner, names: options.verify.names, provider: provider.clone() };
    let builder = ClientConfig::builder_with_details(provider, Arc::new(EngineClock))
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match options.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(|error| format!("the client certificate cannot be used: {error}"))?,
    };
    config.enable_sni = options.send_name;
    Ok(config)
}

/// What an option `tls_client_cert` names: an id of the configuration (`pki.private`), or one PEM text with a
/// certificate chain and its private key.
pub(crate) fn identity(pki: &Pki, option: &[u8]) -> Result<Identity, String> {
    parse_identity(pki.identity(option).unwrap_or(option))
}

fn parse_identity(pem: &[u8]) -> Result<Identity, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| format!("the client certificate cannot be read: {error}"))?;
    if chain.is_empty() {
        return Err(
            "the client certificate must be an id of pki.private, or PEM text with certificate and key"
                .into(),
        );
    }
    let key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|error| format!("the private key of the client certificate cannot be read: {error}"))?;
    Ok(Identity { chain, key })
}

/// The versions that a list leaves: names with `!` are taken away from all, names without are all there is. Versions
/// before 1.2 are never spoken, so that naming them changes nothing.
fn versions(list: Option<&str>) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let all: [(&str, &'static SupportedProtocolVersion); 2] =
        [("TLSv1.2", &rustls::version::TLS12), ("TLSv1.3", &rustls::version::TLS13)];
    let words: Vec<&str> =
        list.unwrap_or_default().split([',', ' ', ':']).filter(|word| !word.is_empty()).collect();
    let named: Vec<&str> = words.iter().filter(|word| !word.starts_with('!')).copied().collect();
    let is = |name: &str, word: &str| word.trim_start_matches(['!', '+']).eq_ignore_ascii_case(name);
    let versions: Vec<_> = all
        .iter()
        .filter(|(name, _)| named.is_empty() || named.iter().any(|word| is(name, word)))
        .filter(|(name, _)| !words.iter().any(|word| word.starts_with('!') && is(name, word)))
        .map(|(_, version)| *version)
        .collect();
    if versions.is_empty() {
        return Err("tls_protocols leaves neither TLSv1.2 nor TLSv1.3".into());
    }
    Ok(versions)
}

/// Certificates expire by the engine's clock.
#[derive(Debug)]
struct EngineClock;

impl TimeProvider for EngineClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = std::time::Duration::from_micros(engine::time::wall_us());
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}

#[derive(Debug)]
struct Verifier {
    /// None: any issuer will do.
    inner: Option<Arc<WebPkiServerVerifier>>,
    names: Option<Vec<String>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn algorithms(&self) -> &rustls::crypto::WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        connected_to: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(inner) = &self.inner {
            match inner.verify_server_cert(certificate, intermediates, connected_to, ocsp, now) {
                // The issuer is checked before the name, and names are our own matter below.
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        if let Some(names) = &self.names {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let is_for = |name: &String| {
                ServerName::try_from(name.as_str())
                    .is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
            };
            if !names.iter().any(is_for) {
                return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_lists_take_away_or_choose() {
        let cases: [(Option<&str>, Option<&[rustls::ProtocolVersion]>); 7] = [
            (None, Some(&[rustls::ProtocolVersion::TLSv1_2, rustls::ProtocolVersion::TLSv1_3])),
            (
                Some("!SSLv2,!SSLv3,!TLSv1"),
                Some(&[rustls::ProtocolVersion::TLSv1_2, rustls::ProtocolVersion::TLSv1_3]),
            ),
            (Some("!TLSv1.2"), Some(&[rustls::ProtocolVersion::TLSv1_3])),
            (Some("TLSv1.2"), Some(&[rustls::ProtocolVersion::TLSv1_2])),
            (Some("tlsv1.3,TLSv1"), Some(&[rustls::ProtocolVersion::TLSv1_3])),
            (Some("SSLv3"), None),
            (Some("!TLSv1.2,!TLSv1.3"), None),
        ];
        for (list, expected) in cases {
            let got: Option<Vec<_>> =
                versions(list).ok().map(|versions| versions.iter().map(|it| it.version).collect());
            assert_eq!(got.as_deref(), expected, "{list:?}");
        }
    }

    #[test]
    fn an_identity_has_certificate_and_key() {
        assert!(parse_identity(b"").is_err());
        assert!(parse_identity(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
