//! `signDKIM`.

use std::sync::Arc;

use bytes::Bytes;
use mail::build::Builder;
use mail::delta::Now;
use mail::dkim::{Algorithm, ArcInstance, Canonicalization, SignOptions, sign_message};
use mail::keys::PrivateKey;
use mail::limits::MAX_SIGNATURES;
use mail::message::{Message, ValueForm};
use mail::mime::PartId;
use script::fault::Fault;
use script::host::Host;
use script::native::{Call, Native, NativeFrame, NativeRun, Next, Options, Step};
use script::value::{Array, Object, Resource, Value};

use super::super::{MailPart, MimeObject, now};
use super::{function, job, unix_s};
use crate::crypto::{KeyText, configured_private_key, key_of_text, private_key};

const PARAMS: &str = "string selector, string domain, resource or string key [, array options]";

pub(in crate::mail) const SIGN_MESSAGE: Native = Native::offloading(
    "signDKIM",
    PARAMS,
    (3, Some(4)),
    "Adds a DKIM signature of the message with its changes, and returns the message; none if the key or an option does not \
     serve. The key is a private key, its PEM text, or the id of one in the configuration. Options: canonicalization_header \
     and canonicalization_body (relaxed or simple), algorithm (rsa-sha256, rsa-sha1 or ed25519-sha256; fits the key if not \
     given), headers, additional_headers, oversign_headers, timestamp, expiration, expiration_relative, identity, \
     body_length, additional_signatures, id, return_header (returns the value of the header instead), arc (true or a \
     number: an ARC-Message-Signature).",
    (0, "the message"),
    |call| start(call, true),
);

pub(in crate::mail) const SIGN_MIME: Native = Native::offloading(
    "signDKIM",
    PARAMS,
    (3, Some(4)),
    "Adds a DKIM signature of the message as it is now, and returns the object; none if the key or an option does not \
     serve. The key and the options are those of MailMessage.signDKIM, without return_header and arc.",
    (0, "the message"),
    |call| start(call, false),
);

/// Writes the message and signs it: the argument is a [`Job`], the result a list of `[name, value]`, or none.
static WORK: Native = Native {
    name: "signDKIM",
    params: "resource job",
    doc: "Signs a message.",
    min_args: 1,
    max_args: Some(1),
    run: NativeRun::Sized { above_bytes: 0, run: work },
};

struct Job {
    source: Source,
    signatures: Vec<Signature>,
    now: Now,
}

enum Source {
    Message(Message),
    Builder(Arc<Builder>),
}

/// One signature, as the options say. It becomes [`SignOptions`] when the key has been read.
struct Signature {
    key: Key,
    selector: String,
    domain: String,
    algorithm: Option<Algorithm>,
    header_canonicalization: Canonicalization,
    body_canonicalization: Canonicalization,
    headers: Option<Vec<String>>,
    additional_headers: Vec<String>,
    oversign_headers: Option<Vec<String>>,
    timestamp: Option<u64>,
    expiration: Option<u64>,
    identity: Option<String>,
    body_length: Option<u64>,
    arc: Option<ArcInstance>,
}

enum Key {
    Read(PrivateKey),
    Pem(Vec<u8>),
    /// Base64 of an `RSAPrivateKey`, without the lines around it.
    Bare(Vec<u8>),
    None,
}

fn start(call: &mut Call<'_>, is_message: bool) -> Result<Step, Fault> {
    let object = call.this_object()?.clone();
    let options = call.options(3)?;
    let (selector, domain) = (lossy(&call.str(0)?), lossy(&call.str(1)?));
    let key = call.arg(2).clone();
    let Some(key_source) = key_source(&key, &options, call.host())? else {
        return Err(call.wrong(2, "a private key or a string"));
    };
    let now = now(call.host());
    let mut signatures = Vec::new();
    match signature(selector, domain, key_source, &options, now)? {
        Some(signature) => signatures.push(signature),
        None => return Ok(Step::Return(Value::None)),
    }
    for entry in options.array("additional_signatures")?.unwrap_or_default().values().take(MAX_SIGNATURES) {
        match additional(call, &options, &entry, now)? {
            Some(signature) => signatures.push(signature),
            None => return Ok(Step::Return(Value::None)),
        }
    }
    if !is_message {
        signatures.iter_mut().for_each(|signature| signature.arc = None);
    }
    let source = match (object.downcast::<MailPart>(), object.downcast::<MimeObject>()) {
        (Some(part), _) => Source::Message(part.message().borrow().clone()),
        (_, Some(mime)) => Source::Builder(Arc::clone(&mime.builder().borrow())),
        _ => return Err(call.error("is a method of MailMessage and MIME")),
    };
    let return_header = is_message && options.boolean("return_header", false)?;
    let job: Resource = Resource::new("DKIM", Arc::new(Job { source, signatures, now }));
    let then = Box::new(Signing { object, return_header, now });
    Ok(Step::Call { function: function(&WORK), args: vec![Value::Resource(job)], then })
}

/// One of `additional_signatures`: an array with selector, domain and key, and options of its own; canonicalisation and
/// headers are those of the first signature unless it has its own (key names and inheritance are inferred).
fn additional(
    call: &mut Call<'_>,
    first: &Options,
    entry: &Value,
    now: Now,
) -> Result<Option<Signature>, Fault> {
    let own = entry
        .as_array()
        .ok_or_else(|| call.error("option \"additional_signatures\" must be a list of arrays"))?;
    let mut merged = Array::new();
    for name in INHERITED {
        if let Some(value) = first.get(name) {
            merged.set_str(name, value);
        }
    }
    for (key, value) in own.iter() {
        merged.set(key, value);
    }
    let options = Options::new("signDKIM", Some(merged));
    let (Some(selector), Some(domain)) = (options.str("selector")?, options.str("domain")?) else {
        return Err(call.error("an additional signature needs selector and domain"));
    };
    let key = options.get("key").unwrap_or_default();
    let Some(key) = key_source(&key, &options, call.host())? else {
        return Err(call.error("the key of an additional signature must be a private key or a string"));
    };
    signature(lossy(&selector), lossy(&domain), key, &options, now)
}

const INHERITED: &[&str] = &[
    "canonicalization_header",
    "canonicalization_body",
    "headers",
    "additional_headers",
    "oversign_headers",
    "timestamp",
    "expiration",
    "expiration_relative",
    "body_length",
    "arc",
];

/// Where the key comes from. A text is PEM if it looks so, else the id of the configuration, unless the option `id` says
/// which; `none`, as a key that could not be read gives it, is a bad key. None for what is neither key nor text.
fn key_source(key: &Value, options: &Options, host: &mut dyn Host) -> Result<Option<Key>, Fault> {
    if let Some(key) = private_key(key) {
        return Ok(Some(Key::Read(key.clone())));
    }
    if key.is_none() {
        return Ok(Some(Key::None));
    }
    let Some(text) = key.as_bytes() else { return Ok(None) };
    let is_pem = text.windows(10).any(|window| window == b"-----BEGIN");
    let is_id = match options.get("id") {
        Some(_) => Some(options.boolean("id", false)?),
        None => None,
    };
    let configured = |host| configured_private_key(host, text).map(Key::Read);
    Ok(Some(match (is_id, is_pem) {
        (Some(true), _) => configured(host).unwrap_or(Key::None),
        (_, true) => Key::Pem(text.to_vec()),
        (None, false) => configured(host).unwrap_or_else(|| Key::Bare(text.to_vec())),
        (Some(false), false) => Key::Bare(text.to_vec()),
    }))
}

/// None for a value that makes no signature; an error for one of the wrong type.
fn signature(
    selector: String,
    domain: String,
    key: Key,
    options: &Options,
    now: Now,
) -> Result<Option<Signature>, Fault> {
    let canonicalization = |name| {
        let value = options.str(name)?;
        let default = Some(Canonicalization::Relaxed);
        Ok::<_, Fault>(value.map_or(default, |value| Canonicalization::from_name(&value)))
    };
    let header_canonicalization = canonicalization("canonicalization_header")?;
    let body_canonicalization = canonicalization("canonicalization_body")?;
    let (Some(header_canonicalization), Some(body_canonicalization)) =
        (header_canonicalization, body_canonicalization)
    else {
        return Ok(None);
    };
    let algorithm = match options.str("algorithm")? {
        None => None,
        Some(name) => match Algorithm::from_name(&name) {
            None => return Ok(None),
            known => known,
        },
    };
    // Of what is below 0 nothing can be signed.
    let body_length = match options.number("body_length")? {
        Some(length) if length >= 0.0 => Some(length as u64),
        Some(_) => return Ok(None),
        None => None,
    };
    let timestamp = timestamp(options, now)?;
    Ok(Some(Signature {
        key,
        selector,
        domain,
        algorithm,
        header_canonicalization,
        body_canonicalization,
        headers: names(options, "headers")?,
        additional_headers: names(options, "additional_headers")?.unwrap_or_default(),
        oversign_headers: names(options, "oversign_headers")?,
        timestamp,
        expiration: expiration(options, timestamp, now)?,
        identity: options.str("identity")?.map(|identity| lossy(&identity)),
        body_length,
        arc: arc(options)?,
    }))
}

fn timestamp(options: &Options, now: Now) -> Result<Option<u64>, Fault> {
    match options.get("timestamp") {
        Some(Value::Bool(wanted)) => Ok(wanted.then(|| unix_s(now.unix_s as f64))),
        _ => Ok(options.number("timestamp")?.map(unix_s)),
    }
}

fn expiration(options: &Options, timestamp: Option<u64>, now: Now) -> Result<Option<u64>, Fault> {
    if let Some(absolute) = options.number("expiration")? {
        return Ok(Some(unix_s(absolute)));
    }
    let start = timestamp.unwrap_or_else(|| unix_s(now.unix_s as f64));
    Ok(options.number("expiration_relative")?.map(|seconds| start.saturating_add(unix_s(seconds))))
}

fn arc(options: &Options) -> Result<Option<ArcInstance>, Fault> {
    match options.get("arc") {
        Some(Value::Bool(wanted)) => Ok(wanted.then_some(ArcInstance::Next)),
        _ => Ok(options.number("arc")?.map(|number| ArcInstance::Number(number as u32))),
    }
}

fn names(options: &Options, name: &str) -> Result<Option<Vec<String>>, Fault> {
    let Some(list) = options.array(name)? else { return Ok(None) };
    let text = |value: Value| value.as_bytes().map(lossy);
    let names = list.values().map(text).collect::<Option<Vec<String>>>();
    names
        .map(Some)
        .ok_or_else(|| Fault::error(format!("signDKIM(): option \"{name}\" must be a list of strings")))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn work(call: &mut Call<'_>) -> Result<Value, Fault> {
    let job: &Job = job(call.arg(0))?;
    let source = match &job.source {
        Source::Message(message) => {
            // The field goes where the header begins: the shard is not to look for it.
            message.structure();
            message.to_bytes(job.now)
        }
        Source::Builder(builder) => Bytes::from(builder.to_bytes()),
    };
    let options: Option<Vec<SignOptions>> = job.signatures.iter().map(Signature::options).collect();
    let Some(options) = options else { return Ok(Value::None) };
    let Ok(fields) = sign_message(&source, &options, unix_s(job.now.unix_s as f64)) else {
        return Ok(Value::None);
    };
    let pair = |field: mail::dkim::SignedField| vec![Value::from(field.name), field.value.into()].into();
    Ok(fields.into_iter().map(pair).collect::<Vec<Value>>().into())
}

impl Signature {
    fn options(&self) -> Option<SignOptions> {
        let key = match &self.key {
            Key::Read(key) => key.clone(),
            Key::Pem(text) => key_of_text(text, KeyText::Pem)?,
            Key::Bare(text) => {
                let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                let der = data_encoding::BASE64.decode(&text).ok()?;
                key_of_text(&der, KeyText::RsaPrivateKey)?
            }
            Key::None => return None,
        };
        let defaults = SignOptions::new(&self.selector, &self.domain, key);
        Some(SignOptions {
            algorithm: self.algorithm.unwrap_or(defaults.algorithm),
            header_canonicalization: self.header_canonicalization,
            body_canonicalization: self.body_canonicalization,
            headers: self.headers.clone(),
            additional_headers: self.additional_headers.clone(),
            oversign_headers: self.oversign_headers.clone().unwrap_or(defaults.oversign_headers),
            timestamp: self.timestamp,
            expiration: self.expiration,
            identity: self.identity.clone(),
            body_length: self.body_length,
            arc: self.arc,
            selector: defaults.selector,
            domain: defaults.domain,
            key: defaults.key,
        })
    }
}

/// Waits for the signatures, and adds them.
struct Signing {
    object: Object,
    return_header: bool,
    /// The Date that was signed, where there was none yet.
    now: Now,
}

impl NativeFrame for Signing {
    fn resume(&mut self, result: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        let Some(fields) = result.as_array() else { return Ok(Next::Return(Value::None)) };
        let fields: Vec<(Value, Value)> = fields.values().filter_map(pair).collect();
        if let Some(part) = self.object.downcast::<MailPart>()
            && part.message().borrow_mut().fix_date(self.now).is_err()
        {
            return Ok(Next::Return(Value::None));
        }
        if self.return_header {
            return Ok(Next::Return(returned(fields)));
        }
        // The last one goes on top first, so that the first one ends up there.
        for (name, value) in fields.iter().rev() {
            if !self.add(name.as_bytes().unwrap_or_default(), value.as_bytes().unwrap_or_default()) {
                return Ok(Next::Return(Value::None));
            }
        }
        Ok(Next::Return(Value::Object(self.object.clone())))
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&Value::Object(self.object.clone()));
    }
}

impl Signing {
    fn add(&self, name: &[u8], value: &[u8]) -> bool {
        if let Some(part) = self.object.downcast::<MailPart>() {
            let mut message = part.message().borrow_mut();
            return message.add_header(PartId::ROOT, name, value, ValueForm::Verbatim).is_ok();
        }
        let mime = self.object.downcast::<MimeObject>();
        mime.is_some_and(|mime| {
            let mut builder = mime.builder().borrow_mut();
            Arc::make_mut(&mut builder).prepend_header(name, value, ValueForm::Verbatim).is_ok()
        })
    }
}

fn pair(field: Value) -> Option<(Value, Value)> {
    let field = field.as_array()?;
    Some((field.get_index(0)?, field.get_index(1)?))
}

/// The value of the header; with additional signatures a list of them (inferred).
fn returned(mut fields: Vec<(Value, Value)>) -> Value {
    match fields.len() {
        1 => fields.remove(0).1,
        _ => fields.into_iter().map(|(_, value)| value).collect::<Vec<Value>>().into(),
    }
}
