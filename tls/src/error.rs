//! What can go wrong between two sides that want TLS.

use std::{fmt, io};

use crate::CertificateFault;

/// Why a handshake failed.
#[derive(Debug)]
pub enum TlsError {
    /// The connection broke.
    Connection(io::Error),
    /// The peer took too long.
    TimedOut,
    /// The peer closed the connection, without a word, before both sides agreed.
    Ended,
    /// The peer's certificate does not pass: the reason.
    Certificate(CertificateFault, String),
    /// The peer refused: the name of its alert.
    Refused(String),
    /// The peer said what is no TLS, or offers nothing that we accept: the reason.
    Peer(String),
    /// A fault of ours: the reason.
    Own(String),
}

impl TlsError {
    pub(crate) fn of(error: rustls::Error) -> TlsError {
        use rustls::Error as E;
        match error {
            E::InvalidCertificate(cause) => {
                TlsError::Certificate(fault_kind(&cause), certificate_fault(&cause))
            }
            E::NoCertificatesPresented => {
                TlsError::Certificate(CertificateFault::Other, "the peer sent none".to_owned())
            }
            E::AlertReceived(alert) => TlsError::Refused(format!("{alert:?}")),
            E::InvalidMessage(_) => TlsError::Peer("what it sent is no TLS".to_owned()),
            E::PeerIncompatible(cause) => TlsError::Peer(format!("{cause:?}")),
            E::PeerMisbehaved(cause) => TlsError::Peer(format!("{cause:?}")),
            E::FailedToGetCurrentTime
            | E::FailedToGetRandomBytes
            | E::BadMaxFragmentSize
            | E::InconsistentKeys(_)
            | E::EncryptError
            | E::General(_)
            | E::Other(_) => TlsError::Own(error.to_string()),
            other => TlsError::Peer(other.to_string()),
        }
    }

    /// Whether the peer's certificate is at fault.
    pub fn is_certificate(&self) -> bool {
        matches!(self, TlsError::Certificate(..))
    }
}

fn fault_kind(cause: &rustls::CertificateError) -> CertificateFault {
    use rustls::CertificateError as C;
    match cause {
        C::Expired | C::ExpiredContext { .. } => CertificateFault::Expired,
        C::NotValidForName | C::NotValidForNameContext { .. } => CertificateFault::Name,
        _ => CertificateFault::Other,
    }
}

/// The words for what is wrong with a certificate.
pub(crate) fn certificate_fault(cause: &rustls::CertificateError) -> String {
    use rustls::CertificateError as C;
    match cause {
        C::Expired | C::ExpiredContext { .. } => "it has expired".to_owned(),
        C::NotValidYet | C::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        C::UnknownIssuer => "no authority that is trusted here has issued it".to_owned(),
        C::NotValidForName => "it is for another name".to_owned(),
        C::NotValidForNameContext { expected, presented } => {
            // The library gives `DnsName("mx.example.net")`.
            let names = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name));
            let presented = names.collect::<Vec<_>>().join(", ");
            let presented: String = presented.chars().take(crate::limits::NAME_CHARS).collect();
            format!("it is for {presented}, not for {}", expected.to_str())
        }
        C::Revoked => "it was revoked".to_owned(),
        C::BadEncoding => "it cannot be read".to_owned(),
        C::BadSignature => "its signature is wrong".to_owned(),
        other if is_of_authority(other) => {
            "it is the certificate of an authority, which is not trusted itself".to_owned()
        }
        other => format!("{other:?}"),
    }
}

/// Whether the certificate of an authority is shown where that of a server or client belongs.
pub(crate) fn is_of_authority(cause: &rustls::CertificateError) -> bool {
    let rustls::CertificateError::Other(other) = cause else { return false };
    matches!(other.0.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// OpenSSL's number for what has no number of its own.
pub(crate) const UNSPECIFIED: u16 = 1;

/// OpenSSL's number (X509_V_ERR) for what is wrong with a certificate.
pub(crate) fn fault_number(cause: &rustls::CertificateError) -> u16 {
    use rustls::CertificateError as C;
    match cause {
        C::BadSignature => 7,
        C::NotValidYet | C::NotValidYetContext { .. } => 9,
        C::Expired | C::ExpiredContext { .. } => 10,
        C::UnknownIssuer => 20,
        C::Revoked => 23,
        C::InvalidPurpose => 26,
        C::NotValidForName | C::NotValidForNameContext { .. } => 62,
        _ => UNSPECIFIED,
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Connection(error) => write!(f, "the connection broke: {error}"),
            TlsError::TimedOut => f.write_str("the peer took too long"),
            TlsError::Ended => f.write_str("the peer closed the connection"),
            TlsError::Certificate(_, why) => write!(f, "the peer's certificate is not accepted: {why}"),
            TlsError::Refused(alert) => write!(f, "the peer refused: {alert}"),
            TlsError::Peer(why) => write!(f, "the peer cannot agree: {why}"),
            TlsError::Own(why) => write!(f, "a fault of this host: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> TlsError {
        TlsError::Connection(error)
    }
}
