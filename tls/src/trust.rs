//! Whom we trust.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, TrustAnchor};

/// Certificate authorities that are trusted.
#[derive(Clone, Debug)]
pub struct Roots(pub(crate) Arc<RootCertStore>);

impl Roots {
    /// These, and with `system` those of this host. Reads files when `system` is asked for: not on a shard.
    /// What cannot be read is not trusted; with nobody to trust, no certificate passes.
    pub fn load(system: bool, more: &[CertificateDer<'static>]) -> Roots {
        let mut store = RootCertStore::empty();
        if system {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        store.add_parsable_certificates(more.iter().cloned());
        Roots(Arc::new(store))
    }

    /// Whether a certificate is one of them: by its name and its key.
    pub(crate) fn hold(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok(this) = webpki::anchor_from_trusted_cert(certificate) else { return false };
        let is_this = |root: &TrustAnchor<'_>| {
            root.subject == this.subject && root.subject_public_key_info == this.subject_public_key_info
        };
        self.0.roots.iter().any(is_this)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
