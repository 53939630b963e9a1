//! What two sides have agreed on.

use data_encoding::HEXLOWER;
use rustls::pki_types::CertificateDer;
use rustls::{CommonState, HandshakeKind, ProtocolVersion};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::error::UNSPECIFIED;
use crate::limits::NAME_CHARS;
use crate::suites;

/// What was agreed in a handshake: for logs, Received headers and scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite's name, as OpenSSL has it: `TLS_AES_256_GCM_SHA384`, `ECDHE-RSA-AES128-GCM-SHA256`.
    pub cipher: &'static str,
    /// Length of its key.
    pub key_bits: u16,
    /// On a server: the name that the client asked for, if it did.
    pub sni: Option<Box<str>>,
    /// The peer's certificate, if it sent one.
    pub certificate: Option<PeerCertificate>,
    /// Whether the peer's certificate passes.
    pub verified: Verified,
    /// The session continues an earlier one.
    pub resumed: bool,
}

/// The peer's certificate in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its subject: `CN=mx.example.net`; at most [`NAME_CHARS`] characters, none of them a control character.
    pub subject: Box<str>,
    /// SHA-256 over the certificate, in lower-case hexadecimal.
    pub sha256: Box<str>,
    /// What is wrong with it, in the numbers of OpenSSL (X509_V_ERR); 0: nothing, or it was not checked.
    pub fault: u16,
}

/// What checks of the peer's certificate gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It was not to be checked, or there was none.
    Unchecked,
    /// It passes.
    Passed,
    /// It does not pass, which was not required: the reason.
    Failed(Box<str>),
}

/// `X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY`.
const NO_ISSUER: u16 = 20;

impl TlsInfo {
    /// What is wrong with the peer's certificate, in the numbers of OpenSSL (X509_V_ERR); 0: nothing. Of one that was not checked
    /// it is that nobody vouches for it, as it is there for who trusts nobody.
    pub fn fault(&self) -> u16 {
        let number = self.certificate.as_ref().map_or(0, |certificate| certificate.fault);
        match self.verified {
            Verified::Passed => 0,
            Verified::Failed(_) => number.max(UNSPECIFIED),
            Verified::Unchecked => NO_ISSUER,
        }
    }

    pub(crate) fn of(state: &CommonState, sni: Option<Box<str>>, verified: Verified) -> TlsInfo {
        let suite = state.negotiated_cipher_suite().map(|suite| suite.suite());
        let (cipher, key_bits) = suites::name_and_key_bits(suite);
        TlsInfo {
            version: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLSv1.2",
            },
            cipher,
            key_bits,
            sni,
            certificate: state.peer_certificates().and_then(<[_]>::first).map(PeerCertificate::of),
            verified,
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

impl PeerCertificate {
    fn of(der: &CertificateDer<'_>) -> PeerCertificate {
        let digest = Sha256::digest(der.as_ref());
        let sha256 = HEXLOWER.encode(digest.as_slice()).into();
        PeerCertificate { subject: subject(der).into(), sha256, fault: 0 }
    }
}

/// The subject of a certificate on one line; empty where it cannot be read.
pub(crate) fn subject(der: &CertificateDer<'_>) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return String::new() };
    let printable = |c: char| if c.is_control() { '?' } else { c };
    certificate.subject().to_string().chars().map(printable).take(NAME_CHARS).collect()
}
