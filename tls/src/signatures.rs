//! What a certificate's key has signed: the part of a check that is the same whoever shows the certificate.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::CertificateDer;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// The version of TLS that says how a signature is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

/// Checks signatures with what a provider knows.
#[derive(Clone, Debug)]
pub(crate) struct Signatures(pub(crate) Arc<CryptoProvider>);

impl Signatures {
    pub(crate) fn verify(
        &self,
        version: Version,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = self.algorithms();
        match version {
            Version::Tls12 => verify_tls12_signature(message, certificate, signature, algorithms),
            Version::Tls13 => verify_tls13_signature(message, certificate, signature, algorithms),
        }
    }

    pub(crate) fn schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }

    /// What there is to check with.
    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.0.signature_verification_algorithms
    }
}
