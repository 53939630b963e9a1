//! What is kept with a message in the spool beyond the envelope's own fields. The table of tags, and what writes them, is
//! [`hostcalls::mail::stored`]: scripts queue messages without the server, too.

mod properties;

use bytes::Bytes;
use hooks::{Metadata, Queued};
use hostcalls::mail::stored::{
    CONTENT_EIGHT_BIT, CONTENT_UTF8_HEADER, MESSAGE_ENVELOPE_ID, MESSAGE_REPORTS_ON, MESSAGE_REQUIRE_TLS,
    MESSAGE_RET, RECIPIENT_CONTENT, RECIPIENT_DELTA, RECIPIENT_ENVELOPE_ID, RECIPIENT_HELD, RECIPIENT_JOB_ID,
    RECIPIENT_METADATA, RECIPIENT_NOT_BEFORE, RECIPIENT_NOTIFY, RECIPIENT_ORIGINAL, RECIPIENT_PRIORITY,
    RECIPIENT_QUOTAS, RECIPIENT_RET, RECIPIENT_SENDER, RECIPIENT_TENANT_ID, content_field, strings,
};
use mail::delta::Delta;
use net::smtp::address::Address;
use net::smtp::parameters::{EnvelopeId, MailParameters, Notify, OriginalRecipient, RcptParameters, Ret};
use queue::{Attempt, Entry};
use spool::{Envelope, ReadError};

use crate::delivery::message_id;
use crate::shard::Shard;

pub use hostcalls::mail::stored::{
    Fields, given_fields, message_fields, ordered_fields, recipient_fields, require_tls_fields,
};
pub use properties::{Properties, Transfer};
pub(crate) use properties::{put_field, split_field};

/// Queue flag: the message has bytes above 127, with its changes or without.
pub const EIGHT_BIT: u16 = 1;
/// Queue flag: SMTPUTF8 was asked for, or a script has put a header in that needs it.
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

/// Fields of a report of ours on this transaction.
pub fn report_fields(transaction: [u8; 16]) -> Fields {
    vec![(MESSAGE_REPORTS_ON, Bytes::copy_from_slice(&transaction))]
}

/// Fields of a recipient that a script has queued: `sender` is that of the message, `came` what RCPT said of it, `now_ms` the
/// time of the order.
pub fn queued_fields(queued: &Queued, sender: &[u8], came: RcptParameters, now_ms: u64) -> Fields {
    let mut fields = given_fields(&queued.options.dsn, came);
    fields.extend(ordered_fields(&queued.options, now_ms));
    let own = queued.sender.as_ref().map_or(&[][..], Address::as_bytes);
    if own != sender {
        fields.push((RECIPIENT_SENDER, Bytes::copy_from_slice(own)));
    }
    if !queued.delta.is_empty() {
        fields.push((RECIPIENT_DELTA, queued.delta.encode().into()));
        fields.extend(content_field(queued.needs));
    }
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

/// What a script has said about a recipient that it cannot share an attempt with others for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Variant<'e> {
    /// The changes to the message, in their stored form; empty: none.
    delta: &'e [u8],
    /// Stored fields in place of the message's.
    ret: Option<&'e [u8]>,
    envelope_id: Option<&'e [u8]>,
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
    /// What is different for it from others of the message.
    pub variant: Variant<'e>,
    /// Queue flags of what the changes bring into the message.
    pub flags: u16,
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
            RECIPIENT_DELTA => ordered.variant.delta = value,
            RECIPIENT_CONTENT => ordered.flags = content_flags(value),
            RECIPIENT_RET => ordered.variant.ret = Some(value),
            RECIPIENT_ENVELOPE_ID => ordered.variant.envelope_id = Some(value),
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

/// The queue's flags of what changes bring into a message.
fn content_flags(stored: &[u8]) -> u16 {
    let bits = stored.first().copied().unwrap_or_default();
    [(CONTENT_EIGHT_BIT, EIGHT_BIT), (CONTENT_UTF8_HEADER, SMTP_UTF8)]
        .into_iter()
        .filter_map(|(bit, flag)| (bits & bit != 0).then_some(flag))
        .sum()
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

/// What MAIL said, with what a script has said instead of it for a recipient.
pub fn mail_parameters(envelope: &Envelope, recipient: Option<&spool::Recipient>) -> MailParameters {
    let of_message = |tag| find(&envelope.fields, tag);
    let either = |own, tag| recipient.and_then(|recipient| find(&recipient.fields, own)).or(of_message(tag));
    let brought = recipient.and_then(|recipient| find(&recipient.fields, RECIPIENT_CONTENT));
    let brought = brought.map_or(0, |stored| content_flags(stored));
    MailParameters {
        smtp_utf8: envelope.smtputf8 || brought & SMTP_UTF8 != 0,
        require_tls: of_message(MESSAGE_REQUIRE_TLS).is_some(),
        ret: either(RECIPIENT_RET, MESSAGE_RET).and_then(|value| Ret::parse(value)),
        envelope_id: either(RECIPIENT_ENVELOPE_ID, MESSAGE_ENVELOPE_ID)
            .and_then(|value| EnvelopeId::parse(value)),
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
    let is_parameter = |(tag, _): &(u16, Bytes)| {
        let tags = [RECIPIENT_NOTIFY, RECIPIENT_ORIGINAL, RECIPIENT_RET, RECIPIENT_ENVELOPE_ID];
        tags.contains(tag)
    };
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
    let stored = |recipient: &queue::Recipient| envelope.recipients.get(recipient.key.recipient as usize);
    // Recipients with another RET or ENVID are another variant.
    let mail = mail_parameters(&envelope, attempt.recipients.first().and_then(stored));
    let of = |recipient| stored(recipient).map(rcpt_parameters).unwrap_or_default();
    Ok((mail, attempt.recipients.iter().map(of).collect()))
}

fn find(fields: &[(u16, Bytes)], tag: u16) -> Option<&Bytes> {
    fields.iter().find(|(known, _)| *known == tag).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use hooks::{Given, GivenParameters};

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
        assert_eq!(mail_parameters(&envelope, envelope.recipients.first()), mail);
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
    fn what_a_script_says_of_a_recipient_goes_before_what_mail_said() {
        let own = |fields| spool::Recipient { fields, ..spool::Recipient::default() };
        let given = [Given::AsItCame, Given::LeftOut, Given::This(Ret::Headers)];
        let fields = given.map(|ret| {
            given_fields(&GivenParameters { ret, ..GivenParameters::default() }, RcptParameters::default())
        });
        let envelope = Envelope {
            fields: message_fields(&MailParameters { ret: Some(Ret::Full), ..MailParameters::default() }),
            recipients: fields.into_iter().map(own).collect(),
            ..Envelope::default()
        };
        let ret = |recipient| mail_parameters(&envelope, Some(recipient)).ret;
        let rets: Vec<Option<Ret>> = envelope.recipients.iter().map(ret).collect();
        assert_eq!(rets, [Some(Ret::Full), None, Some(Ret::Headers)]);
        let variants: Vec<Variant<'_>> =
            envelope.recipients.iter().map(|recipient| ordered(recipient).variant).collect();
        assert!(variants[0] == Variant::default() && variants[1] != variants[2]);
        assert_eq!(flags(&Envelope { fields: Fields::new(), ..envelope.clone() }), PARAMETERS);
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
