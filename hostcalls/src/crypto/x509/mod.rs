//! The class X509: a certificate.

pub(super) mod crl;
mod names;
mod verify;

use std::fmt;
use std::sync::Arc;

use mail::keys::{RsaPublicKey, pem_blocks};
use script::fault::Fault;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun};
use script::value::{Array, Frozen, FrozenObject, Object, Resource, Value};
use x509_parser::prelude::{FromDer, X509Certificate, X509Extension};

use crate::library::TO_FFI_VALUE;
use crate::limits::{MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES};

/// The kind of the resource.
const RESOURCE: &str = "X509Resource";

pub(super) static CLASS: NativeClass = NativeClass {
    name: "X509",
    doc: "A certificate (RFC 5280).",
    extends: None,
    constructor: Some(Native::inline(
        "X509",
        "X509Resource resource",
        (1, Some(1)),
        "The certificate behind a resource.",
        |call| match Certificate::of(call.arg(0)) {
            Some(certificate) => Ok(certificate.object()),
            None => Err(call.wrong(0, "an X509Resource")),
        },
    )),
    methods: METHODS,
    statics: &[Native {
        name: "String",
        params: "string data [, array options]",
        doc: "The certificate in a text, or none. Options: pem (default: DER, unless the text is PEM), multiple (a list of \
              all certificates).",
        min_args: 1,
        max_args: Some(2),
        run: NativeRun::Sized { above_bytes: 16 * 1024, run: from_string },
    }],
};

static METHODS: &[Native] = &[
    Native::inline(
        "subject",
        "",
        (0, Some(0)),
        "The names of the subject: a list of [name, value].",
        |call| with(call, |certificate| names::pairs(certificate.subject())),
    ),
    Native::inline("issuer", "", (0, Some(0)), "The names of the issuer: a list of [name, value].", |call| {
        with(call, |certificate| names::pairs(certificate.issuer()))
    }),
    Native::inline(
        "subject_alt_name",
        "",
        (0, Some(0)),
        "The alternative names of the subject: DNS, email, IP and URI, each a list, as far as there are any.",
        |call| with(call, names::alternative_names),
    ),
    Native::inline("version", "", (0, Some(0)), "The version, usually 3.", |call| {
        with(call, |certificate| f64::from(certificate.version().0) + 1.0)
    }),
    Native::inline("serial_number", "", (0, Some(0)), "The serial number in hexadecimal digits.", |call| {
        with(call, |certificate| names::serial(certificate.raw_serial()))
    }),
    Native::inline("not_valid_before", "", (0, Some(0)), "When it becomes valid, in Unix time.", |call| {
        with(call, |certificate| certificate.validity().not_before.timestamp() as f64)
    }),
    Native::inline("not_valid_after", "", (0, Some(0)), "When it ends to be valid, in Unix time.", |call| {
        with(call, |certificate| certificate.validity().not_after.timestamp() as f64)
    }),
    Native::inline(
        "public_key",
        "[array options]",
        (0, Some(1)),
        "The public key as SubjectPublicKeyInfo in DER. Option: pem.",
        |call| {
            let pem = call.options(0)?.boolean("pem", false)?;
            with(call, |certificate| encode(certificate.public_key().raw, "PUBLIC KEY", pem))
        },
    ),
    Native::inline(
        "export",
        "[array options]",
        (0, Some(1)),
        "The certificate in DER. Option: pem.",
        |call| {
            let pem = call.options(0)?.boolean("pem", false)?;
            let this: &X509 = call.this()?;
            Ok(encode(&this.0.der, "CERTIFICATE", pem).into())
        },
    ),
    Native::inline(
        "extensions",
        "[array options]",
        (0, Some(1)),
        "The extensions: a list of arrays with name, oid, value (DER) and critical.",
        |call| with(call, |certificate| extensions(certificate.extensions())),
    ),
    Native {
        name: "verify",
        params: "array calist [, array intermediates [, array revokelist]]",
        doc: "Whether a chain leads from this certificate to one of the list: signatures, validity, basic constraints, name \
              constraints and, with a list, revocation of each certificate that a CRL covers. Names, usages and algorithms \
              weaker than those of TLS are not accepted or not looked at: the name of the subject and the extended key usage \
              are the caller's business. An array with result and, if it is false, error.",
        min_args: 1,
        max_args: Some(3),
        run: NativeRun::Sized { above_bytes: 0, run: verify::verify },
    },
    Native::inline("toResource", "", (0, Some(0)), "The resource.", |call| {
        let this: &X509 = call.this()?;
        Ok(Value::Resource(this.0.resource()))
    }),
    TO_FFI_VALUE,
];

/// A certificate that could be parsed. Cloning shares it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Arc<[u8]>,
}

/// The object of scripts.
struct X509(Certificate);

impl Certificate {
    /// Reads one certificate in DER; bytes after it are an error.
    pub fn from_der(der: &[u8]) -> Option<Certificate> {
        let (certificate, length) = Certificate::first_of(der)?;
        (length == der.len()).then_some(certificate)
    }

    /// The certificates of a PEM text, in order; none if there is none, or a broken one.
    pub fn list_from_pem(text: &[u8]) -> Option<Vec<Certificate>> {
        let blocks = pem_blocks(text).ok()?.into_iter();
        let blocks = blocks.filter(|block| block.label.ends_with("CERTIFICATE"));
        let list = blocks.map(|block| Certificate::from_der(&block.der)).collect::<Option<Vec<_>>>()?;
        (1..=MAX_CERTIFICATES).contains(&list.len()).then_some(list)
    }

    /// The certificates of a text that is PEM, or DER one after the other.
    pub fn list_from_text(text: &[u8]) -> Option<Vec<Certificate>> {
        if is_pem(text) { Certificate::list_from_pem(text) } else { Certificate::list_from_der(text) }
    }

    fn list_from_der(mut der: &[u8]) -> Option<Vec<Certificate>> {
        let mut list = Vec::new();
        while !der.is_empty() && list.len() < MAX_CERTIFICATES {
            let (certificate, length) = Certificate::first_of(der)?;
            list.push(certificate);
            der = &der[length..];
        }
        (!list.is_empty() && der.is_empty()).then_some(list)
    }

    fn first_of(der: &[u8]) -> Option<(Certificate, usize)> {
        let (rest, _) = X509Certificate::from_der(der).ok()?;
        let length = der.len() - rest.len();
        (length <= MAX_CERTIFICATE_BYTES).then(|| (Certificate { der: Arc::from(&der[..length]) }, length))
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate behind a resource or an object.
    pub fn of(value: &Value) -> Option<&Certificate> {
        match value {
            Value::Resource(resource) => resource.get(),
            Value::Object(object) => object.downcast::<X509>().map(|object| &object.0),
            _ => None,
        }
    }

    /// An object of the class X509.
    pub fn object(&self) -> Value {
        Value::Object(Object::host(X509(self.clone())))
    }

    /// A resource, such as those in `$connection["tls"]`.
    pub fn resource(&self) -> Resource {
        Resource::new(RESOURCE, Arc::new(self.clone()))
    }

    pub(super) fn into_frozen_resource(self) -> Frozen {
        Frozen::Resource(RESOURCE, Arc::new(self))
    }

    pub(super) fn into_frozen_object(self) -> Frozen {
        Frozen::Object(Arc::new(self))
    }

    pub(super) fn rsa_public_key(&self) -> Option<RsaPublicKey> {
        RsaPublicKey::from_spki_der(self.parsed().public_key().raw).ok()
    }

    fn parsed(&self) -> X509Certificate<'_> {
        X509Certificate::from_der(&self.der).expect("the constructors have parsed the same bytes").1
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} bytes)", self.der.len())
    }
}

impl HostObject for X509 {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn freeze(&self) -> Option<Frozen> {
        Some(self.0.clone().into_frozen_object())
    }

    fn size_bytes(&self) -> usize {
        size_of::<X509>() + self.0.der.len()
    }
}

impl FrozenObject for Certificate {
    fn thaw(self: Arc<Self>) -> Object {
        Object::host(X509((*self).clone()))
    }

    fn size_bytes(&self) -> usize {
        self.der.len()
    }
}

fn with<T: Into<Value>>(call: &Call<'_>, read: impl Fn(&X509Certificate<'_>) -> T) -> Result<Value, Fault> {
    let this: &X509 = call.this()?;
    Ok(read(&this.0.parsed()).into())
}

fn from_string(call: &mut Call<'_>) -> Result<Value, Fault> {
    let options = call.options(1)?;
    let text = call.bytes(0)?;
    let pem = options.boolean("pem", false)? || is_pem(text);
    let list = if pem { Certificate::list_from_pem(text) } else { Certificate::list_from_der(text) };
    let Some(list) = list else { return Ok(Value::None) };
    if options.boolean("multiple", false)? {
        return Ok(list.iter().map(Certificate::object).collect::<Vec<_>>().into());
    }
    Ok(list[0].object())
}

fn is_pem(text: &[u8]) -> bool {
    !text.starts_with(b"\x30")
}

/// DER as it is, or as PEM.
fn encode(der: &[u8], label: &str, pem: bool) -> Vec<u8> {
    if !pem {
        return der.to_vec();
    }
    let base64 = data_encoding::BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text.into_bytes()
}

/// The list that `extensions` gives; the name is that of OpenSSL, or the OID (the key `critical` is inferred).
fn extensions(extensions: &[X509Extension<'_>]) -> Vec<Value> {
    let item = |extension: &X509Extension<'_>| {
        let oid = extension.oid.to_id_string();
        let mut item = Array::new();
        item.set_str("name", names::extension(&extension.oid).unwrap_or(&oid));
        item.set_str("oid", oid.as_str());
        item.set_str("value", extension.value);
        item.set_str("critical", extension.critical);
        item.into()
    };
    extensions.iter().map(item).collect()
}

/// The certificates of an array argument.
fn certificates(call: &Call<'_>, index: usize) -> Result<Vec<Certificate>, Fault> {
    let Some(array) = call.opt_array(index)? else { return Ok(Vec::new()) };
    if array.len() > MAX_CERTIFICATES {
        return Err(call.error(format!("argument {} has more than {MAX_CERTIFICATES} items", index + 1)));
    }
    let certificate = |value: Value| Certificate::of(&value).cloned();
    let list = array.values().map(certificate).collect::<Option<Vec<_>>>();
    list.ok_or_else(|| call.wrong(index, "an array of X509 objects or resources"))
}
