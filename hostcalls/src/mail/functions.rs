//! Functions for header values and addresses.

use mail::address::{self, Mailbox};
use mail::header;
use mail::taglist::TagList;
use script::fault::Fault;
use script::native::{Call, Native};
use script::value::{Array, Value};

/// Longest input that is worked on at once (`bench/script/thresholds.hsl`): lists of addresses take 30 us for each KiB.
const INLINE_BYTES: usize = 4 * 1024;
/// The same for text that is encoded: at worst, each byte is one of another character set, 180 us for each KiB.
const INLINE_TEXT_BYTES: usize = 512;

/// All functions of this file.
pub(super) static NATIVES: &[Native] = &[
    Native::sized(
        "envelope_address_parse",
        "string address",
        (1, Some(1)),
        "The localpart and domain of an address of MAIL or RCPT, the local part without quotes; none when it is no \
         address.",
        INLINE_BYTES,
        envelope_address_parse,
    ),
    Native::sized(
        "envelope_localpart_escape",
        "string localpart",
        (1, Some(1)),
        "The local part as it is written in an address: quoted where it must be.",
        INLINE_BYTES,
        envelope_localpart_escape,
    ),
    Native::sized(
        "header_addresslist_extract",
        "string value [, array options]",
        (1, Some(2)),
        "The addresses of a From, To or Cc header. Options: field (false; the value includes the header name), name \
         (false; items are arrays of name and address). None when it is no address list.",
        INLINE_BYTES,
        header_addresslist_extract,
    ),
    Native::sized(
        "GetAddressList",
        "string value [, array options]",
        (1, Some(2)),
        "The old name of header_addresslist_extract.",
        INLINE_BYTES,
        header_addresslist_extract,
    ),
    Native::sized(
        "header_addresslist_compile",
        "array addresses",
        (1, Some(1)),
        "An address list from arrays of name and address (or plain addresses); names are quoted or encoded.",
        INLINE_BYTES,
        header_addresslist_compile,
    ),
    Native::sized(
        "header_dkim_decode",
        "string value [, array options]",
        (1, Some(2)),
        "The tags of a DKIM, ARC, DMARC or BIMI value. Option: field (false; the value includes the header name). \
         None when it is no tag list.",
        INLINE_BYTES,
        header_dkim_decode,
    ),
    Native::sized(
        "mimeword_encode",
        "string text",
        (1, Some(1)),
        "The text as encoded words of RFC 2047, in UTF-8 with Q encoding.",
        INLINE_TEXT_BYTES,
        mimeword_encode,
    ),
    Native::sized(
        "mimeword_decode",
        "string text",
        (1, Some(1)),
        "The text with its encoded words in UTF-8.",
        INLINE_BYTES,
        mimeword_decode,
    ),
];

fn envelope_address_parse(call: &mut Call<'_>) -> Result<Value, Fault> {
    let Some(parsed) = address::parse_envelope(call.bytes(0)?) else { return Ok(Value::None) };
    let mut result = Array::new();
    result.set_str("localpart", parsed.local_part);
    result.set_str("domain", parsed.domain);
    Ok(result.into())
}

fn envelope_localpart_escape(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(address::escape_local_part(call.bytes(0)?).as_ref().into())
}

/// The argument 0, without the header name when the option `field` says that there is one.
fn header_value<'a>(call: &'a Call<'_>) -> Result<&'a [u8], Fault> {
    let value = call.bytes(0)?;
    if !call.options(1)?.boolean("field", false)? {
        return Ok(value);
    }
    let colon = value.iter().position(|byte| *byte == b':');
    Ok(colon.map_or(value, |colon| &value[colon + 1..]))
}

fn header_addresslist_extract(call: &mut Call<'_>) -> Result<Value, Fault> {
    let with_names = call.options(1)?.boolean("name", false)?;
    let Some(found) = address::parse_list(header_value(call)?) else { return Ok(Value::None) };
    let item = |mailbox: Mailbox| -> Value {
        if !with_names {
            return mailbox.address.into();
        }
        let mut item = Array::new();
        item.set_str("name", mailbox.name);
        item.set_str("address", mailbox.address);
        item.into()
    };
    Ok(super::list(found.into_iter().map(item)))
}

fn header_addresslist_compile(call: &mut Call<'_>) -> Result<Value, Fault> {
    let mut mailboxes = Vec::new();
    for item in call.array(0)?.values() {
        mailboxes
            .push(mailbox(&item).ok_or_else(|| call.wrong(0, "a list of arrays with name and address"))?);
    }
    Ok(address::compile(&mailboxes).into())
}

fn mailbox(item: &Value) -> Option<Mailbox> {
    let text = |value: &Value| value.as_str().map(|text| text.to_string_lossy().into_owned());
    if let Some(address) = text(item) {
        return Some(Mailbox { name: String::new(), address });
    }
    let array = item.as_array()?;
    let name = match array.get_str("name") {
        None | Some(Value::None) => String::new(),
        Some(name) => text(&name)?,
    };
    Some(Mailbox { name, address: text(&array.get_str("address")?)? })
}

fn header_dkim_decode(call: &mut Call<'_>) -> Result<Value, Fault> {
    let Ok(tags) = TagList::parse(header_value(call)?) else { return Ok(Value::None) };
    let mut result = Array::new();
    for tag in tags.iter() {
        result.set_str(&tag.name, &tag.value[..]);
    }
    Ok(result.into())
}

fn mimeword_encode(call: &mut Call<'_>) -> Result<Value, Fault> {
    let text = header::to_utf8(call.bytes(0)?, None);
    Ok(header::encode_all(&text, 0).into())
}

fn mimeword_decode(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(header::decode_value(call.bytes(0)?, None).into())
}
