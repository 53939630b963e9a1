//! Choices where the public documentation is silent, one constant each, so that they can be flipped. The numbers
//! are sections of the standard library reference.

/// 14.2: the id of the root part.
pub const ROOT_PART_ID: &str = "0";

/// 14.2: the number of a part's first child in its dotted id (`0.0` is the root's first child).
pub const FIRST_CHILD_NUMBER: usize = 0;

/// 14.2: whether a message/rfc822 part is taken apart. It is not: its body is the attached message.
pub const DESCEND_INTO_MESSAGES: bool = false;

/// 14.2: the multipart type that `appendPart` and `prependPart` wrap a single part in. A multipart is wrapped too when
/// the option `type` names another type: a published module signs multiparts in this way.
pub const WRAP_TYPE: &str = "multipart/mixed";

/// 13: the type of a built part that names none.
pub const BUILD_TYPE: &str = "text/plain";

/// 13: the charset that is added to text types of built parts.
pub const BUILD_CHARSET: &str = "utf-8";

/// 13: the disposition of a built part that has a file name only.
pub const BUILD_DISPOSITION: &str = "attachment";

/// 12: whether quoted local parts are unquoted by `envelope_address_parse`.
pub const UNQUOTE_LOCAL_PART: bool = true;

/// 15: whether a verifier takes `a=rsa-sha1`. RFC 8301 says that it must not; the product offers it for signing.
pub const VERIFY_RSA_SHA1: bool = false;

/// 15: whether an algorithm that the options do not name follows the key (an Ed25519 key signs with ed25519-sha256), or is
/// rsa-sha256 in any case.
pub const ALGORITHM_FOLLOWS_KEY: bool = true;
