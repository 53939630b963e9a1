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

fn text(error: &Error) -> String {
    match error {
        Error::UnknownIssuer => "no certificate of the list issued it".to_owned(),
        Error::CertExpired { .. } => "certificate has expired".to_owned(),
        Error::CertNotValidYet { .. } => "certificate is not yet valid".to_owned(),
        Error::CertRevoked => "certificate revoked".to_owned(),
        other => other.to_string(),
    }
}
