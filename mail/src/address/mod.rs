//! Mail addresses: lists as headers hold them (RFC 5322 3.4), and single ones as envelopes do (RFC 5321 4.1.2).

mod encode;
mod envelope;
mod list;
#[cfg(test)]
mod tests;

pub(crate) use encode::encode_list;
pub use envelope::{EnvelopeAddress, escape_local_part, parse_envelope};
pub use list::{Mailbox, parse_list};

use crate::header;

/// Writes an address list on one line: names are quoted or encoded as they need, and stand before `<address>`.
pub fn compile(mailboxes: &[Mailbox]) -> String {
    let mut text = String::new();
    for mailbox in mailboxes {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let address = one_line(&mailbox.address);
        match mailbox.name.is_empty() {
            true => text.push_str(&address),
            false => text.push_str(&format!("{} <{address}>", compile_name(&mailbox.name))),
        }
    }
    text
}

/// A display name as a phrase.
fn compile_name(name: &str) -> String {
    let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~ ".contains(&byte);
    if !printable || name.contains("=?") {
        // Not knowing where in its line the name will stand: the words are short enough for the longest header name.
        header::encode_all(&one_line(name), header_name_room())
    } else if name.bytes().all(is_atom) && name.trim() == name && !name.contains("  ") {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Columns kept free before the first encoded word.
fn header_name_room() -> usize {
    "Disposition-Notification-To: ".len()
}

/// Without control characters, which could begin a new header line.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii_control() { ' ' } else { character }).collect()
}
