//! Signing (RFC 6376, section 5).

use std::fmt;

use data_encoding::BASE64;

use super::fields::{Fields, split_message};
use super::verify::hash_input;
use super::{Algorithm, BodyHash, BodyHasher, Canonicalization, is_domain};
use crate::compat::ALGORITHM_FOLLOWS_KEY;
use crate::idn::a_labels;
use crate::keys::{KeyError, PrivateKey};
use crate::limits::{MAX_SIGNATURES, MAX_SIGNED_HEADERS};

/// What is signed when nobody says otherwise, in this order, as far as present.
pub const DEFAULT_HEADERS: &[&str] = &[
    "from",
    "sender",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "to",
    "cc",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-id",
    "content-description",
    "resent-date",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-message-id",
    "in-reply-to",
    "references",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "cfbl-address",
    "cfbl-feedback-id",
];

/// Columns of a line of the signature field, without its CRLF.
const LINE_COLUMNS: usize = 78;

/// How to sign.
#[derive(Debug, Clone)]
pub struct SignOptions {
    /// `s=`, in ASCII.
    pub selector: String,
    /// `d=`, in ASCII.
    pub domain: String,
    /// The key, which must be of the kind that the algorithm needs.
    pub key: PrivateKey,
    /// `a=`.
    pub algorithm: Algorithm,
    /// The first half of `c=`.
    pub header_canonicalization: Canonicalization,
    /// The second half of `c=`.
    pub body_canonicalization: Canonicalization,
    /// Exactly these fields, as far as present, a name once per field; none for all fields of
    /// [`DEFAULT_HEADERS`]. From is signed in any case.
    pub headers: Option<Vec<String>>,
    /// Names to sign beside those.
    pub additional_headers: Vec<String>,
    /// Names to list once more than there are fields, so that nobody can add one.
    pub oversign_headers: Vec<String>,
    /// `t=`, seconds since 1970.
    pub timestamp: Option<u64>,
    /// `x=`, seconds since 1970.
    pub expiration: Option<u64>,
    /// `i=`, an address or `@domain`, within the domain.
    pub identity: Option<String>,
    /// `l=`, how many bytes of the canonical body to sign.
    pub body_length: Option<u64>,
    /// Make an ARC-Message-Signature instead.
    pub arc: Option<ArcInstance>,
}

/// The `i=` tag of an ARC-Message-Signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArcInstance {
    /// One more than the highest instance that the message has.
    Next,
    /// This one, 1 to 50.
    Number(u32),
}

impl SignOptions {
    /// The defaults of `signDKIM`: relaxed twice, SHA-256, the default headers, From listed once more. The
    /// algorithm follows the key. Names may have U-labels; A-labels are signed.
    pub fn new(selector: &str, domain: &str, key: PrivateKey) -> Self {
        let algorithm = match key {
            PrivateKey::Ed25519(_) if ALGORITHM_FOLLOWS_KEY => Algorithm::Ed25519Sha256,
            _ => Algorithm::RsaSha256,
        };
        Self {
            selector: a_labels(selector).into_owned(),
            domain: a_labels(domain).into_owned(),
            key,
            algorithm,
            header_canonicalization: Canonicalization::Relaxed,
            body_canonicalization: Canonicalization::Relaxed,
            headers: None,
            additional_headers: Vec::new(),
            oversign_headers: vec!["from".to_owned()],
            timestamp: None,
            expiration: None,
            identity: None,
            body_length: None,
            arc: None,
        }
    }

    fn check(&self) -> Result<(), SignError> {
        if !is_domain(self.selector.as_bytes()) {
            return Err(SignError::Selector);
        }
        if !is_domain(self.domain.as_bytes()) {
            return Err(SignError::Domain);
        }
        if let (Some(timestamp), Some(expiration)) = (self.timestamp, self.expiration)
            && expiration <= timestamp
        {
            return Err(SignError::Expiration);
        }
        let explicit = self.headers.iter().flatten();
        let mut names = explicit.chain(&self.additional_headers).chain(&self.oversign_headers);
        if names.any(|name| !is_field_name(name)) {
            return Err(SignError::HeaderName);
        }
        match (self.algorithm, &self.key) {
            (Algorithm::Ed25519Sha256, PrivateKey::Ed25519(_)) => Ok(()),
            (Algorithm::RsaSha1 | Algorithm::RsaSha256, PrivateKey::Rsa(_)) => Ok(()),
            _ => Err(SignError::KeyKind),
        }
    }
}

/// Why no signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignError {
    /// `selector` cannot stand in the DNS.
    Selector,
    /// `domain` cannot stand in the DNS.
    Domain,
    /// `identity` has no domain, or one outside of `domain`.
    Identity,
    /// `expiration` is not after `timestamp`.
    Expiration,
    /// A name of a header field that none can have.
    HeaderName,
    /// The key does not fit the algorithm.
    KeyKind,
    /// `body_length` is more than the body has.
    BodyLength,
    /// The instance of an ARC set is not 1 to 50.
    Instance,
    /// More signatures or signed headers than [`crate::limits`] allows.
    TooMany,
    /// The key.
    Key(KeyError),
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector => "the selector is not a domain name",
            Self::Domain => "the domain is not a domain name",
            Self::Identity => "the identity is not within the domain",
            Self::Expiration => "the expiration is not after the timestamp",
            Self::HeaderName => "not a name of a header field",
            Self::KeyKind => "the key does not fit the algorithm",
            Self::BodyLength => "the body is shorter than the length to sign",
            Self::Instance => "the instance of an ARC set is not 1 to 50",
            Self::TooMany => "too many signatures or headers",
            Self::Key(error) => return error.fmt(f),
        }
        .fmt(f)
    }
}

impl std::error::Error for SignError {}

/// A signature that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedField {
    /// `DKIM-Signature` or `ARC-Message-Signature`.
    pub name: &'static str,
    /// The value, folded, without a CRLF at its end. The field is the name, a colon, a space and this.
    pub value: Vec<u8>,
}

impl SignedField {
    /// The whole field with its CRLF.
    pub fn into_field(self) -> Vec<u8> {
        [self.name.as_bytes(), b": ", &self.value, b"\r\n"].concat()
    }
}

/// Signs a message that arrives in pieces, several times in one pass.
#[derive(Debug)]
pub struct Signer<'a> {
    signatures: &'a [SignOptions],
    /// One hasher for all signatures that want the same.
    hashers: Vec<(BodyKey, BodyHasher)>,
}

type BodyKey = (Canonicalization, Algorithm, Option<u64>);

fn body_key(options: &SignOptions) -> BodyKey {
    let algorithm = match options.algorithm {
        Algorithm::RsaSha1 => Algorithm::RsaSha1,
        Algorithm::RsaSha256 | Algorithm::Ed25519Sha256 => Algorithm::RsaSha256,
    };
    (options.body_canonicalization, algorithm, options.body_length)
}

impl<'a> Signer<'a> {
    /// Starts one signature for each of `signatures`.
    pub fn new(signatures: &'a [SignOptions]) -> Result<Self, SignError> {
        if signatures.len() > MAX_SIGNATURES {
            return Err(SignError::TooMany);
        }
        let mut hashers: Vec<(BodyKey, BodyHasher)> = Vec::new();
        for options in signatures {
            options.check()?;
            let key = body_key(options);
            if !hashers.iter().any(|(other, _)| *other == key) {
                let (canonicalization, algorithm, limit) = key;
                hashers.push((key, BodyHasher::new(canonicalization, algorithm.hash(), limit)));
            }
        }
        Ok(Self { signatures, hashers })
    }

    /// Takes the next piece of the body.
    pub fn body(&mut self, piece: &[u8]) {
        for (_, hasher) in &mut self.hashers {
            hasher.update(piece);
        }
    }

    /// Signs, now that the body is complete. `header` is the header of the message, `now` in seconds since 1970
    /// is what `expiration` must exceed.
    pub fn finish(self, header: &[u8], now: u64) -> Result<Vec<SignedField>, SignError> {
        let hashes: Vec<(BodyKey, BodyHash)> =
            self.hashers.into_iter().map(|(key, hasher)| (key, hasher.finish())).collect();
        let sign = |options: &SignOptions| {
            let key = body_key(options);
            let (_, hash) = hashes.iter().find(|(other, _)| *other == key).expect("made in new");
            sign_header(options, header, hash, now)
        };
        self.signatures.iter().map(sign).collect()
    }
}

/// Signs a whole message; see [`Signer`].
pub fn sign_message(
    message: &[u8],
    signatures: &[SignOptions],
    now: u64,
) -> Result<Vec<SignedField>, SignError> {
    let (header, body) = split_message(message);
    let mut signer = Signer::new(signatures)?;
    signer.body(body);
    signer.finish(header, now)
}

fn sign_header(
    options: &SignOptions,
    header: &[u8],
    body: &BodyHash,
    now: u64,
) -> Result<SignedField, SignError> {
    if options.body_length.is_some_and(|length| length > body.canonical_bytes) {
        return Err(SignError::BodyLength);
    }
    if options.expiration.is_some_and(|expiration| expiration <= now) {
        return Err(SignError::Expiration);
    }
    let mut fields = Fields::parse(header);
    let names = signed_names(options, &fields)?;
    let name = if options.arc.is_some() { "ARC-Message-Signature" } else { "DKIM-Signature" };
    let mut value = write_tags(options, &fields, &names, &body.digest)?;
    let mut input = Vec::new();
    hash_input(&mut fields, &names, options.header_canonicalization, &mut input);
    let unsigned = [name.as_bytes(), b": ", &value].concat();
    options.header_canonicalization.header(&unsigned, &mut input);
    input.truncate(input.len() - 2);
    let signature = sign_input(options, &input).map_err(SignError::Key)?;
    fold_base64(&signature, &mut value);
    Ok(SignedField { name, value })
}

fn sign_input(options: &SignOptions, input: &[u8]) -> Result<Vec<u8>, KeyError> {
    let hash = options.algorithm.hash();
    match &options.key {
        PrivateKey::Rsa(key) => key.sign(hash, input),
        PrivateKey::Ed25519(key) => Ok(key.sign(&hash.digest(input)).to_vec()),
        PrivateKey::Ec(_) => Err(KeyError::WrongKind),
    }
}

/// The names of the `h=` tag.
fn signed_names(options: &SignOptions, fields: &Fields<'_>) -> Result<Vec<Vec<u8>>, SignError> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    match &options.headers {
        Some(explicit) => explicit.iter().for_each(|name| add_one(&mut names, fields, name)),
        None => DEFAULT_HEADERS.iter().for_each(|name| add_all(&mut names, fields, name)),
    }
    if options.arc.is_some() && options.headers.is_none() {
        add_all(&mut names, fields, "dkim-signature");
    }
    options.additional_headers.iter().for_each(|name| add_all(&mut names, fields, name));
    for name in &options.oversign_headers {
        add_all(&mut names, fields, name);
        insert_after_last(&mut names, name.to_ascii_lowercase().into_bytes());
    }
    if !names.iter().any(|name| name == b"from") {
        add_all(&mut names, fields, "from");
        if fields.count(b"from") == 0 {
            names.push(b"from".to_vec());
        }
    }
    if names.len() > MAX_SIGNED_HEADERS { Err(SignError::TooMany) } else { Ok(names) }
}

/// Lists the next field of this name, if there is one that is not listed yet.
fn add_one(names: &mut Vec<Vec<u8>>, fields: &Fields<'_>, name: &str) {
    let name = name.to_ascii_lowercase().into_bytes();
    let listed = names.iter().filter(|other| **other == name).count();
    if listed < fields.count(&name) {
        names.push(name);
    }
}

/// Lists all fields of this name that are not listed yet.
fn add_all(names: &mut Vec<Vec<u8>>, fields: &Fields<'_>, name: &str) {
    let name = name.to_ascii_lowercase().into_bytes();
    let listed = names.iter().filter(|other| **other == name).count();
    for _ in listed..fields.count(&name).min(MAX_SIGNED_HEADERS + 1) {
        names.push(name.clone());
    }
}

fn insert_after_last(names: &mut Vec<Vec<u8>>, name: Vec<u8>) {
    let at = names.iter().rposition(|other| *other == name).map_or(names.len(), |last| last + 1);
    names.insert(at, name);
}

/// Everything up to the value of `b=`.
fn write_tags(
    options: &SignOptions,
    fields: &Fields<'_>,
    names: &[Vec<u8>],
    body_hash: &[u8],
) -> Result<Vec<u8>, SignError> {
    let mut line = Folder::default();
    match options.arc {
        Some(instance) => line.tag("i", &arc_instance(instance, fields)?.to_string()),
        None => line.tag("v", "1"),
    }
    line.tag("a", options.algorithm.name());
    line.tag(
        "c",
        &format!("{}/{}", options.header_canonicalization.name(), options.body_canonicalization.name()),
    );
    line.tag("d", &options.domain);
    line.tag("s", &options.selector);
    if let (Some(identity), None) = (&options.identity, options.arc) {
        line.tag("i", &encode_identity(identity, &options.domain)?);
    }
    let numbers = [("t", options.timestamp), ("x", options.expiration), ("l", options.body_length)];
    for (name, number) in numbers {
        if let Some(number) = number {
            line.tag(name, &number.to_string());
        }
    }
    line.names(names);
    line.tag("bh", &BASE64.encode(body_hash));
    let mut out = line.out;
    out.extend_from_slice(b"\r\n\tb=");
    Ok(out)
}

/// Writes tags, and folds where a line would become too long.
#[derive(Default)]
struct Folder {
    out: Vec<u8>,
    /// Columns of the current line.
    column: usize,
}

impl Folder {
    fn tag(&mut self, name: &str, value: &str) {
        self.start(name.len() + value.len() + 2);
        self.write(name.as_bytes());
        self.write(b"=");
        self.write(value.as_bytes());
        self.write(b";");
    }

    fn names(&mut self, names: &[Vec<u8>]) {
        self.start(LINE_COLUMNS);
        self.write(b"h=");
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                self.write(b":");
                if self.column + name.len() + 1 > LINE_COLUMNS {
                    self.fold();
                }
            }
            self.write(name);
        }
        self.write(b";");
    }

    /// Goes where a tag of this length can stand.
    fn start(&mut self, length: usize) {
        // The name of the field stands before the first line.
        let before = if self.out.is_empty() { "ARC-Message-Signature:".len() } else { self.column };
        if before + 1 + length > LINE_COLUMNS && !self.out.is_empty() {
            self.fold();
        } else if !self.out.is_empty() {
            self.write(b" ");
        } else {
            self.column = before + 1;
        }
    }

    fn fold(&mut self) {
        self.out.extend_from_slice(b"\r\n\t");
        self.column = 1;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.column += bytes.len();
    }
}

fn fold_base64(signature: &[u8], out: &mut Vec<u8>) {
    let text = BASE64.encode(signature);
    for (at, piece) in text.as_bytes().chunks(LINE_COLUMNS - 6).enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\r\n\t ");
        }
        out.extend_from_slice(piece);
    }
}

fn arc_instance(instance: ArcInstance, fields: &Fields<'_>) -> Result<u32, SignError> {
    let number = match instance {
        ArcInstance::Number(number) => number,
        ArcInstance::Next => {
            let instances = fields.all(b"arc-message-signature").iter().filter_map(|field| {
                let (_, _, tags) = super::signature::parse_field(field).ok()?;
                std::str::from_utf8(tags.get("i")?).ok()?.parse::<u32>().ok()
            });
            instances.max().unwrap_or(0).saturating_add(1)
        }
    };
    if (1..=50).contains(&number) { Ok(number) } else { Err(SignError::Instance) }
}

/// `i=` in dkim-quoted-printable (RFC 6376, section 2.11).
fn encode_identity(identity: &str, domain: &str) -> Result<String, SignError> {
    let (local, host) = identity.rsplit_once('@').ok_or(SignError::Identity)?;
    let host = a_labels(host);
    let lower = host.to_ascii_lowercase();
    let rest = lower.strip_suffix(&domain.to_ascii_lowercase()).ok_or(SignError::Identity)?;
    if !is_domain(host.as_bytes()) || !(rest.is_empty() || rest.ends_with('.')) {
        return Err(SignError::Identity);
    }
    let mut out = String::new();
    for byte in local.bytes() {
        match byte {
            b'!'..=b':' | b'<' | b'>'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("={byte:02X}")),
        }
    }
    Ok(format!("{out}@{host}"))
}

/// Whether a field can have this name and `h=` can list it (RFC 5322, section 3.6.8).
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':' && byte != b';')
}
