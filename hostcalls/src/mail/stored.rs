//! What is kept with a message in the spool beyond the envelope's own fields: the one table of tags, and how a message that a
//! script queues is written down.
//!
//! A tag is never given another meaning, and a value never another form, since older and newer releases read it.
//! `docs/spool-format.md` lists them.
//!
//! | where | tag | value |
//! |---|---|---|
//! | message | 1 | RET: `FULL` or `HDRS` |
//! | message | 2 | ENVID, as xtext |
//! | message | 3 | REQUIRETLS: empty |
//! | message | 4 | the message is a report of ours: 16 bytes transaction id of what it reports on |
//! | recipient | 1 | NOTIFY, as in the command |
//! | recipient | 2 | ORCPT, as in the command |
//! | recipient | 3 | sender for this recipient, where it is not that of the message; empty: the null sender |
//! | recipient | 4 | changes to the message: the stored form of [`mail::delta::Delta`] |
//! | recipient | 5 | held from the start, until somebody releases it: empty |
//! | recipient | 6 | first attempt not before: milliseconds since the Unix epoch, little-endian u64 |
//! | recipient | 7 | metadata: keys and values in turn, each with its length as little-endian u32 in front |
//! | recipient | 8 | job id |
//! | recipient | 9 | tenant id |
//! | recipient | 10 | quotas: as metadata |
//! | recipient | 11 | priority: one byte |
//! | recipient | 12 | RET instead of the message's; empty: none |
//! | recipient | 13 | ENVID instead of the message's, as xtext; empty: none |
//! | recipient | 14 | what the changes bring into the message, one byte: 1 bytes above 127, 2 some of them in its header |
//! | properties of an item | 1 | steps of the retry schedule that the sender was told of, little-endian u32: all below this number |
//! | properties of an item | 2 | metadata instead of the recipient's, in the same form |
//! | properties of an item | 3 | transport instead of the recipient's |
//! | properties of an item | 4 | job id instead of the recipient's; empty: none |
//! | properties of an item | 5 | tenant id instead of the recipient's; empty: none |
//! | properties of an item | 6 | priority instead of the recipient's: one byte |
//! | properties of an item | 7 | path of the file that it was loaded from, while that is being removed |
//! | properties of an item | 8 | path of the file that it is being unloaded to |

use bytes::Bytes;
use mail::delta::MailNeeds;
use net::smtp::address::Address;
use net::smtp::domain::domain_of;
use net::smtp::parameters::{EnvelopeId, MailParameters, RcptParameters};
use spool::{Envelope, Recipient};

use super::{Given, GivenParameters, Posted, QueueOptions};

/// Tagged values, as the spool keeps them.
pub type Fields = Vec<(u16, Bytes)>;

/// RET.
pub const MESSAGE_RET: u16 = 1;
/// ENVID.
pub const MESSAGE_ENVELOPE_ID: u16 = 2;
/// REQUIRETLS.
pub const MESSAGE_REQUIRE_TLS: u16 = 3;
/// What a report of ours is about.
pub const MESSAGE_REPORTS_ON: u16 = 4;
/// NOTIFY.
pub const RECIPIENT_NOTIFY: u16 = 1;
/// ORCPT.
pub const RECIPIENT_ORIGINAL: u16 = 2;
/// A sender of its own.
pub const RECIPIENT_SENDER: u16 = 3;
/// Changes to the message.
pub const RECIPIENT_DELTA: u16 = 4;
/// Held from the start.
pub const RECIPIENT_HELD: u16 = 5;
/// First attempt not before.
pub const RECIPIENT_NOT_BEFORE: u16 = 6;
/// Metadata.
pub const RECIPIENT_METADATA: u16 = 7;
/// Job id.
pub const RECIPIENT_JOB_ID: u16 = 8;
/// Tenant id.
pub const RECIPIENT_TENANT_ID: u16 = 9;
/// Quotas.
pub const RECIPIENT_QUOTAS: u16 = 10;
/// Priority.
pub const RECIPIENT_PRIORITY: u16 = 11;
/// RET instead of the message's.
pub const RECIPIENT_RET: u16 = 12;
/// ENVID instead of the message's.
pub const RECIPIENT_ENVELOPE_ID: u16 = 13;
/// What the changes bring into the message: bits.
pub const RECIPIENT_CONTENT: u16 = 14;
/// Of [`RECIPIENT_CONTENT`]: bytes above 127.
pub const CONTENT_EIGHT_BIT: u8 = 1;
/// Of [`RECIPIENT_CONTENT`]: some of them in the header, which needs SMTPUTF8.
pub const CONTENT_UTF8_HEADER: u8 = 2;

impl Posted {
    /// The envelope under this transaction id. `now_ms`: milliseconds since the Unix epoch.
    pub fn envelope(&self, transaction: [u8; 16], now_ms: u64) -> Envelope {
        let given = &self.options.dsn;
        let mut fields = recipient_fields(&given.rcpt(RcptParameters::default()));
        fields.extend(ordered_fields(&self.options, now_ms));
        let needs = MailNeeds::of(&self.message);
        let (from, to) = (self.sender.as_ref().map_or(&[][..], Address::as_bytes), self.recipient.as_bytes());
        Envelope {
            transaction,
            sender: Bytes::copy_from_slice(from),
            received_ms: now_ms,
            eight_bit: needs.eight_bit,
            smtputf8: needs.utf8_header || !from.is_ascii() || !to.is_ascii(),
            recipients: vec![Recipient {
                address: Bytes::copy_from_slice(to),
                transport: self.transport.clone().into(),
                domain: domain_of(to).unwrap_or_default().into(),
                fields,
            }],
            fields: message_fields(&given.mail(MailParameters::default())),
            ..Envelope::default()
        }
    }
}

/// Fields of a message with these parameters. SMTPUTF8 is a flag of the envelope.
pub fn message_fields(parameters: &MailParameters) -> Fields {
    let mut fields = Fields::new();
    if let Some(ret) = parameters.ret {
        fields.push((MESSAGE_RET, Bytes::from_static(ret.name().as_bytes())));
    }
    if let Some(id) = &parameters.envelope_id {
        fields.push((MESSAGE_ENVELOPE_ID, encoded(|out| id.encode(out))));
    }
    if parameters.require_tls {
        fields.extend(require_tls_fields());
    }
    fields
}

/// The field of a message with REQUIRETLS.
pub fn require_tls_fields() -> Fields {
    vec![(MESSAGE_REQUIRE_TLS, Bytes::new())]
}

/// Fields of a recipient with these parameters.
pub fn recipient_fields(parameters: &RcptParameters) -> Fields {
    let mut fields = Fields::new();
    if let Some(notify) = parameters.notify {
        fields.push((RECIPIENT_NOTIFY, encoded(|out| notify.encode(out))));
    }
    if let Some(original) = &parameters.original_recipient {
        fields.push((RECIPIENT_ORIGINAL, encoded(|out| original.encode(out))));
    }
    fields
}

/// Fields of a recipient for whom a script gives parameters, where RCPT said that of it.
pub fn given_fields(given: &GivenParameters, came: RcptParameters) -> Fields {
    let mut fields = recipient_fields(&given.rcpt(came));
    fields.extend(given_field(RECIPIENT_RET, &given.ret, |ret, out| {
        out.extend_from_slice(ret.name().as_bytes());
    }));
    fields.extend(given_field(RECIPIENT_ENVELOPE_ID, &given.envelope_id, EnvelopeId::encode));
    fields
}

/// The field that says what changes bring into a message, where that is anything.
pub fn content_field(needs: MailNeeds) -> Option<(u16, Bytes)> {
    let bits = [(needs.eight_bit, CONTENT_EIGHT_BIT), (needs.utf8_header, CONTENT_UTF8_HEADER)];
    let bits: u8 = bits.into_iter().filter_map(|(set, bit)| set.then_some(bit)).sum();
    (bits != 0).then(|| (RECIPIENT_CONTENT, Bytes::copy_from_slice(&[bits])))
}

/// A parameter that a script gives; what it leaves out is empty.
fn given_field<T>(tag: u16, given: &Given<T>, encode: impl FnOnce(&T, &mut Vec<u8>)) -> Option<(u16, Bytes)> {
    match given {
        Given::AsItCame => None,
        Given::LeftOut => Some((tag, Bytes::new())),
        Given::This(value) => Some((tag, encoded(|out| encode(value, out)))),
    }
}

/// Fields of a recipient with these options of `queue`, without its parameters.
pub fn ordered_fields(options: &QueueOptions, now_ms: u64) -> Fields {
    let mut fields = Fields::new();
    let mut put = |there: bool, tag, value: &dyn Fn() -> Bytes| {
        if there {
            fields.push((tag, value()));
        }
    };
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let quotas = || options.quotas.iter().map(String::as_bytes);
    let metadata = || options.metadata.iter().flat_map(|(key, value)| [&key[..], &value[..]]);
    let not_before_ms = now_ms.saturating_add((options.delay_s * 1000.0) as u64);
    put(options.hold, RECIPIENT_HELD, &Bytes::new);
    put(options.delay_s > 0.0, RECIPIENT_NOT_BEFORE, &|| {
        Bytes::copy_from_slice(&not_before_ms.to_le_bytes())
    });
    put(!options.metadata.is_empty(), RECIPIENT_METADATA, &|| strings(metadata()));
    put(!options.job_id.is_empty(), RECIPIENT_JOB_ID, &|| text(&options.job_id));
    put(!options.tenant_id.is_empty(), RECIPIENT_TENANT_ID, &|| text(&options.tenant_id));
    put(!options.quotas.is_empty(), RECIPIENT_QUOTAS, &|| strings(quotas()));
    put(options.priority > 0, RECIPIENT_PRIORITY, &|| Bytes::copy_from_slice(&[options.priority]));
    fields
}

/// Strings, each with its length in front.
pub fn strings<'s>(list: impl Iterator<Item = &'s [u8]> + Clone) -> Bytes {
    let mut out = Vec::with_capacity(list.clone().map(|text| text.len() + 4).sum());
    for text in list {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text);
    }
    out.into()
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    encode(&mut out);
    out.into()
}
