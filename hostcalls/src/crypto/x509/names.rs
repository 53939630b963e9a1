//! Names in certificates: what they are called, and their text.

use std::net::IpAddr;

use script::value::{Array, Value};
use x509_parser::der_parser::Oid;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The short names that OpenSSL has for what stands in names.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
];

/// A list of `[name, value]`, in the order of the certificate.
pub(super) fn pairs(name: &X509Name<'_>) -> Vec<Value> {
    let pair = |attribute: &AttributeTypeAndValue<'_>| {
        let oid = attribute.attr_type().to_id_string();
        let short = SHORT_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, short)| *short);
        vec![Value::from(short.unwrap_or(&oid)), text(attribute)].into()
    };
    name.iter_attributes().map(pair).collect()
}

/// The value in UTF-8 where its type says what the bytes mean, else as it is.
fn text(attribute: &AttributeTypeAndValue<'_>) -> Value {
    /// The tag of BMPString: two bytes for each character.
    const BMP_STRING: u32 = 30;
    /// The tag of UniversalString: four.
    const UNIVERSAL_STRING: u32 = 28;

    let bytes = attribute.as_slice();
    match attribute.attr_value().tag().0 {
        BMP_STRING => {
            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units).into()
        }
        UNIVERSAL_STRING => bytes
            .chunks_exact(4)
            .map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
            .map(|number| char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect::<String>()
            .into(),
        _ => bytes.into(),
    }
}

/// The alternative names of the subject by kind. Kinds beside `DNS` have inferred keys.
pub(super) fn alternative_names(certificate: &X509Certificate<'_>) -> Array {
    let mut names = Array::new();
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return names };
    for (key, wanted) in [("DNS", 0), ("email", 1), ("URI", 2), ("IP", 3)] {
        let general = extension.value.general_names.iter();
        let list: Vec<Value> =
            general.filter_map(general_name).filter(|(kind, _)| *kind == wanted).map(|(_, v)| v).collect();
        if !list.is_empty() {
            names.set_str(key, list);
        }
    }
    names
}

fn general_name(name: &GeneralName<'_>) -> Option<(u8, Value)> {
    Some(match name {
        GeneralName::DNSName(name) => (0, (*name).into()),
        GeneralName::RFC822Name(name) => (1, (*name).into()),
        GeneralName::URI(name) => (2, (*name).into()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?;
            (3, address.to_string().into())
        }
        _ => return None,
    })
}

/// A serial number as OpenSSL prints it: upper case, an even number of digits.
pub(super) fn serial(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let digits = data_encoding::HEXUPPER.encode(&bytes[zeros.min(bytes.len().saturating_sub(1))..]);
    if digits.is_empty() { "00".to_owned() } else { digits }
}

/// The short name of an extension, if it has one.
pub(super) fn extension<'a>(oid: &'a Oid<'a>) -> Option<&'a str> {
    oid2sn(oid, oid_registry()).ok()
}
