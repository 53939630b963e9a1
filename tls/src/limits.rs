//! Every bound of this crate, with the memory it implies.

/// Ciphertext of a session that waits for the rest of a record, or of a handshake message (which the library ends at
/// 64 KiB): what a peer can make a session hold.
pub const INCOMING_BYTES: usize = 96 * 1024;
/// Plain bytes in one TLS record (RFC 8446 section 5.1).
pub const RECORD_BYTES: usize = 16 * 1024;
/// Plain bytes encrypted into one write: what a session that sends holds beside what it was given.
pub const SEND_BYTES: usize = 64 * 1024;
/// Sessions of clients without tickets that all servers together remember: about 1 KiB each, so 4 MiB in the process.
pub const SERVER_SESSIONS: usize = 4096;
/// Hosts for which a client's policy remembers sessions: each up to 8 tickets of about 1 KiB with the host's certificates,
/// so at most about 20 MiB for each policy in the process, and as a rule a tenth of that.
pub const CLIENT_SESSIONS: usize = 2048;
/// Size of a PEM text with a chain or a key.
pub const PEM_BYTES: usize = 1 << 20;
/// Certificates of a chain that is ours.
pub const CHAIN_CERTIFICATES: usize = 16;
/// Characters of a peer's names that are kept for the log.
pub const NAME_CHARS: usize = 256;
