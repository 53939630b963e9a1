//! Delivery status notifications (RFC 3461, 3464; RFC 6533 where addresses are not ASCII), from what is known of a
//! delivery to the bytes of a message.
//!
//! A [`Report`] tells the sender of a message one thing ([`Action`]) about one or more recipients. [`Report::write`]
//! makes a `multipart/report` of it: a text in plain words, the same for programs, and what is given back of the
//! original. Nothing in it can break out of its line: what peers said and what addresses hold is cleaned on the way.

mod status;
#[cfg(test)]
mod tests;
mod text;

use std::net::IpAddr;

use bytes::Bytes;

use crate::date;
use crate::header::{self, encode_field};
use crate::limits::REPORT_FIELDS_MAX;
use crate::lines;

/// What there is to tell about some recipients of a message.
#[derive(Clone, Debug)]
pub struct Report {
    /// What became of them.
    pub action: Action,
    /// Name of this host: the reporting MTA.
    pub host: String,
    /// Address of the From field.
    pub from: String,
    /// Display name of the From field.
    pub from_name: String,
    /// Whom it is for: the sender of the message. UTF-8 where the message had SMTPUTF8.
    pub to: String,
    /// Id of the report itself, for its Message-ID.
    pub id: String,
    /// What separates its parts: random.
    pub boundary: String,
    /// When it is written, in seconds since the Unix epoch.
    pub date_unix_s: i64,
    /// What it is about.
    pub original: Original,
    /// Whom it is about: at least one.
    pub recipients: Vec<Recipient>,
    /// What is different from what it would be by itself.
    pub changes: Changes,
}

/// What a report can have of its own.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What its subject begins with.
    pub subject_prefix: String,
    /// Further fields, each a name, a colon and a value in one line. One of a name that the report itself has, such as
    /// Subject, stands instead of that; see [`field_place`].
    pub fields: Vec<String>,
    /// A whole part, header and body, instead of the text in plain words: what [`readable_part`] gives.
    pub readable_part: Option<Bytes>,
}

/// What became of the recipients (RFC 3464 2.3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Given up.
    Failed,
    /// Not yet delivered; it will be tried again.
    Delayed,
    /// Handed to a next hop that does not report.
    Relayed,
    /// Delivered to the mailbox.
    Delivered,
}

/// The message that a report is about.
#[derive(Clone, Debug)]
pub struct Original {
    /// Its transaction id.
    pub id: String,
    /// ENVID, decoded.
    pub envelope_id: Option<Vec<u8>>,
    /// When it was received, in seconds since the Unix epoch.
    pub arrival_unix_s: i64,
    /// It came with SMTPUTF8, so that its sender understands reports with UTF-8.
    pub smtp_utf8: bool,
    /// What of it is given back.
    pub returned: Returned,
}

/// What of the original is given back.
#[derive(Clone, Debug)]
pub enum Returned {
    /// All of it.
    Message(Bytes),
    /// Its header, or the beginning of that.
    Header {
        /// The header, without the blank line.
        bytes: Bytes,
        /// All of it was wanted, or the header is not whole: it was too large.
        shortened: bool,
    },
    /// Nothing: it cannot be read.
    Nothing,
}

/// One recipient that a report is about.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Its address.
    pub address: Vec<u8>,
    /// ORCPT: type and address, decoded.
    pub original: Option<(Vec<u8>, Vec<u8>)>,
    /// Enhanced code (RFC 3463): class, subject, detail.
    pub status: (u8, u16, u16),
    /// The peer that decided, or with which it went wrong.
    pub remote: Option<Remote>,
    /// What was awaited of it, by the name that logs and time-outs give it.
    pub phase: Option<&'static str>,
    /// What was said, or found.
    pub diagnostic: Diagnostic,
    /// When it was last tried, in seconds since the Unix epoch.
    pub last_attempt_unix_s: Option<i64>,
    /// Until when delivery is tried, for [`Action::Delayed`], where that is known.
    pub will_retry_until_unix_s: Option<i64>,
}

/// A peer.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
}

/// What was said, or found, about a recipient.
#[derive(Clone, Debug)]
pub enum Diagnostic {
    /// The peer's reply, codes included, its lines joined by a space.
    Reply(String),
    /// A sentence of ours.
    Ours(String),
}

/// A report as a message.
#[derive(Clone, Debug)]
pub struct Written {
    /// The message.
    pub bytes: Vec<u8>,
    /// It has bytes above 127: it needs 8BITMIME.
    pub eight_bit: bool,
    /// Its header or its recipient needs SMTPUTF8.
    pub smtp_utf8: bool,
}

impl Report {
    /// Writes it.
    pub fn write(&self) -> Written {
        let mut out = Vec::with_capacity(4096 + 512 * self.recipients.len() + self.original.returned.len());
        self.write_header(&mut out);
        let (needs_utf8, header_end) = (!out.is_ascii(), out.len());
        out.extend_from_slice(b"\r\nThis is a delivery status notification (RFC 3464).\r\n");
        self.write_part(&mut out, |out| match &self.changes.readable_part {
            Some(part) => out.extend_from_slice(part),
            None => text::write(self, out),
        });
        self.write_part(&mut out, |out| status::write(self, out));
        match &self.original.returned {
            Returned::Message(bytes) => self.write_part(&mut out, |out| self.write_message(bytes, out)),
            Returned::Header { bytes, .. } => self.write_part(&mut out, |out| self.write_fields(bytes, out)),
            Returned::Nothing => {}
        }
        out.extend_from_slice(format!("\r\n--{}--\r\n", self.boundary).as_bytes());
        // A part may be 8bit only where the whole is (RFC 2045 6.4).
        if !out[header_end..].is_ascii() {
            out.splice(header_end..header_end, *b"Content-Transfer-Encoding: 8bit\r\n");
        }
        let eight_bit = !out.is_ascii();
        Written { eight_bit, smtp_utf8: needs_utf8 || !self.to.is_ascii(), bytes: out }
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        let from = format!("{} <{}>", quoted(&self.from_name), self.from);
        let id = format!("<{}@{}>", clean(&self.id), clean(&self.host));
        self.write_own(out, "Date", date::format(self.date_unix_s, 0).as_bytes());
        self.write_own(out, "From", from.as_bytes());
        if !self.changes.has("To") {
            // The address stands as it is: an encoded word may not be part of it.
            out.extend_from_slice(format!("To: <{}>\r\n", clean(&self.to)).as_bytes());
        }
        self.write_own(out, "Subject", self.subject().as_bytes());
        self.write_own(out, "Message-ID", id.as_bytes());
        if let Some(id) = self.original.message_id() {
            self.write_own(out, "In-Reply-To", &id);
            self.write_own(out, "References", &id);
        }
        for field in &self.changes.fields {
            if let Some((name, value)) = field.split_once(':') {
                out.extend(encode_field(clean(name).as_bytes(), clean(value.trim()).as_bytes()));
            }
        }
        // RFC 3834 5.
        self.write_own(out, "Auto-Submitted", b"auto-replied");
        let boundary = &self.boundary;
        out.extend_from_slice(
            format!(
                "MIME-Version: 1.0\r\n\
                 Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n"
            )
            .as_bytes(),
        );
    }

    /// A field that a change can stand instead of.
    fn write_own(&self, out: &mut Vec<u8>, name: &str, value: &[u8]) {
        debug_assert_eq!(field_place(name), FieldPlace::Instead);
        if !self.changes.has(name) {
            out.extend(encode_field(name.as_bytes(), value));
        }
    }

    fn subject(&self) -> String {
        format!("{}{}", clean(&self.changes.subject_prefix), self.action.subject())
    }

    fn write_part(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(format!("\r\n--{}\r\n", self.boundary).as_bytes());
        write(out);
    }

    /// The whole message as the last part.
    fn write_message(&self, message: &[u8], out: &mut Vec<u8>) {
        let header = &message[..header_end(message)];
        let kind = if self.original.smtp_utf8 && !header.is_ascii() { "global" } else { "rfc822" };
        write_type(out, &format!("message/{kind}"), "Your message", message);
        out.extend_from_slice(message);
    }

    /// The header as the last part.
    fn write_fields(&self, header: &[u8], out: &mut Vec<u8>) {
        let kind = if self.original.smtp_utf8 && !header.is_ascii() {
            "message/global-headers"
        } else {
            "text/rfc822-headers"
        };
        write_type(out, kind, "Header of your message", header);
        out.extend_from_slice(header);
    }
}

impl Changes {
    fn has(&self, name: &str) -> bool {
        let names = self.fields.iter().filter_map(|field| field.split_once(':'));
        names.into_iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    }
}

/// What becomes of a further field of a report, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldPlace {
    /// It stands beside the report's own.
    Beside,
    /// It stands instead of one of the report's own, of which there may be only one.
    Instead,
    /// It cannot be: the report's own is what makes it a report.
    Nowhere,
}

/// Where a further field of this name stands, in any case of letters.
pub fn field_place(name: &str) -> FieldPlace {
    const OWN: [&str; 8] =
        ["date", "from", "to", "subject", "message-id", "in-reply-to", "references", "auto-submitted"];
    let name = name.to_ascii_lowercase();
    match &*name {
        "mime-version" => FieldPlace::Nowhere,
        name if name.starts_with("content-") => FieldPlace::Nowhere,
        name if OWN.contains(&name) => FieldPlace::Instead,
        _ => FieldPlace::Beside,
    }
}

/// A part as it can stand in [`Changes::readable_part`], with CRLF at the end of each of its lines. `None`: it does not begin
/// with header fields and a blank line.
pub fn readable_part(text: impl Into<Bytes>) -> Option<Bytes> {
    let part = lines::with_crlf(text);
    let mut fields = Vec::new();
    let section = header::scan(&part, 0, &mut fields, REPORT_FIELDS_MAX, |_| false);
    let has_blank_line = section.body_start > section.fields_end;
    (has_blank_line && !section.bad_header && !fields.is_empty()).then_some(part)
}

impl Action {
    /// As in the Action field.
    pub fn name(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Relayed => "relayed",
            Action::Delivered => "delivered",
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Action::Failed => "Your message could not be delivered",
            Action::Delayed => "Your message is delayed",
            Action::Relayed => "Your message was passed on",
            Action::Delivered => "Your message was delivered",
        }
    }
}

impl Original {
    /// The value of its Message-ID field, when that looks like one.
    fn message_id(&self) -> Option<Vec<u8>> {
        let bytes = match &self.returned {
            Returned::Message(bytes) => &bytes[..header_end(bytes)],
            Returned::Header { bytes, .. } => bytes,
            Returned::Nothing => return None,
        };
        let mut fields = Vec::new();
        header::scan(bytes, 0, &mut fields, REPORT_FIELDS_MAX, |_| false);
        let field = fields.iter().find(|field| field.is(bytes, b"message-id"))?;
        let value = field.unfolded_value(bytes);
        let id = value.trim_ascii();
        let looks_right = id.len() <= 512
            && id.starts_with(b"<")
            && id.ends_with(b">")
            && id.iter().all(u8::is_ascii_graphic);
        looks_right.then(|| id.to_vec())
    }
}

impl Returned {
    fn len(&self) -> usize {
        match self {
            Returned::Message(bytes) | Returned::Header { bytes, .. } => bytes.len(),
            Returned::Nothing => 0,
        }
    }
}

/// Length of the header of a message, with the last field's line end and without the blank line.
pub fn header_end(message: &[u8]) -> usize {
    if message.starts_with(b"\r\n") {
        return 0;
    }
    memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 2)
}

fn write_type(out: &mut Vec<u8>, kind: &str, description: &str, content: &[u8]) {
    let encoding = if content.is_ascii() { "7bit" } else { "8bit" };
    out.extend_from_slice(
        format!(
            "Content-Type: {kind}\r\nContent-Description: {description}\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\r\n"
        )
        .as_bytes(),
    );
}

/// Without control characters, which could end a line.
fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

/// As a display name.
fn quoted(name: &str) -> String {
    let escaped = clean(name).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
