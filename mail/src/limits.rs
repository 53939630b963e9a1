//! Every bound of this crate, with the memory that it implies.

/// Bytes of a key in DER; an RSA key of 8192 bits has about 4,700.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// Blocks read from one PEM text, for example certificates of a bundle.
pub const MAX_PEM_BLOCKS: usize = 1024;

/// The smallest RSA key: what RFC 8301 lets a verifier accept.
pub const MIN_RSA_BITS: usize = 1024;

/// The largest RSA key; verifying costs about a millisecond then, signing tens.
pub const MAX_RSA_BITS: usize = 8192;

/// Bytes of a tag list, such as the value of a DKIM-Signature field.
pub const MAX_TAG_LIST_BYTES: usize = 64 * 1024;

/// Tags of one list; each is searched when one is added.
pub const MAX_TAGS: usize = 100;

/// Names in the `h=` tag of a signature.
pub const MAX_SIGNED_HEADERS: usize = 1000;

/// Signatures made in one pass over a message; each holds a hash state and a buffer of 4 KiB.
pub const MAX_SIGNATURES: usize = 16;

/// TXT records tried for one signature; each costs at most one RSA operation.
pub const MAX_KEY_RECORDS: usize = 4;
