//! The part for programs: `message/delivery-status` (RFC 3464 2), or `message/global-delivery-status` (RFC 6533 4).

use super::{Action, Diagnostic, Recipient, Report};
use crate::date;
use crate::header::fold;

pub(super) fn write(report: &Report, out: &mut Vec<u8>) {
    let global = is_global(report);
    let kind = if global { "message/global-delivery-status" } else { "message/delivery-status" };
    let encoding = if global { "8bit" } else { "7bit" };
    let head = format!(
        "Content-Type: {kind}\r\nContent-Description: Delivery report\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    if let Some(id) = &report.original.envelope_id {
        field(out, "Original-Envelope-Id", &String::from_utf8_lossy(id));
    }
    field(out, "Reporting-MTA", &format!("dns; {}", report.host));
    field(out, "Arrival-Date", &date::format(report.original.arrival_unix_s, 0));
    field(out, "X-Transaction-Id", &report.original.id);
    for recipient in &report.recipients {
        out.extend_from_slice(b"\r\n");
        write_recipient(report, recipient, global, out);
    }
}

/// Whether the sender understands UTF-8, and there is some.
fn is_global(report: &Report) -> bool {
    let ascii = |recipient: &Recipient| {
        recipient.address.is_ascii()
            && recipient.original.as_ref().is_none_or(|(_, address)| address.is_ascii())
    };
    report.original.smtp_utf8 && !report.recipients.iter().all(ascii)
}

fn write_recipient(report: &Report, recipient: &Recipient, global: bool, out: &mut Vec<u8>) {
    if let Some((kind, address)) = &recipient.original {
        let kind = String::from_utf8_lossy(kind);
        let address = address_value(&kind, address, global);
        field(out, "Original-Recipient", &format!("{kind}; {address}"));
    }
    let kind = if recipient.address.is_ascii() { "rfc822" } else { "utf-8" };
    let address = address_value(kind, &recipient.address, global);
    field(out, "Final-Recipient", &format!("{kind}; {address}"));
    field(out, "Action", report.action.name());
    let (class, subject, detail) = recipient.status;
    field(out, "Status", &format!("{class}.{subject}.{detail}"));
    if let Some(remote) = &recipient.remote {
        field(out, "Remote-MTA", &format!("dns; {}", remote.name));
    }
    match &recipient.diagnostic {
        Diagnostic::Reply(text) => field(out, "Diagnostic-Code", &format!("smtp; {text}")),
        Diagnostic::Ours(text) => field(out, "Diagnostic-Code", &format!("x-error; {text}")),
    }
    if let Some(unix_s) = recipient.last_attempt_unix_s {
        field(out, "Last-Attempt-Date", &date::format(unix_s, 0));
    }
    if let Some(unix_s) = recipient.will_retry_until_unix_s.filter(|_| report.action == Action::Delayed) {
        field(out, "Will-Retry-Until", &date::format(unix_s, 0));
    }
}

/// As RFC 6533 3 writes it: UTF-8 as it is where that is understood, else in its ASCII form.
fn address_value(kind: &str, address: &[u8], global: bool) -> String {
    let text = String::from_utf8_lossy(address);
    if global || text.is_ascii() {
        return text.into_owned();
    }
    if !kind.eq_ignore_ascii_case("utf-8") {
        return text.chars().map(|character| if character.is_ascii() { character } else { '?' }).collect();
    }
    let mut ascii = String::with_capacity(text.len() * 4);
    for character in text.chars() {
        match character {
            '!'..='~' if !matches!(character, '+' | '=' | '\\') => ascii.push(character),
            _ => ascii.push_str(&format!("\\x{{{:X}}}", u32::from(character))),
        }
    }
    ascii
}

/// Words with a blank in them where they are too long for a line (RFC 5322 2.1.1).
fn breakable(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut word_bytes = 0;
    for character in value.chars() {
        word_bytes = if character == ' ' { 0 } else { word_bytes + character.len_utf8() };
        if word_bytes > WORD_BYTES_MAX {
            out.push(' ');
            word_bytes = character.len_utf8();
        }
        out.push(character);
    }
    out
}

/// With a name and a blank before it, a line stays below 998 bytes.
const WORD_BYTES_MAX: usize = 900;

/// One field, folded. Control characters become `?`, since they could end it.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    let value = breakable(&super::clean(value));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    fold(out, name.len() + 2, value.trim().as_bytes());
    out.extend_from_slice(b"\r\n");
}
