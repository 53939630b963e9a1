//! The service extensions a server offers.

use super::Config;

/// Which extensions are on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extensions {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870).
    pub size: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status_codes: bool,
    /// CHUNKING (RFC 3030): BDAT.
    pub chunking: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// LIMITS (RFC 9422).
    pub limits: bool,
    /// REQUIRETLS (RFC 8689). Offered only under TLS.
    pub require_tls: bool,
    /// STARTTLS (RFC 3207): there is a certificate. Offered only before TLS.
    pub starttls: bool,
    /// AUTH (RFC 4954): there is something that checks. Whether it is offered before TLS, [`Config::auth`] says.
    pub auth: bool,
}

impl Extensions {
    /// None at all.
    pub const NONE: Extensions = Extensions {
        pipelining: false,
        size: false,
        eight_bit_mime: false,
        enhanced_status_codes: false,
        chunking: false,
        smtputf8: false,
        dsn: false,
        limits: false,
        require_tls: false,
        starttls: false,
        auth: false,
    };

    /// Everything this server knows.
    pub const ALL: Extensions = Extensions {
        pipelining: true,
        size: true,
        eight_bit_mime: true,
        enhanced_status_codes: true,
        chunking: true,
        smtputf8: true,
        dsn: true,
        limits: true,
        require_tls: true,
        starttls: true,
        auth: true,
    };

    /// What of these can be offered on a connection with or without TLS.
    pub(super) fn on_connection(mut self, encrypted: bool) -> Extensions {
        self.starttls &= !encrypted;
        self.require_tls &= encrypted;
        self
    }

    /// The lines of an EHLO reply, without the first.
    pub(super) fn lines(self, config: &Config) -> Vec<String> {
        let size = match config.size_bytes_max {
            0 => "SIZE".to_owned(),
            max => format!("SIZE {max}"),
        };
        let lines = [
            (self.pipelining, "PIPELINING".to_owned()),
            (self.size, size),
            (self.eight_bit_mime, "8BITMIME".to_owned()),
            (self.enhanced_status_codes, "ENHANCEDSTATUSCODES".to_owned()),
            (self.smtputf8, "SMTPUTF8".to_owned()),
            (self.dsn, "DSN".to_owned()),
            (self.starttls, "STARTTLS".to_owned()),
        ];
        lines.into_iter().filter(|(on, _)| *on).map(|(_, line)| line).collect()
    }
}
