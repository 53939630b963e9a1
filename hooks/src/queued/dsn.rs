//! The option `dsn` of `Queue` and `Bounce`: another report than the transport's settings say (reference: hooks 6.3).

use bytes::Bytes;
use hostcalls::address;
use hostcalls::mail::{Metadata, TransportNames, metadata};
use mail::report::{self, FieldPlace};
use net::smtp::address::Address;
use script::value::{Frozen, Value};

use super::requeue::transport;
use crate::decision::{Failure, Options, wrong};
use crate::limits;

/// What is different in a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DsnOverrides {
    /// The transport that carries it.
    pub transport: Option<String>,
    /// Whom it goes to instead of the sender.
    pub recipient: Option<Address>,
    /// Kept with it.
    pub metadata: Metadata,
    /// Address of its From field.
    pub from: Option<String>,
    /// Name of its From field.
    pub from_name: Option<String>,
    /// A signature for it.
    pub dkim: Option<Dkim>,
    /// Its job id.
    pub job_id: Option<String>,
    /// A whole part, header and body, instead of the text for people. Its lines end in CRLF.
    pub readable_part: Option<Bytes>,
    /// What its subject begins with.
    pub subject_prepend: Option<String>,
    /// Further fields, such as `X-Queue: bulk`, or ones that stand instead of the report's own, such as Subject.
    pub headers: Vec<String>,
    /// Leave out the header of the original.
    pub without_original: bool,
    /// Seconds until its first attempt.
    pub delay_s: Option<f64>,
}

/// How a report is signed: the arguments of `signDKIM`.
#[derive(Clone, Debug)]
pub struct Dkim {
    /// Name of the key's record.
    pub selector: String,
    /// Domain that signs.
    pub domain: String,
    /// The key, by id or as PEM.
    pub key: Frozen,
    /// The whole array, for the other options.
    pub options: Frozen,
}

impl PartialEq for Dkim {
    /// Two orders are never taken for the same: only one report is signed by each.
    fn eq(&self, _other: &Dkim) -> bool {
        false
    }
}

impl DsnOverrides {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == DsnOverrides::default()
    }

    /// The option `dsn` among others.
    pub(super) fn within(options: &Options, transports: &TransportNames) -> Result<DsnOverrides, Failure> {
        match options.nested("dsn")? {
            None => Ok(DsnOverrides::default()),
            Some(dsn) => DsnOverrides::read(&dsn, transports)
                .map_err(|Failure(why)| Failure(format!("option \"dsn\": {why}"))),
        }
    }

    fn read(dsn: &Options, transports: &TransportNames) -> Result<DsnOverrides, Failure> {
        let recipient = match dsn.address("recipient")? {
            Some(None) => return Err(Failure("option \"recipient\": it is empty".to_owned())),
            Some(recipient) => recipient,
            None => None,
        };
        let kept = match dsn.array("metadata")? {
            Some(array) => metadata(&array).map_err(|fault| Failure(fault.to_string()))?,
            None => Metadata::default(),
        };
        Ok(DsnOverrides {
            transport: transport(dsn, transports)?,
            recipient,
            metadata: kept,
            from: from(dsn)?,
            from_name: dsn.string("from_name")?,
            dkim: dsn.nested("dkim")?.map(|options| dkim(&options, dsn)).transpose()?,
            job_id: dsn.string("jobid")?,
            readable_part: readable_part(dsn)?,
            subject_prepend: dsn.string("subject_prepend")?,
            headers: headers(dsn)?,
            without_original: dsn.optional_boolean("original_headers")? == Some(false),
            delay_s: dsn.number("delay", 0.0, limits::MAX_DELAY_S)?,
        })
    }
}

fn from(dsn: &Options) -> Result<Option<String>, Failure> {
    let Some(value) = dsn.value("from") else { return Ok(None) };
    match address::of_value(&value).map_err(|why| Failure(format!("option \"from\": {why}")))? {
        Some(address) => Ok(Some(String::from_utf8_lossy(address.as_bytes()).into_owned())),
        None => Err(Failure("option \"from\": it is empty".to_owned())),
    }
}

fn dkim(options: &Options, dsn: &Options) -> Result<Dkim, Failure> {
    let needed = |key: &str| {
        options.string(key)?.ok_or_else(|| Failure(format!("option \"dkim\": \"{key}\" is missing")))
    };
    let frozen = |value: Option<Value>, key: &str| {
        let value = value.ok_or_else(|| Failure(format!("option \"dkim\": \"{key}\" is missing")))?;
        value.freeze().map_err(|fault| Failure(format!("option \"dkim\": {fault}")))
    };
    Ok(Dkim {
        selector: needed("selector")?,
        domain: needed("domain")?,
        key: frozen(options.value("key"), "key")?,
        options: frozen(dsn.value("dkim"), "dkim")?,
    })
}

fn readable_part(dsn: &Options) -> Result<Option<Bytes>, Failure> {
    let text = match dsn.value("readable_mimepart") {
        None => return Ok(None),
        Some(Value::Str(text)) => text,
        Some(other) => return Err(wrong("readable_mimepart", "a string", &other)),
    };
    if text.len() > limits::MAX_READABLE_PART_BYTES {
        return Err(Failure(format!(
            "option \"readable_mimepart\": {} bytes, of which {} are allowed",
            text.len(),
            limits::MAX_READABLE_PART_BYTES
        )));
    }
    match report::readable_part(Bytes::copy_from_slice(text.as_bytes())) {
        None => Err(Failure(
            "option \"readable_mimepart\": it does not begin with header fields, such as \"Content-Type: text/plain\", and a \
             blank line"
                .to_owned(),
        )),
        part => Ok(part),
    }
}

fn headers(dsn: &Options) -> Result<Vec<String>, Failure> {
    let headers = dsn.strings("headers", limits::MAX_DSN_HEADERS)?.unwrap_or_default();
    let refused = |header: &str, why: &str| Err(Failure(format!("option \"headers\": {header:?} {why}")));
    let mut instead: Vec<String> = Vec::new();
    for header in &headers {
        if !is_field(header) {
            return refused(header, "is no header field in one line, such as \"X-Name: value\"");
        }
        let name = header.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match report::field_place(&name) {
            FieldPlace::Beside => {}
            FieldPlace::Nowhere => {
                return refused(header, "is not for a script to set: it makes the report one");
            }
            FieldPlace::Instead if instead.contains(&name) => {
                return refused(header, "is the second of its name");
            }
            FieldPlace::Instead => instead.push(name),
        }
    }
    Ok(headers)
}

/// A name, a colon, a value without line ends.
fn is_field(text: &str) -> bool {
    let Some((name, value)) = text.split_once(':') else { return false };
    let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    !name.is_empty() && name.bytes().all(is_name) && !value.contains(['\r', '\n', '\0'])
}
