//! Verifying a signature (RFC 6376, section 6).
//!
//! A [`Verifier`] is made from the signature field, reads the message, and ends with the answer of the DNS. Each
//! step can already be the end: then it gives the [`Outcome`].

use std::fmt;

use super::fields::{Fields, split_message};
use super::signature::parse_field;
use super::{
    Algorithm, BodyHasher, Canonicalization, KeyRecord, RecordError, Signature, SignatureError, SignatureKind,
};
use crate::compat::VERIFY_RSA_SHA1;
use crate::limits::MAX_KEY_RECORDS;
use crate::taglist::TagList;

/// What a verification can come to. As in the scripts, there is no `fail`: a signature that does not fit is a
/// permanent error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The signature is valid.
    Pass,
    /// It is not, and will never be.
    PermError,
    /// The key could not be had now.
    TempError,
}

impl Verdict {
    /// The word for it in scripts and Authentication-Results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::PermError => "permerror",
            Self::TempError => "temperror",
        }
    }
}

/// Why a signature was not found valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyError {
    /// The field itself.
    Signature(SignatureError),
    /// `a=rsa-sha1`, which RFC 8301 says no verifier may accept.
    Sha1,
    /// `l=` is more than the body has.
    BodyLength,
    /// The body is another than the one that was signed.
    BodyHash,
    /// There is no key record, or the DNS said something final.
    NoRecord(String),
    /// The DNS gave no answer.
    Dns(String),
    /// The key record.
    Record(RecordError),
    /// The signature is none of this header by this key.
    Mismatch,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(error) => error.fmt(f),
            Self::Sha1 => f.write_str("rsa-sha1 is not accepted (RFC 8301)"),
            Self::BodyLength => f.write_str("tag l is more than the length of the body"),
            Self::BodyHash => f.write_str("body hash did not verify"),
            Self::NoRecord(reason) | Self::Dns(reason) => f.write_str(reason),
            Self::Record(error) => error.fmt(f),
            Self::Mismatch => f.write_str("signature did not verify"),
        }
    }
}

impl std::error::Error for VerifyError {}

/// The end of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it came to.
    pub verdict: Verdict,
    /// Why, unless it passed.
    pub error: Option<VerifyError>,
    /// The tags of the field, if it could be parsed.
    pub tags: Option<TagList>,
    /// The domain is testing DKIM (`t=y`): a failure is to be treated like a missing signature.
    pub testing: bool,
}

impl Outcome {
    fn failed(error: VerifyError, tags: Option<TagList>) -> Self {
        let verdict =
            if matches!(error, VerifyError::Dns(_)) { Verdict::TempError } else { Verdict::PermError };
        Self { verdict, error: Some(error), tags, testing: false }
    }
}

/// What the DNS said about [`Verifier::query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAnswer {
    /// The TXT records, each with its strings concatenated.
    Txt(Vec<Vec<u8>>),
    /// A final error, with its text.
    PermError(String),
    /// An error that may pass, with its text.
    TempError(String),
}

/// A verification under way.
#[derive(Debug, Clone)]
pub struct Verifier {
    signature: Signature,
    tags: TagList,
    field: Vec<u8>,
    /// Where `b=` has its value in the field.
    hole: std::ops::Range<usize>,
    /// The canonical header, what the signature signs.
    input: Vec<u8>,
}

impl Verifier {
    /// Starts with the whole signature field, name included. `now` is in seconds since 1970.
    pub fn new(field: &[u8], now: u64) -> Result<Self, Outcome> {
        let fail = |error, tags| Outcome::failed(VerifyError::Signature(error), tags);
        let (kind, value, tags) = parse_field(field).map_err(|error| fail(error, None))?;
        let signature = match Signature::from_tags(kind, &tags, now) {
            Ok(signature) => signature,
            Err(error) => return Err(fail(error, Some(tags))),
        };
        if signature.algorithm == Algorithm::RsaSha1 && !VERIFY_RSA_SHA1 {
            return Err(Outcome::failed(VerifyError::Sha1, Some(tags)));
        }
        let span = tags.tag("b").map(|tag| tag.span.clone()).unwrap_or_default();
        let hole = value + span.start..value + span.end;
        Ok(Self { signature, tags, field: field.to_vec(), hole, input: Vec::new() })
    }

    /// The signature as it was read.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The tags of the field.
    pub fn tags(&self) -> &TagList {
        &self.tags
    }

    /// The name whose TXT records are needed.
    pub fn query(&self) -> String {
        self.signature.query()
    }

    /// Reads the whole message: [`header`](Self::header) and the body.
    pub fn message(&mut self, message: &[u8]) -> Result<(), Outcome> {
        let (header, body) = split_message(message);
        let mut hasher = self.body_hasher();
        hasher.update(body);
        self.body(hasher)?;
        self.header(header);
        Ok(())
    }

    /// What is to be fed with the body, piece by piece, and then given to [`body`](Self::body).
    pub fn body_hasher(&self) -> BodyHasher {
        let signature = &self.signature;
        BodyHasher::new(signature.body_canonicalization, signature.algorithm.hash(), signature.body_length)
    }

    /// Compares the hash of the body.
    pub fn body(&self, hasher: BodyHasher) -> Result<(), Outcome> {
        let hash = hasher.finish();
        let error = if self.signature.body_length.is_some_and(|length| length > hash.canonical_bytes) {
            VerifyError::BodyLength
        } else if hash.digest != self.signature.body_hash {
            VerifyError::BodyHash
        } else {
            return Ok(());
        };
        Err(Outcome::failed(error, Some(self.tags.clone())))
    }

    /// Reads the header of the message.
    pub fn header(&mut self, header: &[u8]) {
        let canonicalization = self.signature.header_canonicalization;
        let mut fields = Fields::parse(header);
        if self.signature.kind == SignatureKind::Dkim {
            fields.remove(&self.field);
        }
        let mut input = Vec::new();
        hash_input(&mut fields, &self.signature.headers, canonicalization, &mut input);
        let without = [&self.field[..self.hole.start], &self.field[self.hole.end..]].concat();
        canonicalization.header(&without, &mut input);
        input.truncate(input.len() - 2);
        self.input = input;
    }

    /// Ends the verification, after [`message`](Self::message), with what the DNS said.
    pub fn finish(self, answer: &KeyAnswer) -> Outcome {
        let mut testing = false;
        let result = self.check(answer, &mut testing);
        match result {
            Ok(()) => Outcome { verdict: Verdict::Pass, error: None, tags: Some(self.tags), testing },
            Err(error) => Outcome { testing, ..Outcome::failed(error, Some(self.tags)) },
        }
    }

    /// Several records are an error of the domain; the first one that fits is taken.
    fn check(&self, answer: &KeyAnswer, testing: &mut bool) -> Result<(), VerifyError> {
        let records = match answer {
            KeyAnswer::Txt(records) => records,
            KeyAnswer::PermError(reason) => return Err(VerifyError::NoRecord(reason.clone())),
            KeyAnswer::TempError(reason) => return Err(VerifyError::Dns(reason.clone())),
        };
        let mut first_error = None;
        for text in records.iter().take(MAX_KEY_RECORDS) {
            match self.check_record(text, testing) {
                Ok(()) => return Ok(()),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let none = || VerifyError::NoRecord(format!("no key record at {}", self.query()));
        Err(first_error.unwrap_or_else(none))
    }

    fn check_record(&self, text: &[u8], testing: &mut bool) -> Result<(), VerifyError> {
        let record = KeyRecord::parse(text).map_err(VerifyError::Record)?;
        *testing |= record.testing;
        record.allows(&self.signature).map_err(VerifyError::Record)?;
        if record.verify(self.signature.algorithm, &self.input, &self.signature.signature) {
            Ok(())
        } else {
            Err(VerifyError::Mismatch)
        }
    }
}

/// Appends the canonical form of the fields that `names` lists, each name taking the lowest field not yet taken
/// (RFC 6376, section 5.4.2).
pub(super) fn hash_input(
    fields: &mut Fields<'_>,
    names: &[Vec<u8>],
    canonicalization: Canonicalization,
    out: &mut Vec<u8>,
) {
    for name in names {
        if let Some(field) = fields.take_lowest(name) {
            canonicalization.header(field, out);
        }
    }
}
