//! Protocol versions and cipher suites.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};

/// What may be agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// TLS 1.2 is spoken.
    pub tls12: bool,
    /// TLS 1.3 is spoken.
    pub tls13: bool,
    /// IANA numbers of cipher suites, in order of preference; those that are not in [`CIPHER_SUITES`] are passed over.
    /// None: all, in the library's order.
    pub suites: Option<Vec<u16>>,
}

impl Default for Protocols {
    fn default() -> Protocols {
        Protocols { tls12: true, tls13: true, suites: None }
    }
}

/// The suites that this crate has: IANA number, OpenSSL's name, length of the key.
pub const CIPHER_SUITES: [(u16, &str, u16); 9] = [
    (0x1302, "TLS_AES_256_GCM_SHA384", 256),
    (0x1301, "TLS_AES_128_GCM_SHA256", 128),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256", 256),
    (0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384", 256),
    (0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256", 128),
    (0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305", 256),
    (0xc030, "ECDHE-RSA-AES256-GCM-SHA384", 256),
    (0xc02f, "ECDHE-RSA-AES128-GCM-SHA256", 128),
    (0xcca8, "ECDHE-RSA-CHACHA20-POLY1305", 256),
];

pub(crate) fn name_and_key_bits(suite: Option<CipherSuite>) -> (&'static str, u16) {
    let number = suite.map(u16::from);
    let known = CIPHER_SUITES.iter().find(|(other, ..)| Some(*other) == number);
    known.map_or(("unknown", 0), |&(_, name, bits)| (name, bits))
}

impl Protocols {
    pub(crate) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let spoken = [(self.tls13, &rustls::version::TLS13), (self.tls12, &rustls::version::TLS12)];
        spoken.into_iter().filter_map(|(spoken, version)| spoken.then_some(version)).collect()
    }

    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(wanted) = &self.suites {
            let all = std::mem::take(&mut provider.cipher_suites);
            let find = |number: &u16| all.iter().find(|suite| u16::from(suite.suite()) == *number).copied();
            provider.cipher_suites = wanted.iter().filter_map(find).collect::<Vec<SupportedCipherSuite>>();
        }
        Arc::new(provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_of_the_library_has_a_name_here() {
        let library = aws_lc_rs::default_provider().cipher_suites;
        assert_eq!(library.len(), CIPHER_SUITES.len());
        for suite in library {
            assert_ne!(name_and_key_bits(Some(suite.suite())).1, 0, "{:?}", suite.suite());
        }
    }

    #[test]
    fn chosen_suites_keep_their_order() {
        let protocols = Protocols { suites: Some(vec![0xc02f, 0x1301, 0x1302]), ..Protocols::default() };
        let chosen: Vec<u16> =
            protocols.provider().cipher_suites.iter().map(|suite| suite.suite().into()).collect();
        assert_eq!(chosen, [0xc02f, 0x1301, 0x1302]);
    }
}
