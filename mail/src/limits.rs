//! Every bound of this crate, with the memory it implies.
//!
//! A parsed [`Message`](crate::message::Message) holds its bytes once, [`FIELDS_MAX`] fields of 12 bytes (600 KiB)
//! and [`PARTS_MAX`] parts of about 100 bytes (1 MiB) at most, whatever a sender invents.

/// Largest message: offsets are 32 bits wide.
pub const MESSAGE_BYTES_MAX: usize = u32::MAX as usize;

/// Header fields of all parts together that are indexed. Later ones stay in the bytes, unseen by the getters.
pub const FIELDS_MAX: usize = 50_000;

/// Parts of one message, the root included. What comes after stays in the body of the last one.
pub const PARTS_MAX: usize = 10_000;

/// Bytes of a message in which its parts are looked for at once, in some 100 us; what is longer, or has more headers or parts, is
/// left to another thread.
pub const LOOK_BYTES: u64 = 512 << 10;

/// As many of those bytes as one byte of a header counts for.
pub const LOOK_HEADER_FACTOR: u64 = 12;

/// The same for a part beside its header.
pub const LOOK_PART_BYTES: u64 = 2048;

/// The same for a line that may be a boundary.
pub const LOOK_LINE_BYTES: u64 = 128;

/// Multiparts within one another. A deeper one is a part without children.
pub const DEPTH_MAX: usize = 64;

/// Longest boundary that is recognised (RFC 2046 5.1.1 allows 70).
pub const BOUNDARY_BYTES_MAX: usize = 256;

/// Parameters of one Content-Type or Content-Disposition, and sections of one RFC 2231 parameter.
pub const PARAMETERS_MAX: usize = 128;

/// Longest charset name within an encoded word.
pub const CHARSET_BYTES_MAX: usize = 64;

/// Bytes that the charset detector looks at.
pub const DETECT_BYTES_MAX: usize = 4096;

/// Changes recorded on one message.
pub const EDITS_MAX: usize = 10_000;

/// Comments within one another in an address list; deeper ones are a syntax error.
pub const COMMENT_DEPTH_MAX: usize = 64;

/// Addresses of one list.
pub const ADDRESSES_MAX: usize = 50_000;

/// Replacements of one serialised [`Delta`](crate::delta::Delta).
pub const SPLICES_MAX: usize = 200_000;

/// Line length at which added header fields are folded (RFC 5322 2.1.1 asks for 78).
pub const FOLD_COLUMNS: usize = 76;

/// Longest line of a header field that is written (RFC 5322 2.1.1): what cannot be folded within it is encoded, where the kind of
/// field allows that.
pub const FIELD_LINE_BYTES_MAX: usize = 998;

/// Longest encoded word (RFC 2047 2).
pub const ENCODED_WORD_BYTES_MAX: usize = 75;

/// Longest line of a body that is left as 7bit (RFC 5322 2.1.1).
pub const BODY_LINE_BYTES_MAX: usize = 998;

/// Fields of an original's header that a report looks at for its Message-ID.
pub const REPORT_FIELDS_MAX: usize = 1000;

/// Children within one another in the builder.
pub const BUILD_DEPTH_MAX: usize = 64;

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

/// Terms of SPF records that need the DNS, in one check (RFC 7208, section 4.6.4).
pub const MAX_SPF_TERMS: usize = 10;

/// Questions of one SPF check that may come to nothing (RFC 7208, section 4.6.4).
pub const MAX_SPF_VOID: usize = 2;

/// Mail exchangers of one `mx`, or names of one `ptr` (RFC 7208, section 4.6.4).
pub const MAX_SPF_ADDRESS_NAMES: usize = 10;

/// Questions of one SPF check, macros and explanation included.
pub const MAX_SPF_QUESTIONS: usize = 150;

/// Bytes of a domain whose labels may be in other scripts: four for each character of the longest name. What is longer is
/// none, and is not converted.
pub const MAX_DOMAIN_BYTES: usize = 1024;
