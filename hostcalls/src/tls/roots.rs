//! The certificates that are trusted: those of the system, read once, and those of the settings.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::Roots;
use crate::Environment;
use crate::offload::offload;

/// Reads them, the first time.
pub(crate) async fn roots(environment: &Environment) -> Roots {
    if let Some(roots) = environment.roots.get() {
        return roots.clone();
    }
    let extra = environment.settings.extra_roots.clone();
    let read = offload("tls", move || {
        let mut store = RootCertStore::empty();
        // What cannot be read is not trusted; with nothing to trust, verification says so.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        store.add_parsable_certificates(extra.into_iter().map(CertificateDer::from));
        Arc::new(store)
    });
    let Ok(roots) = read.await else { return Arc::new(RootCertStore::empty()) };
    environment.roots.get_or_init(|| roots).clone()
}
