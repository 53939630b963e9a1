//! Messages in scripts: the classes `MIME`, `MailMessage` and `MIMEPart`, and the functions for headers and addresses.
//!
//! The work is done in the crate `mail`; here are its values. A message is shared by the objects of all its parts, so
//! that a change through one shows when any of them is written.

mod body;
mod builder;
pub(crate) mod dkim;
#[cfg(test)]
mod elsewhere_tests;
mod functions;
mod message;
mod outbox;
mod parameters;
mod part;
mod queue;
mod rest;
mod search;
pub mod stored;
mod taken;
#[cfg(test)]
mod tests;
mod weigh;

use mail::delta::Now;
use script::host::Host;
use script::native::Call;
use script::value::{Array, Str, Value};

use crate::Family;

pub use builder::MimeObject;
pub use message::{MESSAGE, MailPart};
pub use outbox::{
    AddressObjects, Metadata, Outbox, QueueOptions, Queued, RECEIVED, TransportNames, metadata,
};
pub use parameters::{Given, GivenParameters};
pub use queue::Posted;
pub use rest::{Reread, Resting};
pub(crate) use taken::Taken;

/// What this module adds to the library.
pub static FAMILY: Family = Family {
    natives: functions::NATIVES,
    classes: &[&builder::MIME, &part::PART, &MESSAGE],
    absent: &[
        ("DKIMSign", "use the method signDKIM of the message"),
        ("DKIMVerify", "use the method verifyDKIM of the message"),
        ("DKIMSDID", "use the methods getHeaders and verifyDKIM of the message"),
        ("EODMailMessage", "it cannot be made: the end-of-DATA hook has one"),
    ],
    loaders: &[("eml", message::load_eml)],
    host: &[message::FROM_FILE_FUNCTION, queue::HOST_FUNCTION, builder::TO_FILE_FUNCTION],
    ..Family::EMPTY
};

/// Why a message is not queued or sent: no peer would have it.
pub(crate) const UNCLEAN: &str = "the message has a CR or LF that is not part of a line end (CRLF)";

/// The time of the host with its zone, for Date fields.
fn now(host: &dyn Host) -> Now {
    let unix_s = host.now() as i64;
    let timestamp = jiff::Timestamp::from_second(unix_s).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Now { unix_s, offset_min: host.timezone().to_offset(timestamp).seconds() / 60 }
}

/// The same for a host function.
pub(crate) fn now_in(environment: &crate::Environment) -> Now {
    let unix_s = (engine::time::wall_us() / 1_000_000) as i64;
    let timestamp = jiff::Timestamp::from_second(unix_s).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Now { unix_s, offset_min: environment.timezone().to_offset(timestamp).seconds() / 60 }
}

/// A boundary that occurs in no message: a random UUID.
fn boundary(host: &mut dyn Host) -> String {
    let mut random = [0; 16];
    host.random(&mut random);
    // Version 4, variant 1 (RFC 9562 5.4).
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A list of strings.
fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Value {
    Array::from_list(items.into_iter().map(Into::into).collect()).into()
}

/// The object that a method was called on, which setters return.
fn this(call: &Call<'_>) -> Result<Value, script::fault::Fault> {
    Ok(Value::Object(call.this_object()?.clone()))
}

/// A copy of the bytes of a string that outlives the call.
fn shared(text: &Str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(text.as_bytes())
}
