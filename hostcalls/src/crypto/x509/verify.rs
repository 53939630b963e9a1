//! `X509.verify`: a chain of certificates by RFC 5280, as rustls-webpki checks it.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use script::fault::Fault;
use script::native::Call;
use script::value::{Array, Value};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    OwnedCertRevocationList, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
    anchor_from_trusted_cert,
};

use super::{Certificate, X509, certificates, crl};

/// Any usage: the caller knows what the certificate is for.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

pub(super) fn verify(call: &mut Call<'_>) -> Result<Value, Fault> {
    let roots = certificates(call, 0)?;
    let intermediates = certificates(call, 1)?;
    let lists = crl::lists(call, 2)?;
    let now = call.host().now().max(0.0);
    let this: &X509 = call.this()?;
    let mut result = Array::new();
    match check(&this.0, &roots, &intermediates, &lists, now) {
        Ok(()) => result.set_str("result", true),
        Err(error) => {
            result.set_str("result", false);
            result.set_str("error", error);
        }
    }
    Ok(result.into())
}

fn check(
    leaf: &Certificate,
    roots: &[Certificate],
    intermediates: &[Certificate],
    lists: &[crl::Crl],
    now: f64,
) -> Result<(), String> {
    if roots.iter().any(|root| root == leaf) {
        return check_trusted(leaf, lists, now);
    }
    let roots: Vec<CertificateDer<'_>> = roots.iter().map(|root| CertificateDer::from(root.der())).collect();
    let anchors: Vec<_> = roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let chain: Vec<_> = intermediates.iter().map(|one| CertificateDer::from(one.der())).collect();
    let lists = lists
        .iter()
        .map(|list| OwnedCertRevocationList::from_der(list.der()).map(CertRevocationList::from))
        .collect::<Result<Vec<_>, Error>>()
        .map_err(|error| text(&error))?;
    let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
    // Fails only without any list; then nothing is checked. What no list covers is not revoked.
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
        options.with_depth(RevocationCheckDepth::Chain).with_status_policy(UnknownStatusPolicy::Allow).build()
    });
    let leaf = CertificateDer::from(leaf.der());
    let time = UnixTime::since_unix_epoch(Duration::from_secs_f64(now));
    EndEntityCert::try_from(&leaf)
        .and_then(|leaf| {
            leaf.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                &chain,
                time,
                AnyUsage,
                revocation,
                None,
            )
            .map(drop)
        })
        .map_err(|error| text(&error))
}

/// A certificate that is in the list itself needs no issuer; an authority that has issued itself has no other.
fn check_trusted(leaf: &Certificate, lists: &[crl::Crl], now: f64) -> Result<(), String> {
    let leaf = leaf.parsed();
    let (from, until) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    match now.floor() as i64 {
        now if now < from => Err(NOT_YET_VALID.to_owned()),
        now if now > until => Err(EXPIRED.to_owned()),
        _ if lists.iter().any(|list| list.revokes(&leaf)) => Err(REVOKED.to_owned()),
        _ => Ok(()),
    }
}

const EXPIRED: &str = "certificate has expired";
const NOT_YET_VALID: &str = "certificate is not yet valid";
const REVOKED: &str = "certificate revoked";

/// Words for what the library has a name for.
fn text(error: &Error) -> String {
    let text = match error {
        Error::UnknownIssuer => "no certificate of the list issued it",
        Error::CertExpired { .. } => EXPIRED,
        Error::CertNotValidYet { .. } => NOT_YET_VALID,
        Error::CertRevoked => REVOKED,
        Error::CaUsedAsEndEntity => {
            "it is the certificate of an authority: such a one passes only when it is in the list itself"
        }
        Error::EndEntityUsedAsCa => {
            "a certificate of the chain was issued by one that is not of an authority"
        }
        Error::InvalidSignatureForPublicKey => "a signature of the chain is wrong",
        Error::SignatureAlgorithmMismatch => "a certificate names two signature algorithms",
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a certificate of the chain has a signature algorithm that is weak or not known here"
        }
        Error::NameConstraintViolation => "a name is not among those that an issuer of the chain may certify",
        Error::PathLenConstraintViolated => "the chain is longer than an issuer of it permits",
        Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => {
            "the chain is too long, or takes too long to check"
        }
        Error::UnsupportedCertVersion => "a certificate of the chain is not of version 3",
        Error::UnsupportedCriticalExtension => {
            "a certificate of the chain has a critical extension that is not known here"
        }
        Error::InvalidCertValidity => "a certificate of the chain ends to be valid before it begins",
        Error::BadDer
        | Error::BadDerTime
        | Error::TrailingData(_)
        | Error::ExtensionValueInvalid
        | Error::MalformedExtensions
        | Error::MalformedNameConstraint
        | Error::MalformedDnsIdentifier
        | Error::InvalidNetworkMaskConstraint
        | Error::InvalidSerialNumber
        | Error::EmptyEkuExtension => "a certificate of the chain is malformed",
        Error::CrlExpired { .. } => "a list of revoked certificates has expired",
        Error::InvalidCrlSignatureForPublicKey | Error::IssuerNotCrlSigner => {
            "a list of revoked certificates was not signed by the issuer"
        }
        Error::InvalidCrlNumber
        | Error::UnsupportedCrlVersion
        | Error::UnsupportedDeltaCrl
        | Error::UnsupportedIndirectCrl
        | Error::UnsupportedCrlIssuingDistributionPoint
        | Error::UnsupportedRevocationReason
        | Error::UnsupportedRevocationReasonsPartitioning
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
            "a list of revoked certificates is of a kind that is not known here"
        }
        // What comes with later versions of the library.
        other => return other.to_string(),
    };
    text.to_owned()
}
