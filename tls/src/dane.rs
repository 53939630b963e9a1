//! Certificates that DNS vouches for: the check of TLSA records for SMTP (RFC 7671, RFC 7672).
//!
//! Where they come from, and that they are secure, is the caller's to know. [`Demand`] is what follows from them for a client
//! that is strict about it or not. Usages 0 and 1, which ask for authorities
//! beside DNS, count as unusable (RFC 7672 section 3.1.3).

use std::sync::Arc;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{Error, RootCertStore};
use sha2::{Digest as _, Sha256, Sha512};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{CertificateFault, TlsError};

/// A TLSA record (RFC 6698 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsaRecord {
    /// Certificate usage: 2 is a trust anchor, 3 the server's own.
    pub usage: u8,
    /// 0: the whole certificate; 1: its public key.
    pub selector: u8,
    /// 0: all of it; 1: its SHA-256; 2: its SHA-512.
    pub matching: u8,
    /// What it must be equal to.
    pub data: Box<[u8]>,
}

/// What a server's certificate must satisfy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dane {
    /// The name that the records are of, which the server is asked for by (RFC 7672 section 8.1).
    base: String,
    records: Vec<TlsaRecord>,
    /// One of these must be in a certificate that a trust anchor vouches for. A server's own needs none.
    names: Vec<String>,
}

/// What TLS with a server must satisfy because of its records. There is no mail in clear for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// A certificate that these records vouch for.
    Certificate(Arc<Dane>),
    /// That there is TLS: it has records of which none can be used (RFC 7672 section 2.2).
    Encryption,
}

/// How a client takes DANE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DanePolicy {
    /// Servers without records that can be used get no mail.
    pub required: bool,
    /// Those may get it in clear.
    pub optional: bool,
}

impl DanePolicy {
    /// What is asked of TLS with a server; `None`: what is asked of servers without records. `found`: its records, or why
    /// there are none that count.
    ///
    /// # Errors
    /// It gets no mail: what it lacks.
    pub fn demand(self, found: Result<Option<Dane>, String>) -> Result<Option<Demand>, String> {
        let lacks = match found {
            Ok(Some(dane)) => return Ok(Some(Demand::Certificate(Arc::new(dane)))),
            // What a client falls back to that is not optional is as strict.
            Ok(None) if self.optional => return Ok(Some(Demand::Encryption)),
            Ok(None) => "none of its TLSA records can be used".to_owned(),
            Err(why) => why,
        };
        if self.required { Err(lacks) } else { Ok(None) }
    }
}

const TRUST_ANCHOR: u8 = 2;
const END_ENTITY: u8 = 3;

impl Dane {
    /// From the records of a server. `base`: the name that they are of; `domain`: the one whose MX records led there. `None`:
    /// none of the records can be used.
    pub fn new(records: &[TlsaRecord], base: &str, domain: Option<&str>) -> Option<Dane> {
        let usable = |record: &&TlsaRecord| {
            let digest_bytes = match record.matching {
                0 => None,
                1 => Some(32),
                2 => Some(64),
                _ => return false,
            };
            matches!(record.usage, TRUST_ANCHOR | END_ENTITY)
                && record.selector <= 1
                && !record.data.is_empty()
                && digest_bytes.is_none_or(|bytes| record.data.len() == bytes)
        };
        let usable: Vec<&TlsaRecord> = records.iter().filter(usable).collect();
        // RFC 7671 section 9: of several digests of a kind the strongest counts.
        let is_outdone = |record: &TlsaRecord| {
            let kind = |record: &TlsaRecord| (record.usage, record.selector);
            let stronger = |other: &&TlsaRecord| kind(other) == kind(record) && other.matching == 2;
            record.matching == 1 && usable.iter().any(stronger)
        };
        let mut records: Vec<TlsaRecord> =
            usable.iter().filter(|record| !is_outdone(record)).map(|record| (*record).clone()).collect();
        records.sort_by(|one, other| {
            let key = |record: &TlsaRecord| (record.usage, record.selector, record.matching);
            key(one).cmp(&key(other)).then_with(|| one.data.cmp(&other.data))
        });
        records.dedup();
        // Names are asked for under a trust anchor only, so that others can be compared without them.
        let are_asked_for = records.iter().any(|record| record.usage == TRUST_ANCHOR);
        let names = [Some(base), domain].into_iter().flatten();
        let names = names.filter(|_| are_asked_for).map(str::to_owned).collect();
        (!records.is_empty()).then_some(Dane { base: base.to_owned(), records, names })
    }

    /// The name that the records are of.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Holds a chain, the server's own certificate first, against the records.
    pub(crate) fn check(
        &self,
        chain: &[CertificateDer<'_>],
        algorithms: &WebPkiSupportedAlgorithms,
        now: UnixTime,
    ) -> Result<(), TlsError> {
        let Some((leaf, rest)) = chain.split_first() else {
            return Err(TlsError::of(Error::NoCertificatesPresented));
        };
        // RFC 7672 section 3.1.1: neither names nor dates count.
        if self.of_usage(END_ENTITY).any(|record| record.matches(leaf)) {
            return Ok(());
        }
        let anchors = self.anchors(chain);
        if anchors.is_empty() {
            return Err(TlsError::Certificate(
                CertificateFault::NoTlsa,
                "none of the TLSA records is for it".to_owned(),
            ));
        }
        let parsed = ParsedCertificate::try_from(leaf).map_err(TlsError::of)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &anchors, rest, now, algorithms.all)
            .map_err(TlsError::of)?;
        let is_for = |name: &String| {
            ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
        };
        if self.names.iter().any(is_for) {
            return Ok(());
        }
        Err(TlsError::Certificate(
            CertificateFault::Name,
            format!("it is not for {}", self.names.join(" or ")),
        ))
    }

    fn of_usage(&self, usage: u8) -> impl Iterator<Item = &TlsaRecord> {
        self.records.iter().filter(move |record| record.usage == usage)
    }

    /// Certificates of authorities that a record names: those that the server shows, and those that a record holds.
    fn anchors(&self, chain: &[CertificateDer<'_>]) -> RootCertStore {
        let mut anchors = RootCertStore::empty();
        for record in self.of_usage(TRUST_ANCHOR) {
            let shown = chain.iter().filter(|certificate| record.matches(certificate));
            anchors.add_parsable_certificates(shown.map(|certificate| certificate.clone().into_owned()));
            if (record.selector, record.matching) == (0, 0) {
                anchors.add_parsable_certificates([CertificateDer::from(record.data.to_vec())]);
            }
        }
        anchors
    }
}

impl TlsaRecord {
    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        let selected = match self.selector {
            0 => certificate.as_ref(),
            _ => match X509Certificate::from_der(certificate) {
                Ok((_, parsed)) => parsed.tbs_certificate.subject_pki.raw,
                Err(_) => return false,
            },
        };
        match self.matching {
            0 => *selected == *self.data,
            1 => Sha256::digest(selected)[..] == *self.data,
            _ => Sha512::digest(selected)[..] == *self.data,
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// A chain for `name`, valid until the end of a year; the authority's certificate last.
    fn chain(name: &str, until: i32) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &authority).unwrap();
        vec![leaf.der().clone(), authority.der().clone()]
    }

    fn key(certificate: &CertificateDer<'_>) -> Vec<u8> {
        X509Certificate::from_der(certificate).unwrap().1.tbs_certificate.subject_pki.raw.to_vec()
    }

    fn record(usage: u8, selector: u8, matching: u8, selected: &[u8]) -> TlsaRecord {
        let data = match matching {
            0 => selected.to_vec(),
            1 => Sha256::digest(selected).to_vec(),
            _ => Sha512::digest(selected).to_vec(),
        };
        TlsaRecord { usage, selector, matching, data: data.into() }
    }

    fn check(records: &[TlsaRecord], names: &[&str], chain: &[CertificateDer<'_>]) -> Result<(), String> {
        let base = names.first().copied().unwrap_or_default();
        let dane = Dane::new(records, base, names.get(1).copied()).ok_or("unusable")?;
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_780_000_000));
        dane.check(chain, &algorithms, now).map_err(|error| error.to_string())
    }

    #[test]
    fn a_servers_own_certificate_is_known_by_all_that_a_record_can_hold_of_it() {
        // Neither its name nor its date counts.
        let chain = chain("other.example", 2001);
        let other = self::chain("mx.example", 2040);
        for matching in 0..=2 {
            for (selector, selected) in [(0, chain[0].to_vec()), (1, key(&chain[0]))] {
                let record = record(3, selector, matching, &selected);
                assert_eq!(
                    check(std::slice::from_ref(&record), &["mx.example"], &chain),
                    Ok(()),
                    "{record:?}"
                );
                let refused = check(&[record], &["mx.example"], &other).unwrap_err();
                assert!(refused.contains("none of the TLSA records is for it"), "{refused}");
            }
        }
    }

    /// So that a connection that satisfies one is used for the other.
    #[test]
    fn demands_are_equal_whatever_the_order_of_the_records_and_names_that_do_not_count() {
        let own = record(END_ENTITY, 1, 1, b"key");
        let other = record(END_ENTITY, 0, 1, b"certificate");
        let anchor = record(TRUST_ANCHOR, 1, 1, b"key");
        let dane = |records: &[&TlsaRecord], domain: &str| {
            let records: Vec<TlsaRecord> = records.iter().map(|record| (*record).clone()).collect();
            Dane::new(&records, "mx.example", Some(domain)).unwrap()
        };
        assert_eq!(dane(&[&own, &other, &own], "a.example"), dane(&[&other, &own], "b.example"));
        assert_ne!(dane(&[&own, &anchor], "a.example"), dane(&[&own, &anchor], "b.example"));
        assert_ne!(dane(&[&own], "a.example"), dane(&[&other], "a.example"));
    }

    #[test]
    fn what_is_asked_of_a_server_depends_on_its_records_and_on_how_strict_the_client_is() {
        let dane = || Dane::new(&[record(3, 0, 1, b"x")], "mx.example", None);
        let certificate = Ok(Some(Demand::Certificate(Arc::new(dane().unwrap()))));
        let (unusable, none) = ("none of its TLSA records can be used", "it has none");
        let cases = [
            // Required, optional; with records that can be used, that cannot, without.
            ((false, true), [certificate.clone(), Ok(Some(Demand::Encryption)), Ok(None)]),
            ((false, false), [certificate.clone(), Ok(None), Ok(None)]),
            ((true, false), [certificate, Err(unusable.to_owned()), Err(none.to_owned())]),
        ];
        for ((required, optional), expected) in cases {
            let policy = DanePolicy { required, optional };
            let found = [Ok(dane()), Ok(None), Err(none.to_owned())];
            assert_eq!(found.map(|found| policy.demand(found)), expected, "{policy:?}");
        }
    }

    #[test]
    fn under_a_trust_anchor_names_dates_and_signatures_count() {
        let good = chain("mx.example", 2040);
        let names = ["mx.example", "example"];
        for record in [
            record(2, 0, 0, &good[1]),
            record(2, 0, 1, &good[1]),
            record(2, 1, 2, &key(&good[1])),
            record(2, 1, 0, &key(&good[1])),
        ] {
            assert_eq!(check(std::slice::from_ref(&record), &names, &good), Ok(()), "{record:?}");
            assert_eq!(check(std::slice::from_ref(&record), &["x.example", "mx.example"], &good), Ok(()));
            let refused = check(std::slice::from_ref(&record), &["x.example", "example"], &good).unwrap_err();
            assert!(refused.contains("it is not for x.example or example"), "{refused}");
        }
        // Only a record that holds all of it does without the server's showing it.
        assert_eq!(check(&[record(2, 0, 0, &good[1])], &names, &good[..1]), Ok(()));
        assert!(check(&[record(2, 0, 1, &good[1])], &names, &good[..1]).is_err());
        let old = chain("mx.example", 2001);
        let refused = check(&[record(2, 0, 1, &old[1])], &names, &old).unwrap_err();
        assert!(refused.contains("expired"), "{refused}");
        // Somebody shows the anchor's certificate behind one that it has not issued.
        let mixed = [chain("mx.example", 2040)[0].clone(), good[1].clone()];
        assert!(check(&[record(2, 0, 1, &good[1])], &names, &mixed).is_err());
    }

    #[test]
    fn what_cannot_be_used_counts_for_nothing_and_the_strongest_digest_counts_alone() {
        let chain = chain("mx.example", 2040);
        let cut = TlsaRecord { data: Box::from([1u8; 31]), ..record(3, 1, 1, b"") };
        let unusable = [
            record(0, 0, 1, &chain[1]),
            record(1, 0, 1, &chain[0]),
            record(3, 2, 1, &chain[0]),
            TlsaRecord { matching: 3, ..record(3, 0, 1, &chain[0]) },
            record(3, 0, 0, b""),
            cut,
        ];
        for record in &unusable {
            assert_eq!(Dane::new(std::slice::from_ref(record), "mx.example", None), None, "{record:?}");
        }
        let good = record(3, 0, 1, &chain[0]);
        let with_all = [&unusable[..], std::slice::from_ref(&good)].concat();
        assert_eq!(check(&with_all, &[], &chain), Ok(()));
        let stronger_and_wrong = record(3, 0, 2, b"something else");
        assert!(check(&[good.clone(), stronger_and_wrong.clone()], &[], &chain).is_err());
        // Of another kind it does not count against it.
        let of_key = TlsaRecord { selector: 1, ..stronger_and_wrong };
        assert_eq!(check(&[good, of_key], &[], &chain), Ok(()));
    }
}
