//! What went wrong with TLS, in the words of SMTP TLS reports (RFC 8460 section 4.3).

use std::fmt;

use crate::TlsError;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// The server does not offer STARTTLS, or refuses it.
    StartTlsNotSupported,
    /// Its certificate is for another name.
    CertificateHostMismatch,
    /// Its certificate has expired.
    CertificateExpired,
    /// Its certificate has something else that does not pass.
    CertificateNotTrusted,
    /// The handshake failed otherwise; under DANE also a certificate that none of the records is for.
    ValidationFailure,
    /// None of its TLSA records can be used.
    TlsaInvalid,
    /// Its TLSA records are not known now.
    DnssecInvalid,
    /// It has no secure TLSA records, and mail goes to hosts that have some.
    DaneRequired,
}

impl ResultType {
    /// As reports have it.
    pub fn name(self) -> &'static str {
        match self {
            ResultType::StartTlsNotSupported => "starttls-not-supported",
            ResultType::CertificateHostMismatch => "certificate-host-mismatch",
            ResultType::CertificateExpired => "certificate-expired",
            ResultType::CertificateNotTrusted => "certificate-not-trusted",
            ResultType::ValidationFailure => "validation-failure",
            ResultType::TlsaInvalid => "tlsa-invalid",
            ResultType::DnssecInvalid => "dnssec-invalid",
            ResultType::DaneRequired => "dane-required",
        }
    }
}

impl fmt::Display for ResultType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What of a certificate does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// It has expired.
    Expired,
    /// It is for another name.
    Name,
    /// No TLSA record is for it.
    NoTlsa,
    /// Something else: nobody who is trusted has issued it, say.
    Other,
}

impl TlsError {
    /// The kind of failure that it is to a report.
    pub fn result_type(&self) -> ResultType {
        match self {
            TlsError::Certificate(CertificateFault::Expired, _) => ResultType::CertificateExpired,
            TlsError::Certificate(CertificateFault::Name, _) => ResultType::CertificateHostMismatch,
            TlsError::Certificate(CertificateFault::Other, _) => ResultType::CertificateNotTrusted,
            TlsError::Certificate(CertificateFault::NoTlsa, _)
            | TlsError::Connection(_)
            | TlsError::TimedOut
            | TlsError::Ended
            | TlsError::Refused(_)
            | TlsError::Peer(_)
            | TlsError::Own(_) => ResultType::ValidationFailure,
        }
    }
}
