//! The part for people: what happened, in plain words.

use super::{Action, Diagnostic, Recipient, Report, Returned, clean};
use crate::date;
use crate::mime::transfer::Encoding;

/// Columns of the text (RFC 3676 4.2 asks for at most 78).
const COLUMNS: usize = 74;

pub(super) fn write(report: &Report, out: &mut Vec<u8>) {
    let text = text(report);
    let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
    let encoding = Encoding::best_for(text.as_bytes());
    let head = format!(
        "Content-Type: text/plain; charset={charset}\r\nContent-Description: Notification\r\n\
         Content-Transfer-Encoding: {}\r\n\r\n",
        encoding.name()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&encoding.encode(text.as_bytes()));
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    let many = report.recipients.len() > 1;
    paragraph(&mut out, "", &opening(report.action, many));
    let until = report.recipients.iter().map(|recipient| recipient.will_retry_until_unix_s);
    // For all of them, as far as all are known.
    let until = until.min().flatten();
    if let Some(unix_s) = until.filter(|_| report.action == Action::Delayed) {
        let until = date::format(unix_s, 0);
        let text =
            format!("Delivery is tried again until {until}. You do not need to send your message again.");
        paragraph(&mut out, "", &text);
    }
    for recipient in &report.recipients {
        out.push_str("\r\n");
        paragraph(&mut out, "  ", &format!("<{}>", String::from_utf8_lossy(&recipient.address)));
        paragraph(&mut out, "    ", &cause(report.action, recipient));
        let said = match &recipient.diagnostic {
            Diagnostic::Reply(text) | Diagnostic::Ours(text) => text,
        };
        paragraph(&mut out, "    ", said);
    }
    out.push_str("\r\n");
    let arrival = date::format(report.original.arrival_unix_s, 0);
    let known = format!("This mail system, {}, received your message on {arrival}", report.host);
    paragraph(&mut out, "", &format!("{known} and knows it as {}.", report.original.id));
    paragraph(&mut out, "", attached(&report.original.returned));
    out
}

fn opening(action: Action, many: bool) -> String {
    let whom = if many { "these recipients" } else { "this recipient" };
    match action {
        Action::Failed => {
            format!("Your message could not be delivered to {whom}, and it will not be tried again.")
        }
        Action::Delayed => format!("Your message could not be delivered to {whom} yet."),
        Action::Relayed => format!(
            "Your message for {whom} was passed on to a mail system that does not confirm deliveries. There may be \
             no further news of it."
        ),
        Action::Delivered => format!("Your message was delivered to {whom}."),
    }
}

/// Who said or found what follows.
fn cause(action: Action, recipient: &Recipient) -> String {
    let host = recipient.remote.as_ref().map(|remote| format!("{} [{}]", remote.name, remote.address));
    let reply = matches!(recipient.diagnostic, Diagnostic::Reply(_));
    match (host, action, reply) {
        (Some(host), _, true) => match recipient.phase.and_then(command) {
            Some(command) => format!("The mail system {host} said, in reply to {command}:"),
            None => format!("The mail system {host} said:"),
        },
        (Some(host), _, false) => format!("Talking to the mail system {host} failed:"),
        (None, Action::Failed, _) => "The reason:".to_owned(),
        (None, _, _) => "What is known:".to_owned(),
    }
}

/// What people call a state of the session; none for the greeting, which answers nothing.
fn command(phase: &'static str) -> Option<&'static str> {
    match phase {
        "BANNER" => None,
        "MAIL" => Some("MAIL FROM"),
        "RCPT" => Some("RCPT TO"),
        "EOD" | "BODY" => Some("the end of the message"),
        other => Some(other),
    }
}

fn attached(returned: &Returned) -> &'static str {
    match returned {
        Returned::Message(_) => "Your message is attached.",
        Returned::Header { shortened: false, .. } => "The header of your message is attached.",
        Returned::Header { shortened: true, .. } => {
            "Your message is too large to be given back. What fits of its header is attached."
        }
        Returned::Nothing => "Your message cannot be attached.",
    }
}

/// `text` in lines of at most [`COLUMNS`] columns where it has blanks, each behind `indent`.
fn paragraph(out: &mut String, indent: &str, text: &str) {
    let text = clean(text);
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && indent.len() + line.len() + 1 + word.len() > COLUMNS {
            push_line(out, indent, &line);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    push_line(out, indent, &line);
}

fn push_line(out: &mut String, indent: &str, line: &str) {
    out.push_str(indent);
    out.push_str(line);
    out.push_str("\r\n");
}
