//! TLS with clients and with next hops.

mod client;
mod dane;
mod renewal;
mod server;

use std::path::Path;

use tests::pki::Issued;
use tests::{Builder, Smtpd};

/// A relay with this identity as `mx`: the key in the startup file, the certificate in the running file.
pub(crate) fn relay_with(port: u16, issued: &Issued) -> Builder {
    let builder = Smtpd::relay_to(port);
    let (certificate, key) = issued.write(builder.dir(), "mx");
    builder
        .startup(&format!("pki: {{private: [{{id: mx, privatekey: {}}}]}}", path(&key)))
        .running(&format!("pki: {{private: [{{id: mx, certificate: {}}}]}}", path(&certificate)))
}

pub(crate) fn path(path: &Path) -> String {
    format!("{{path: \"{}\"}}", path.display())
}
