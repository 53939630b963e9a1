//! The class X509CRL: a list of revoked certificates.

use std::sync::Arc;

use mail::keys::pem_blocks;
use script::fault::Fault;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun};
use script::value::{Array, Frozen, FrozenObject, Object, Resource, Value};
use x509_parser::prelude::{CertificateRevocationList, FromDer, RevokedCertificate, X509Certificate};

use super::{encode, extensions, is_pem, names};
use crate::limits::{MAX_CERTIFICATES, MAX_CRL_BYTES};

/// The kind of the resource.
const RESOURCE: &str = "X509CRLResource";

pub(in crate::crypto) static CLASS: NativeClass = NativeClass {
    name: "X509CRL",
    doc: "A list of revoked certificates (RFC 5280).",
    extends: None,
    constructor: Some(Native::inline(
        "X509CRL",
        "X509CRLResource resource",
        (1, Some(1)),
        "The list behind a resource.",
        |call| match Crl::of(call.arg(0)) {
            Some(list) => Ok(list.object()),
            None => Err(call.wrong(0, "an X509CRLResource")),
        },
    )),
    methods: METHODS,
    statics: &[Native {
        name: "String",
        params: "string data [, array options]",
        doc: "The list in a text, or none. Option: pem (default: DER, unless the text is PEM).",
        min_args: 1,
        max_args: Some(2),
        run: NativeRun::Sized { above_bytes: ABOVE_BYTES, run: from_string },
    }],
};

static METHODS: &[Native] = &[
    reading("issuer", "The names of the issuer: a list of [name, value].", |call| {
        with(call, |list| names::pairs(list.issuer()))
    }),
    reading(
        "revoked",
        "The revoked certificates: a list of arrays with serial_number, reason and time.",
        |call| with(call, revoked),
    ),
    reading("version", "The version, usually 2.", |call| {
        with(call, |list| list.version().map_or(1.0, |version| f64::from(version.0) + 1.0))
    }),
    reading("last_update", "When it was made, in Unix time.", |call| {
        with(call, |list| list.last_update().timestamp() as f64)
    }),
    reading("next_update", "When the next one is due, in Unix time, or none.", |call| {
        with(call, |list| list.next_update().map(|time| time.timestamp() as f64))
    }),
    Native {
        name: "export",
        params: "[array options]",
        doc: "The list in DER. Option: pem.",
        min_args: 0,
        max_args: Some(1),
        run: NativeRun::Sized { above_bytes: ABOVE_BYTES, run: export },
    },
    Native {
        name: "extensions",
        params: "[array options]",
        doc: "The extensions: a list of arrays with name, oid, value (DER) and critical.",
        min_args: 0,
        max_args: Some(1),
        run: NativeRun::Sized {
            above_bytes: ABOVE_BYTES,
            run: |call| with(call, |list| extensions(list.extensions())),
        },
    },
    Native::inline("toResource", "", (0, Some(0)), "The resource.", |call| {
        let this: &X509Crl = call.this()?;
        Ok(Value::Resource(Resource::new(RESOURCE, Arc::new(this.0.clone()))))
    }),
];

/// Bytes of a list that are parsed at once: about 100 µs, `revoked` 150.
const ABOVE_BYTES: usize = 8 * 1024;

const fn reading(
    name: &'static str,
    doc: &'static str,
    run: fn(&mut Call<'_>) -> Result<Value, Fault>,
) -> Native {
    let run = NativeRun::Sized { above_bytes: ABOVE_BYTES, run };
    Native { name, params: "", doc, min_args: 0, max_args: Some(0), run }
}

/// A list that could be parsed. Cloning shares it.
#[derive(Clone)]
pub(super) struct Crl {
    der: Arc<[u8]>,
}

/// The object of scripts.
struct X509Crl(Crl);

impl Crl {
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether the certificate is in it, by issuer and serial number.
    pub(super) fn revokes(&self, certificate: &X509Certificate<'_>) -> bool {
        let list = self.parsed();
        let is_it = |entry: &RevokedCertificate<'_>| entry.raw_serial() == certificate.raw_serial();
        list.issuer().as_raw() == certificate.issuer().as_raw() && list.iter_revoked_certificates().any(is_it)
    }

    fn parsed(&self) -> CertificateRevocationList<'_> {
        CertificateRevocationList::from_der(&self.der).expect("the constructors have parsed the same bytes").1
    }

    fn from_text(text: &[u8], pem: bool) -> Option<Crl> {
        if text.len() > MAX_CRL_BYTES {
            return None;
        }
        if !pem && !is_pem(text) {
            return Crl::from_der(text);
        }
        let blocks = pem_blocks(text).ok()?;
        Crl::from_der(&blocks.iter().find(|block| block.label == "X509 CRL")?.der)
    }

    fn from_der(der: &[u8]) -> Option<Crl> {
        let (rest, _) = CertificateRevocationList::from_der(der).ok()?;
        rest.is_empty().then(|| Crl { der: Arc::from(der) })
    }

    fn of(value: &Value) -> Option<&Crl> {
        match value {
            Value::Resource(resource) => resource.get(),
            Value::Object(object) => object.downcast::<X509Crl>().map(|object| &object.0),
            _ => None,
        }
    }

    fn object(&self) -> Value {
        Value::Object(Object::host(X509Crl(self.clone())))
    }
}

impl HostObject for X509Crl {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn freeze(&self) -> Option<Frozen> {
        Some(Frozen::Object(Arc::new(self.0.clone())))
    }

    fn size_bytes(&self) -> usize {
        size_of::<X509Crl>() + self.0.der.len()
    }
}

impl FrozenObject for Crl {
    fn thaw(self: Arc<Self>) -> Object {
        Object::host(X509Crl((*self).clone()))
    }

    fn size_bytes(&self) -> usize {
        self.der.len()
    }
}

/// The lists of an array argument.
pub(super) fn lists(call: &Call<'_>, index: usize) -> Result<Vec<Crl>, Fault> {
    let Some(array) = call.opt_array(index)? else { return Ok(Vec::new()) };
    if array.len() > MAX_CERTIFICATES {
        return Err(call.error(format!("argument {} has more than {MAX_CERTIFICATES} items", index + 1)));
    }
    let list = array.values().map(|value| Crl::of(&value).cloned()).collect::<Option<Vec<_>>>();
    list.ok_or_else(|| call.wrong(index, "an array of X509CRL objects or resources"))
}

fn from_string(call: &mut Call<'_>) -> Result<Value, Fault> {
    let pem = call.options(1)?.boolean("pem", false)?;
    Ok(Crl::from_text(call.bytes(0)?, pem).map(|list| list.object()).into())
}

fn export(call: &mut Call<'_>) -> Result<Value, Fault> {
    let pem = call.options(0)?.boolean("pem", false)?;
    let this: &X509Crl = call.this()?;
    Ok(encode(&this.0.der, "X509 CRL", pem).into())
}

fn with<T: Into<Value>>(
    call: &Call<'_>,
    read: impl Fn(&CertificateRevocationList<'_>) -> T,
) -> Result<Value, Fault> {
    let this: &X509Crl = call.this()?;
    Ok(read(&this.0.parsed()).into())
}

/// The keys `reason` and `time` are inferred; the words are those of RFC 5280.
fn revoked(list: &CertificateRevocationList<'_>) -> Vec<Value> {
    const REASONS: &[&str] = &[
        "unspecified",
        "keyCompromise",
        "cACompromise",
        "affiliationChanged",
        "superseded",
        "cessationOfOperation",
        "certificateHold",
        "",
        "removeFromCRL",
        "privilegeWithdrawn",
        "aACompromise",
    ];
    let item = |entry: &RevokedCertificate<'_>| {
        let mut item = Array::new();
        item.set_str("serial_number", names::serial(entry.raw_serial()));
        let code = entry.reason_code().map_or(0, |(_, code)| usize::from(code.0));
        item.set_str("reason", *REASONS.get(code).unwrap_or(&REASONS[0]));
        item.set_str("time", entry.revocation_date.timestamp() as f64);
        item.into()
    };
    list.iter_revoked_certificates().map(item).collect()
}
