//! Every bound of this crate, with the memory it implies.
//!
//! An idle server session is one [`Session`](crate::smtp::server::Session) (under 256 bytes) and no heap. A busy
//! one adds at most [`COMMAND_LINE_BYTES_MAX`] for a line that has arrived in part and the replies not yet
//! taken; message bytes are never kept here.

/// Longest command line without its CRLF and without parameters (RFC 5321 4.5.3.1.4: 512 with CRLF).
pub const COMMAND_BYTES_MAX: usize = 510;

/// What the parameters of MAIL and RCPT may add to [`COMMAND_BYTES_MAX`]. SIZE adds 26 (RFC 1870), BODY 17
/// (RFC 6152), AUTH 500 (RFC 4954), RET and ENVID 109, NOTIFY and ORCPT 534 (RFC 3461), so this has room for what
/// comes later too.
pub const COMMAND_PARAMETER_BYTES_MAX: usize = 1024;

/// Longest line that is kept while its rest is awaited: the only heap a server session holds between inputs.
pub const COMMAND_LINE_BYTES_MAX: usize = COMMAND_BYTES_MAX + COMMAND_PARAMETER_BYTES_MAX;

/// An overlong command line is skipped to its end and answered with 500; when the end has not come after this
/// many bytes the session closes. Nothing is stored meanwhile.
pub const COMMAND_LINE_SKIP_BYTES_MAX: usize = 64 * 1024;

/// Longest line of an AUTH exchange (RFC 4954 4); held on the heap while it arrives.
pub const AUTH_LINE_BYTES_MAX: usize = 12_288;

/// Challenges in one AUTH exchange. No mechanism in use has more than three.
pub const AUTH_ROUNDS_MAX: u32 = 16;

/// Wrong credentials on one connection before it closes with 421.
pub const AUTH_FAILURES_MAX: u8 = 3;

/// Longest PROXY header with its extra fields; held on the heap while it arrives.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;

/// Commands that were not understood, not in sequence or badly written before the session closes with 421. The
/// count starts anew with every accepted message.
pub const BAD_COMMANDS_MAX: u8 = 20;

/// Recipients in one transaction unless configured otherwise (RFC 5321 4.5.3.1.8 asks for 100 at least).
/// The session only counts them.
pub const RECIPIENTS_MAX: u32 = 1000;

/// Longest local part, in bytes. RFC 5321 4.5.3.1.1 says 64, but rewritten senders (SRS, BATV, VERP) are longer.
pub const LOCAL_PART_BYTES_MAX: usize = 256;

/// Longest domain or address literal, in bytes (RFC 5321 4.5.3.1.2).
pub const DOMAIN_BYTES_MAX: usize = 255;

/// Longest line of a message, without CRLF. RFC 5321 4.5.3.1.6 asks for 998; longer ones are common and are
/// passed on as they are. No memory hangs on it.
pub const TEXT_LINE_BYTES_MAX: u64 = 1024 * 1024;

/// Largest header section, in bytes. No memory hangs on it here; later stages parse a header section as a whole.
pub const HEADER_SECTION_BYTES_MAX: u64 = 1024 * 1024;

/// Received fields in the header section before a message counts as looping, unless configured otherwise.
pub const HOPS_MAX: u32 = 100;

/// A message that is refused while it comes in is read to its end, so that the peer gets the answer; after this
/// many bytes more the session answers and closes at once. Nothing is stored meanwhile.
pub const DISCARD_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Longest line of a reply from a peer (RFC 5321 4.5.3.1.5 says 512). Held on the heap while it arrives.
pub const REPLY_LINE_BYTES_MAX: usize = 2048;

/// Most lines of one reply from a peer.
pub const REPLY_LINES_MAX: usize = 128;

/// Most bytes of one reply from a peer, all lines together: what a client session may hold on the heap.
pub const REPLY_BYTES_MAX: usize = 16 * 1024;

/// Longest text on one line of a reply of ours; a longer text goes on in a further line. With code, enhanced
/// code and CRLF it stays below 512.
pub const REPLY_TEXT_BYTES_MAX: usize = 480;

/// Most recipients in one outgoing transaction. Their commands leave in one write and their replies wait in
/// the peer's send buffer meanwhile: at 600 bytes each this stays below the smallest common socket buffer.
pub const CLIENT_RECIPIENTS_MAX: usize = 100;

/// Bytes of a name with labels in other scripts: four for each character of the longest name. What is longer is none, and is
/// not converted.
pub const DNS_UNICODE_NAME_BYTES_MAX: usize = 1024;

/// Largest UDP answer asked for (EDNS): what passes everywhere without fragments.
pub const DNS_UDP_BYTES_MAX: u16 = 1232;

/// Name servers that are used; further ones are left out.
pub const DNS_SERVERS_MAX: usize = 8;

/// Aliases followed for one question (CNAME), within and across answers.
pub const DNS_ALIASES_MAX: usize = 8;

/// Records kept of one answer; further ones are left out. An MX record takes about 32 bytes and its name.
pub const DNS_RECORDS_MAX: usize = 64;

/// Questions that wait for a free query, in each shard; more of them fail at once. About 200 bytes each.
pub const DNS_WAITING_MAX: usize = 10_000;

/// Largest answer of records as they are that is kept: a DKIM key or a long SPF record, and no more. With the default cache
/// of 10,000 entries at most 40 MiB.
pub const DNS_KEPT_BYTES_MAX: usize = 4096;

/// MX hosts of a domain that are looked at, in the order of preference.
pub const MX_HOSTS_MAX: usize = 20;

/// Addresses in a search result, beyond which no further hosts are looked up. An attempt tries fewer.
pub const MAIL_ADDRESSES_ENOUGH: usize = 8;

/// Addresses of one host that are kept.
pub const HOST_ADDRESSES_MAX: usize = 16;

/// Longest message that goes out right behind its envelope, before the peer has accepted a recipient. It comes in
/// vain when no recipient is accepted; a longer one waits for that.
pub const EARLY_BODY_BYTES_MAX: u64 = 64 * 1024;

/// Longest XCLIENT line, without its CRLF, that further attributes are put on.
pub const XCLIENT_LINE_BYTES_MAX: usize = 510;

/// Longest ENVID, encoded (RFC 3461 4.4).
pub const ENVELOPE_ID_BYTES_MAX: usize = 100;

/// Longest ORCPT, encoded, with its type (RFC 3461 4.2).
pub const ORIGINAL_RECIPIENT_BYTES_MAX: usize = 500;

/// Most iterations that a SCRAM server may ask for: about 20 ms of the shard's time, once for each connection.
pub const SCRAM_ITERATIONS_MAX: u32 = 50_000;

/// Longest URL that is parsed.
pub const URL_BYTES_MAX: usize = 64 * 1024;

/// Status line and header fields of an HTTP response. Held until the response is complete.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Header fields of an HTTP response.
pub const HTTP_HEADERS_MAX: usize = 128;

/// Interim responses (1xx) before the final one.
pub const HTTP_INTERIM_MAX: u32 = 16;

/// Longest line between the chunks of a body: the size, its extensions, a trailer field.
pub const HTTP_CHUNK_LINE_BYTES_MAX: usize = 8 * 1024;

/// Bytes of the header of one part of a form.
pub const FORM_PART_HEAD_BYTES_MAX: usize = 4 * 1024;
/// Parts of a form, those included that nobody asked for.
pub const FORM_PARTS_MAX: u32 = 16;
/// Bytes of a boundary between parts (RFC 2046 5.1.1).
pub const FORM_BOUNDARY_BYTES_MAX: usize = 70;
