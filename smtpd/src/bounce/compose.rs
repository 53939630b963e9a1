//! What a report says, from what is known of the message and its recipients.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use engine::time::steady_to_wall_ms as to_wall;
use hooks::GivenParameters;
use mail::report::{self, Action, Diagnostic, Original, Recipient, Report, Returned};
use net::smtp::parameters::{MailParameters, Ret};
use queue::{EnhancedCode, FailCause, ItemKey, Reason};
use spool::Envelope;
use uuid::Uuid;

use super::{Notice, Subject, What};
use crate::delivery::message_id;
use crate::limits;
use crate::shard::Shard;
use crate::snapshot::Dsn;
use crate::stored;

/// A report on these notices, all of one kind; without an id yet.
pub(super) async fn about(
    shard: &Rc<Shard>,
    dsn: &Dsn,
    subject: &Subject,
    envelope: Option<&Envelope>,
    notices: &[Notice],
) -> Report {
    let failed = notices.iter().any(|notice| matches!(notice.what, What::Failed(_)));
    let said = match notices.first() {
        Some(first) => said(envelope, first.key, &first.given),
        None => MailParameters::default(),
    };
    // RFC 3461 4.3: RET is about failures; otherwise nothing was lost.
    let full = failed && said.ret.map_or(dsn.full, |ret| ret == Ret::Full);
    let returned = returned(shard, subject, full).await;
    let mut report = skeleton(dsn, subject, said, returned);
    report.action = if failed { Action::Failed } else { Action::Delayed };
    report.recipients = notices
        .iter()
        .map(|notice| {
            let status = status(notice.what, &notice.reason);
            let of = (notice.key, &*notice.given);
            Recipient {
                will_retry_until_unix_s: notice.until_ms.map(|until_ms| unix_s(to_wall(until_ms))),
                ..recipient(envelope, of, &notice.address, status, &notice.reason, notice.at_ms)
            }
        })
        .collect();
    report
}

/// What MAIL said of a message, as it counts for a recipient of it for whom scripts say this.
pub(super) fn said(envelope: Option<&Envelope>, key: ItemKey, given: &GivenParameters) -> MailParameters {
    let Some(envelope) = envelope else { return given.mail(MailParameters::default()) };
    given.mail(stored::mail_parameters(envelope, envelope.recipients.get(key.recipient as usize)))
}

/// Divides what there is to tell into parts that one report can be about: RET and ENVID are the same in each.
pub(super) fn divide<T>(
    envelope: Option<&Envelope>,
    all: Vec<T>,
    of: impl for<'t> Fn(&'t T) -> (ItemKey, &'t GivenParameters),
) -> Vec<Vec<T>> {
    let mut parts: Vec<(MailParameters, Vec<T>)> = Vec::new();
    for one in all {
        let (key, given) = of(&one);
        let parameters = said(envelope, key, given);
        match parts.iter_mut().find(|(of_part, _)| *of_part == parameters) {
            Some((_, part)) => part.push(one),
            None => parts.push((parameters, vec![one])),
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// All but what it says of its recipients. `parameters` are those of [`said`].
pub(super) fn skeleton(
    dsn: &Dsn,
    subject: &Subject,
    parameters: MailParameters,
    returned: Returned,
) -> Report {
    Report {
        action: Action::Failed,
        host: dsn.host.clone(),
        from: dsn.from.clone(),
        from_name: dsn.from_name.clone(),
        to: String::from_utf8_lossy(&subject.sender).into_owned(),
        id: String::new(),
        boundary: format!("=_{:016x}{:016x}", engine::rng::u64(), engine::rng::u64()),
        date_unix_s: unix_s(engine::time::wall_ms()),
        original: Original {
            id: Uuid::from_bytes(subject.transaction).to_string(),
            envelope_id: parameters.envelope_id.map(|id| id.as_bytes().to_vec()),
            arrival_unix_s: unix_s(to_wall(subject.received_ms)),
            smtp_utf8: parameters.smtp_utf8,
            returned,
        },
        recipients: Vec::new(),
        changes: report::Changes::default(),
    }
}

/// One recipient: which one, with what scripts say for it, its address, and what there is to say.
pub(super) fn recipient(
    envelope: Option<&Envelope>,
    (key, given): (ItemKey, &GivenParameters),
    address: &[u8],
    status: (u8, u16, u16),
    reason: &Reason,
    at_ms: u64,
) -> Recipient {
    let stored = envelope.and_then(|envelope| envelope.recipients.get(key.recipient as usize));
    let original = given.rcpt(stored.map(stored::rcpt_parameters).unwrap_or_default()).original_recipient;
    let said = &reason.text[..reason.text.floor_char_boundary(limits::REPORT_DIAGNOSTIC_BYTES)];
    Recipient {
        address: address.to_vec(),
        original: original.map(|original| (original.kind().to_vec(), original.address().to_vec())),
        status,
        remote: reason
            .remote
            .as_ref()
            .map(|remote| report::Remote { name: remote.name.to_string(), address: remote.address }),
        phase: reason.phase,
        diagnostic: match reason.code {
            Some(_) => Diagnostic::Reply(said.to_owned()),
            None => Diagnostic::Ours(said.to_owned()),
        },
        last_attempt_unix_s: Some(unix_s(at_ms)),
        will_retry_until_unix_s: None,
    }
}

/// The code for programs (RFC 3463). What has expired says so, whatever the last answer was; otherwise it is the
/// peer's, in the class that fits what became of the recipient.
fn status(what: What, reason: &Reason) -> (u8, u16, u16) {
    let (class, expired) = match what {
        What::Failed(FailCause::Permanent | FailCause::Ordered) => (5, false),
        What::Failed(FailCause::Expired) => (4, true),
        What::Delayed(_) => (4, false),
    };
    match reason.enhanced {
        _ if expired => (4, 4, 7),
        Some(EnhancedCode { subject, detail, .. }) => (class, subject, detail),
        None => (class, 0, 0),
    }
}

/// What is given back of the original. What cannot be read is left out: that it failed matters more.
pub(super) async fn returned(shard: &Rc<Shard>, subject: &Subject, full: bool) -> Returned {
    let whole = full && subject.size_bytes <= limits::REPORT_MESSAGE_BYTES as u64;
    let most = if whole { limits::REPORT_MESSAGE_BYTES } else { limits::REPORT_HEADER_BYTES };
    let mut body = shard.store.body(message_id(subject.message));
    let mut bytes = BytesMut::new();
    loop {
        match body.next().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => return Returned::Nothing,
        }
        let complete = !whole && report::header_end(&bytes) < bytes.len();
        if complete || bytes.len() >= most {
            break;
        }
    }
    let bytes = bytes.freeze();
    if whole {
        return Returned::Message(bytes);
    }
    let header = bytes.slice(..report::header_end(&bytes));
    let cut = header.len() > limits::REPORT_HEADER_BYTES;
    Returned::Header { bytes: if cut { whole_lines(&header) } else { header }, shortened: cut || full }
}

/// As many lines as a report gives back.
fn whole_lines(header: &Bytes) -> Bytes {
    let most = header.slice(..limits::REPORT_HEADER_BYTES.min(header.len()));
    let end = most.windows(2).rposition(|pair| pair == b"\r\n").map_or(0, |at| at + 2);
    most.slice(..end)
}

fn unix_s(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use queue::{Diagnosis, NotifyStep};

    use super::*;

    #[test]
    fn the_status_fits_what_became_of_the_recipient() {
        let bare: Reason = "no idea".into();
        let coded = |class| Reason::from(Diagnosis::new("x").with_enhanced(class, 1, 1));
        let (permanent, expired) = (What::Failed(FailCause::Permanent), What::Failed(FailCause::Expired));
        let delayed = What::Delayed(NotifyStep(0));
        assert_eq!(status(permanent, &coded(5)), (5, 1, 1));
        assert_eq!(status(permanent, &bare), (5, 0, 0));
        assert_eq!(status(expired, &coded(4)), (4, 4, 7));
        assert_eq!(status(delayed, &coded(4)), (4, 1, 1));
        // A 554 at the banner only delays.
        assert_eq!(status(delayed, &coded(5)), (4, 1, 1));
        assert_eq!(status(delayed, &bare), (4, 0, 0));
    }

    #[test]
    fn a_long_header_is_cut_at_a_line() {
        let header = Bytes::from(b"X: 12345678\r\n".repeat(limits::REPORT_HEADER_BYTES / 10));
        let lines = whole_lines(&header);
        assert!(lines.ends_with(b"\r\n") && lines.len() <= limits::REPORT_HEADER_BYTES);
        assert!(lines.len() > limits::REPORT_HEADER_BYTES - 20);
        assert_eq!(whole_lines(&Bytes::from(vec![b'x'; limits::REPORT_HEADER_BYTES + 1])).len(), 0);
    }
}
