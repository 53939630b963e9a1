//! The service extensions a server offers.

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
    /// AUTH (RFC 4954): there is something that checks. Whether it is offered before TLS, [`Config::auth`](super::Config::auth) says.
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
}
