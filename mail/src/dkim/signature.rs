//! Reading a DKIM-Signature or ARC-Message-Signature field (RFC 6376, sections 3.5 and 6.1.1).

use std::borrow::Cow;
use std::fmt;

use super::fields::field_name;
use super::{Algorithm, Canonicalization, colon_list, decode_base64, is_domain};
use crate::keys::Hash;
use crate::limits::MAX_SIGNED_HEADERS;
use crate::taglist::{TagList, TagListError};

/// Which field holds the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// DKIM-Signature.
    Dkim,
    /// ARC-Message-Signature, in which `i=` is the number of the instance.
    Arc,
}

/// A signature field, read and checked as far as that goes without the message and the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Which field it was.
    pub kind: SignatureKind,
    /// `a=`.
    pub algorithm: Algorithm,
    /// `b=`, decoded.
    pub signature: Vec<u8>,
    /// `bh=`, decoded.
    pub body_hash: Vec<u8>,
    /// The first half of `c=`.
    pub header_canonicalization: Canonicalization,
    /// The second half of `c=`.
    pub body_canonicalization: Canonicalization,
    /// `d=`, lower case, labels in other scripts as A-labels (RFC 8616, section 5).
    pub domain: String,
    /// `h=`, lower case, in order.
    pub headers: Vec<Vec<u8>>,
    /// The domain of `i=`, in the same form; that of `d=` without one.
    pub identity_domain: String,
    /// `l=`.
    pub body_length: Option<u64>,
    /// `s=`, labels in other scripts as A-labels.
    pub selector: String,
    /// `t=`, seconds since 1970.
    pub timestamp: Option<u64>,
    /// `x=`, seconds since 1970.
    pub expiration: Option<u64>,
}

/// Why a signature field does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureError {
    /// The field is neither DKIM-Signature nor ARC-Message-Signature.
    Field,
    /// The value is no tag list.
    Tags(TagListError),
    /// A required tag is missing.
    Missing(&'static str),
    /// A tag has a value that it cannot have.
    Invalid(&'static str),
    /// A tag has a value that is not supported.
    Unsupported(&'static str),
    /// `h=` does not name From.
    FromNotSigned,
    /// The domain of `i=` is not within `d=`.
    Identity,
    /// `x=` lies in the past.
    Expired,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field => f.write_str("not a signature field"),
            Self::Tags(error) => write!(f, "invalid tag list: {error}"),
            Self::Missing(tag) => write!(f, "missing tag {tag}"),
            Self::Invalid(tag) => write!(f, "invalid value of tag {tag}"),
            Self::Unsupported(tag) => write!(f, "unsupported value of tag {tag}"),
            Self::FromNotSigned => f.write_str("the From field is not signed"),
            Self::Identity => f.write_str("the domain of tag i is not within tag d"),
            Self::Expired => f.write_str("the signature has expired"),
        }
    }
}

impl std::error::Error for SignatureError {}

/// Splits a whole field into its kind, the offset of its value, and the tags of the value.
pub(super) fn parse_field(field: &[u8]) -> Result<(SignatureKind, usize, TagList), SignatureError> {
    let kind = match field_name(field).as_deref() {
        Some(b"dkim-signature") => SignatureKind::Dkim,
        Some(b"arc-message-signature") => SignatureKind::Arc,
        _ => return Err(SignatureError::Field),
    };
    let value = memchr::memchr(b':', field).map_or(0, |colon| colon + 1);
    let tags = TagList::parse(&field[value..]).map_err(SignatureError::Tags)?;
    Ok((kind, value, tags))
}

impl Signature {
    /// Reads and checks the tags of a field. `now` is in seconds since 1970.
    pub fn from_tags(kind: SignatureKind, tags: &TagList, now: u64) -> Result<Self, SignatureError> {
        check_version(kind, tags)?;
        let algorithm = Algorithm::from_name(required(tags, "a")?).ok_or(SignatureError::Unsupported("a"))?;
        let (header_canonicalization, body_canonicalization) = canonicalization(tags)?;
        let domain = domain(tags, "d")?;
        let signature = Self {
            kind,
            algorithm,
            signature: decode_base64(required(tags, "b")?).ok_or(SignatureError::Invalid("b"))?,
            body_hash: body_hash(tags, algorithm.hash())?,
            header_canonicalization,
            body_canonicalization,
            identity_domain: match kind {
                SignatureKind::Dkim => identity_domain(tags, &domain)?,
                SignatureKind::Arc => domain.clone(),
            },
            domain,
            headers: headers(kind, tags)?,
            body_length: number(tags, "l", 76)?,
            selector: domain_name(tags, "s")?.into_owned(),
            timestamp: number(tags, "t", 12)?,
            expiration: number(tags, "x", 12)?,
        };
        check_query(tags)?;
        if signature.query().len() > 253 {
            return Err(SignatureError::Invalid("s"));
        }
        signature.check_time(now)?;
        Ok(signature)
    }

    /// Where the key record is, a name that the DNS can have.
    pub fn query(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    fn check_time(&self, now: u64) -> Result<(), SignatureError> {
        let Some(expiration) = self.expiration else { return Ok(()) };
        if self.timestamp.is_some_and(|timestamp| expiration <= timestamp) {
            return Err(SignatureError::Invalid("x"));
        }
        if expiration < now { Err(SignatureError::Expired) } else { Ok(()) }
    }
}

fn required<'a>(tags: &'a TagList, name: &'static str) -> Result<&'a [u8], SignatureError> {
    tags.get(name).filter(|value| !value.is_empty()).ok_or(SignatureError::Missing(name))
}

/// `v=` is required in DKIM-Signature; an ARC-Message-Signature has none (RFC 8617, section 4.1.2), but its
/// instance.
fn check_version(kind: SignatureKind, tags: &TagList) -> Result<(), SignatureError> {
    match kind {
        SignatureKind::Dkim if required(tags, "v")? != b"1" => Err(SignatureError::Unsupported("v")),
        SignatureKind::Dkim => Ok(()),
        SignatureKind::Arc => match number(tags, "i", 2)? {
            Some(1..=50) => Ok(()),
            Some(_) => Err(SignatureError::Invalid("i")),
            None => Err(SignatureError::Missing("i")),
        },
    }
}

fn canonicalization(tags: &TagList) -> Result<(Canonicalization, Canonicalization), SignatureError> {
    let Some(value) = tags.get("c") else { return Ok((Canonicalization::Simple, Canonicalization::Simple)) };
    let mut halves = value.splitn(2, |&byte| byte == b'/');
    let mut half = |default| match halves.next() {
        Some(name) => Canonicalization::from_name(name).ok_or(SignatureError::Unsupported("c")),
        None => Ok(default),
    };
    Ok((half(Canonicalization::Simple)?, half(Canonicalization::Simple)?))
}

fn domain_name<'a>(tags: &'a TagList, tag: &'static str) -> Result<Cow<'a, str>, SignatureError> {
    ascii_domain(required(tags, tag)?).ok_or(SignatureError::Invalid(tag))
}

fn domain(tags: &TagList, tag: &'static str) -> Result<String, SignatureError> {
    Ok(domain_name(tags, tag)?.to_ascii_lowercase())
}

/// The name as the DNS has it.
fn ascii_domain(name: &[u8]) -> Option<Cow<'_, str>> {
    let name = crate::idn::to_ascii(std::str::from_utf8(name).ok()?)?;
    is_domain(name.as_bytes()).then_some(name)
}

fn body_hash(tags: &TagList, hash: Hash) -> Result<Vec<u8>, SignatureError> {
    let value = decode_base64(required(tags, "bh")?).ok_or(SignatureError::Invalid("bh"))?;
    let length = if hash == Hash::Sha1 { 20 } else { 32 };
    if value.len() == length { Ok(value) } else { Err(SignatureError::Invalid("bh")) }
}

/// The domain of `i=`, which must be that of `d=` or below it. The local part can be encoded, the domain not.
fn identity_domain(tags: &TagList, domain: &str) -> Result<String, SignatureError> {
    let Some(identity) = tags.get("i") else { return Ok(domain.to_owned()) };
    let at = memchr::memrchr(b'@', identity).ok_or(SignatureError::Invalid("i"))?;
    let name = ascii_domain(&identity[at + 1..]).ok_or(SignatureError::Invalid("i"))?.to_ascii_lowercase();
    let within = name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if within { Ok(name) } else { Err(SignatureError::Identity) }
}

fn headers(kind: SignatureKind, tags: &TagList) -> Result<Vec<Vec<u8>>, SignatureError> {
    let headers: Vec<Vec<u8>> = colon_list(required(tags, "h")?).map(<[u8]>::to_ascii_lowercase).collect();
    if headers.len() > MAX_SIGNED_HEADERS || headers.iter().any(Vec::is_empty) {
        return Err(SignatureError::Invalid("h"));
    }
    if !headers.iter().any(|name| name == b"from") {
        return Err(SignatureError::FromNotSigned);
    }
    if kind == SignatureKind::Arc && headers.iter().any(|name| name == b"arc-seal") {
        return Err(SignatureError::Invalid("h"));
    }
    Ok(headers)
}

fn number(tags: &TagList, tag: &'static str, max_digits: usize) -> Result<Option<u64>, SignatureError> {
    let Some(value) = tags.get(tag) else { return Ok(None) };
    let text = std::str::from_utf8(value).unwrap_or("");
    let is_number = (1..=max_digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_number => Ok(Some(number)),
        _ => Err(SignatureError::Invalid(tag)),
    }
}

fn check_query(tags: &TagList) -> Result<(), SignatureError> {
    let Some(value) = tags.get("q") else { return Ok(()) };
    if colon_list(value).any(|method| method == b"dns/txt") {
        Ok(())
    } else {
        Err(SignatureError::Unsupported("q"))
    }
}
