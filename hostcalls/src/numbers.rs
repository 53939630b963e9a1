//! Who uses which numbers of `NativeRun::Host`: each family counts from its own start, and has 256.

/// `sleep`.
pub const TIME: u16 = 0x0000;
/// `dns_query` and its older forms.
pub const DNS: u16 = 0x0100;
/// `http`.
pub const HTTP: u16 = 0x0200;
/// The class `File`.
pub const FILE: u16 = 0x0300;
/// The classes `Socket` and `TLSSocket`.
pub const SOCKET: u16 = 0x0400;
/// Shared memory, `barrier`, `cache`.
pub const STORE: u16 = 0x0500;
/// Messages.
pub const MAIL: u16 = 0x0600;
/// Keys and certificates.
pub const CRYPTO: u16 = 0x0700;
/// SMTP.
pub const SMTP: u16 = 0x0900;
/// What only the mail server can do.
pub const DAEMON: u16 = 0x0a00;
/// `metrics_increment` and its kin.
pub const METRICS: u16 = 0x0c00;
/// Modules under `extras://`.
pub const EXTRAS: u16 = 0x0800;
/// What is a plugin elsewhere.
pub const PLUGINS: u16 = 0x0b00;
/// Servers and databases that scripts ask.
pub const SERVICES: u16 = 0x0d00;
/// `http_bulk`.
pub const BULK: u16 = 0x0e00;
