//! What is kept with a message in the spool beyond the envelope's own fields: the one table of tags.
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
//! | properties of an item | 1 | steps of the retry schedule that the sender was told of, little-endian u32: all below this number |
//! | properties of an item | 2 | metadata instead of the recipient's, in the same form |
//! | properties of an item | 3 | transport instead of the recipient's |
//! | properties of an item | 4 | job id instead of the recipient's; empty: none |
//! | properties of an item | 5 | tenant id instead of the recipient's; empty: none |
//! | properties of an item | 6 | priority instead of the recipient's: one byte |
//! | properties of an item | 7 | path of the file that it was loaded from, while that is being removed |
//! | properties of an item | 8 | path of the file that it is being unloaded to |

mod properties;

use bytes::Bytes;
use hooks::{Metadata, QueueOptions, Queued};
use mail::delta::Delta;
use net::smtp::address::Address;
use net::smtp::parameters::{EnvelopeId, MailParameters, Notify, OriginalRecipient, RcptParameters, Ret};
use queue::{Attempt, Entry};
use spool::{Envelope, ReadError};

use crate::delivery::message_id;
use crate::shard::Shard;

pub use properties::{Properties, Transfer};
pub(crate) use properties::{put_field, split_field};

/// Tagged values, as the spool keeps them.
pub type Fields = Vec<(u16, Bytes)>;

/// Queue flag: the message has bytes above 127.
pub const EIGHT_BIT: u16 = 1;
/// Queue flag: SMTPUTF8 was asked for.
pub const SMTP_UTF8: u16 = 2;
/// Queue flag: the envelope has parameters of MAIL or RCPT to be looked up ([`parameters`]).
pub const PARAMETERS: u16 = 4;
/// Queue flag, in memory only: it was queued from a live stage.
pub const STAGED: u16 = 8;

/// Where a queue flag has the number of a recipient's changes among those of its message: recipients with other changes are
/// never in one attempt. 0: no changes.
pub const VARIANT_SHIFT: u32 = 8;
/// Most different lists of changes in one message that recipients can share an attempt for; [`queue::ALONE`] is for the rest.
pub const VARIANTS_MAX: usize = 254;

const MESSAGE_RET: u16 = 1;
const MESSAGE_ENVELOPE_ID: u16 = 2;
const MESSAGE_REQUIRE_TLS: u16 = 3;
const MESSAGE_REPORTS_ON: u16 = 4;

const RECIPIENT_NOTIFY: u16 = 1;
const RECIPIENT_ORIGINAL: u16 = 2;

const RECIPIENT_SENDER: u16 = 3;
const RECIPIENT_DELTA: u16 = 4;
const RECIPIENT_HELD: u16 = 5;
const RECIPIENT_NOT_BEFORE: u16 = 6;
const RECIPIENT_METADATA: u16 = 7;
const RECIPIENT_JOB_ID: u16 = 8;
const RECIPIENT_TENANT_ID: u16 = 9;
const RECIPIENT_QUOTAS: u16 = 10;
const RECIPIENT_PRIORITY: u16 = 11;

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

/// Fields of a report of ours on this transaction.
pub fn report_fields(transaction: [u8; 16]) -> Fields {
    vec![(MESSAGE_REPORTS_ON, Bytes::copy_from_slice(&transaction))]
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

/// Fields of a recipient that a script has queued: `sender` is that of the message, `now_ms` the time of the order.
pub fn queued_fields(queued: &Queued, sender: &[u8], now_ms: u64) -> Fields {
    let mut fields = ordered_fields(&queued.options, now_ms);
    let own = queued.sender.as_ref().map_or(&[][..], Address::as_bytes);
    if own != sender {
        fields.push((RECIPIENT_SENDER, Bytes::copy_from_slice(own)));
    }
    if !queued.delta.is_empty() {
        fields.push((RECIPIENT_DELTA, queued.delta.encode().into()));
    }
    fields
}

/// Fields of a recipient with these options of `queue`.
pub fn ordered_fields(options: &QueueOptions, now_ms: u64) -> Fields {
    let parameter = |keyword: &str| {
        let found = options.dsn.iter().find(|(name, _)| *name == keyword);
        found.map(|(_, value)| value.as_bytes())
    };
    let mut fields = recipient_fields(&RcptParameters {
        notify: parameter("NOTIFY").and_then(Notify::parse),
        original_recipient: parameter("ORCPT").and_then(OriginalRecipient::parse),
    });
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

/// The metadata that a recipient came with.
pub fn metadata(recipient: &spool::Recipient) -> Metadata {
    find(&recipient.fields, RECIPIENT_METADATA).map(|stored| pairs(stored)).unwrap_or_default()
}

/// The stored form of the changes to the message for a recipient.
pub fn stored_delta(recipient: &spool::Recipient) -> Option<&Bytes> {
    find(&recipient.fields, RECIPIENT_DELTA)
}

/// The priority that a recipient came with.
pub fn priority(recipient: &spool::Recipient) -> u8 {
    find(&recipient.fields, RECIPIENT_PRIORITY).and_then(|value| value.first()).copied().unwrap_or_default()
}

/// Keys and values in turn; what is broken off is left out.
fn pairs(stored: &[u8]) -> Metadata {
    let mut list = split_strings(stored).map(<[u8]>::to_vec);
    std::iter::from_fn(|| Some((list.next()?, list.next()?))).collect()
}

/// What [`strings`] has put together.
fn split_strings(mut stored: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = stored.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        stored = rest;
        Some(text)
    })
}

/// Strings, each with its length in front.
fn strings<'s>(list: impl Iterator<Item = &'s [u8]>) -> Bytes {
    let mut out = Vec::new();
    for text in list {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text);
    }
    out.into()
}

/// What a script has said about a recipient, as far as the queue must know it.
#[derive(Debug, Default)]
pub struct Ordered<'e> {
    /// Its sender, where it has one of its own.
    pub sender: Option<&'e [u8]>,
    /// Job id.
    pub job_id: Option<&'e str>,
    /// Tenant id.
    pub tenant_id: Option<&'e str>,
    /// How it enters the queue when nothing has happened to it yet; `None`: active.
    pub entry: Option<Entry>,
    /// The changes to the message, in their stored form; empty: none.
    pub delta: &'e [u8],
    /// Pairs of key and value.
    pub metadata: Vec<(&'e [u8], &'e [u8])>,
    /// Names of quotas.
    pub quotas: Vec<&'e str>,
    /// 1: it goes before others.
    pub priority: u8,
}

/// See [`Ordered`].
pub fn ordered(recipient: &spool::Recipient) -> Ordered<'_> {
    let mut ordered = Ordered::default();
    for (tag, value) in &recipient.fields {
        let text = std::str::from_utf8(value).ok();
        match *tag {
            RECIPIENT_SENDER => ordered.sender = Some(value),
            RECIPIENT_JOB_ID => ordered.job_id = text,
            RECIPIENT_TENANT_ID => ordered.tenant_id = text,
            RECIPIENT_DELTA => ordered.delta = value,
            RECIPIENT_METADATA => {
                let mut list = split_strings(value);
                ordered.metadata = std::iter::from_fn(|| Some((list.next()?, list.next()?))).collect();
            }
            RECIPIENT_QUOTAS => {
                ordered.quotas =
                    split_strings(value).filter_map(|text| std::str::from_utf8(text).ok()).collect();
            }
            RECIPIENT_PRIORITY => ordered.priority = value.first().copied().unwrap_or_default(),
            RECIPIENT_HELD => ordered.entry = Some(Entry::Hold("held by a script".into())),
            RECIPIENT_NOT_BEFORE => {
                let at_ms = <[u8; 8]>::try_from(value.as_ref()).map(u64::from_le_bytes);
                ordered.entry = ordered.entry.or(at_ms.ok().map(Entry::DeferUntil));
            }
            _ => {}
        }
    }
    ordered
}

/// The changes to a message for the recipients of an attempt, who share them: nothing is read where there are none.
///
/// # Errors
/// Those of reading the stored message.
pub async fn delta(shard: &Shard, attempt: &Attempt) -> Result<Delta, ReadError> {
    if attempt.flags >> VARIANT_SHIFT == 0 {
        return Ok(Delta::default());
    }
    let envelope = shard.store.envelope(message_id(attempt.message)).await?;
    let first =
        attempt.recipients.first().and_then(|first| envelope.recipients.get(first.key.recipient as usize));
    let Some((_, stored)) =
        first.and_then(|first| first.fields.iter().find(|(tag, _)| *tag == RECIPIENT_DELTA))
    else {
        return Ok(Delta::default());
    };
    Delta::decode(stored).map_err(|_| ReadError::Corrupt)
}

/// The transaction that a report of ours is about; `None`: the message is no report of ours.
pub fn reports_on(envelope: &Envelope) -> Option<[u8; 16]> {
    find(&envelope.fields, MESSAGE_REPORTS_ON).and_then(|value| value.as_ref().try_into().ok())
}

/// What MAIL said.
pub fn mail_parameters(envelope: &Envelope) -> MailParameters {
    let find = |tag| find(&envelope.fields, tag);
    MailParameters {
        smtp_utf8: envelope.smtputf8,
        require_tls: find(MESSAGE_REQUIRE_TLS).is_some(),
        ret: find(MESSAGE_RET).and_then(|value| Ret::parse(value)),
        envelope_id: find(MESSAGE_ENVELOPE_ID).and_then(|value| EnvelopeId::parse(value)),
    }
}

/// What RCPT said.
pub fn rcpt_parameters(recipient: &spool::Recipient) -> RcptParameters {
    let find = |tag| find(&recipient.fields, tag);
    RcptParameters {
        notify: find(RECIPIENT_NOTIFY).and_then(|value| Notify::parse(value)),
        original_recipient: find(RECIPIENT_ORIGINAL).and_then(|value| OriginalRecipient::parse(value)),
    }
}

/// The queue's flags of a message.
pub fn flags(envelope: &Envelope) -> u16 {
    let is_parameter = |(tag, _): &(u16, Bytes)| matches!(*tag, RECIPIENT_NOTIFY | RECIPIENT_ORIGINAL);
    let has_parameters = !envelope.fields.is_empty()
        || envelope.recipients.iter().any(|recipient| recipient.fields.iter().any(is_parameter));
    [(envelope.eight_bit, EIGHT_BIT), (envelope.smtputf8, SMTP_UTF8), (has_parameters, PARAMETERS)]
        .into_iter()
        .filter_map(|(set, flag)| set.then_some(flag))
        .sum()
}

/// What MAIL and RCPT of an attempt have to say again. Reads from disk only when something was said.
///
/// # Errors
/// Those of reading the stored message.
pub async fn parameters(
    shard: &Shard,
    attempt: &Attempt,
) -> Result<(MailParameters, Vec<RcptParameters>), ReadError> {
    if attempt.flags & PARAMETERS == 0 {
        let mail = MailParameters { smtp_utf8: attempt.flags & SMTP_UTF8 != 0, ..MailParameters::default() };
        return Ok((mail, vec![RcptParameters::default(); attempt.recipients.len()]));
    }
    let envelope = shard.store.envelope(message_id(attempt.message)).await?;
    let of = |recipient: &queue::Recipient| {
        let stored = envelope.recipients.get(recipient.key.recipient as usize);
        stored.map(rcpt_parameters).unwrap_or_default()
    };
    Ok((mail_parameters(&envelope), attempt.recipients.iter().map(of).collect()))
}

fn find(fields: &[(u16, Bytes)], tag: u16) -> Option<&Bytes> {
    fields.iter().find(|(known, _)| *known == tag).map(|(_, value)| value)
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    encode(&mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_back_as_they_were_stored() {
        let mail = MailParameters {
            smtp_utf8: true,
            require_tls: true,
            ret: Some(Ret::Headers),
            envelope_id: EnvelopeId::parse(b"QQ+2B314"),
        };
        let rcpt = RcptParameters {
            notify: Notify::parse(b"SUCCESS,DELAY"),
            original_recipient: OriginalRecipient::parse(b"rfc822;a+2Bb@c.example"),
        };
        let recipient = spool::Recipient { fields: recipient_fields(&rcpt), ..spool::Recipient::default() };
        let envelope = Envelope {
            smtputf8: true,
            fields: message_fields(&mail),
            recipients: vec![recipient, spool::Recipient::default()],
            ..Envelope::default()
        };
        assert_eq!(mail_parameters(&envelope), mail);
        assert_eq!(rcpt_parameters(&envelope.recipients[0]), rcpt);
        assert_eq!(rcpt_parameters(&envelope.recipients[1]), RcptParameters::default());
        assert_eq!(flags(&envelope), SMTP_UTF8 | PARAMETERS);
        assert_eq!(reports_on(&envelope), None);
    }

    #[test]
    fn nothing_said_takes_no_space() {
        assert!(message_fields(&MailParameters::default()).is_empty());
        assert!(recipient_fields(&RcptParameters::default()).is_empty());
        assert_eq!(flags(&Envelope::default()), 0);
    }

    #[test]
    fn what_scripts_keep_with_a_message_is_no_parameter_to_look_up_again() {
        let fields = vec![
            (RECIPIENT_METADATA, Bytes::from_static(b"x")),
            (RECIPIENT_JOB_ID, Bytes::from_static(b"j")),
        ];
        let recipients = vec![spool::Recipient { fields, ..spool::Recipient::default() }];
        assert_eq!(flags(&Envelope { recipients, ..Envelope::default() }), 0);
    }

    #[test]
    fn never_is_kept_apart_from_nothing_said() {
        let rcpt = RcptParameters { notify: Some(Notify::NEVER), original_recipient: None };
        let stored = spool::Recipient { fields: recipient_fields(&rcpt), ..spool::Recipient::default() };
        assert_eq!(rcpt_parameters(&stored), rcpt);
    }

    #[test]
    fn a_report_names_what_it_is_about() {
        let envelope = Envelope { fields: report_fields([9; 16]), ..Envelope::default() };
        assert_eq!(reports_on(&envelope), Some([9; 16]));
    }
}
