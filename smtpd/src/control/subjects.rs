//! Subjects of listed messages, as they were received: read from disk, one message after the other.

use std::rc::Rc;

use control::smtpd::QueueItem;
use mail::header::decode_value;
use queue::MessageKey;

use crate::delivery::message_id;
use crate::limits;
use crate::shard::Shard;

/// Fills in the subjects. What cannot be read has none.
pub(super) async fn fill<'r>(shard: &Rc<Shard>, rows: impl Iterator<Item = (MessageKey, &'r mut QueueItem)>) {
    let mut last: Option<(MessageKey, String)> = None;
    for (message, row) in rows {
        // Recipients of one message stand together.
        let known = last.take().filter(|(known, _)| *known == message);
        let subject = match known {
            Some((_, subject)) => subject,
            None => read(shard, message).await.unwrap_or_default(),
        };
        row.subject.clone_from(&subject);
        last = Some((message, subject));
    }
}

async fn read(shard: &Rc<Shard>, message: MessageKey) -> Option<String> {
    let mut body = shard.store.body(message_id(message));
    let mut head = Vec::new();
    while head.len() < limits::SUBJECT_BYTES && end_of_header(&head).is_none() {
        match body.next().await.ok()? {
            Some(bytes) => head.extend_from_slice(&bytes),
            None => break,
        }
    }
    let end = end_of_header(&head).unwrap_or(head.len());
    subject(&head[..end])
}

fn end_of_header(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 2)
}

/// The first subject in a header.
fn subject(header: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"subject:";
    let mut value: Option<Vec<u8>> = None;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        match &mut value {
            Some(value) if line.starts_with(b" ") || line.starts_with(b"\t") => value.extend_from_slice(line),
            Some(_) => break,
            None if line.len() >= NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) => {
                value = Some(line[NAME.len()..].to_vec());
            }
            None => {}
        }
    }
    value.map(|value| decode_value(&value, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_subject_is_found_unfolded_and_decoded() {
        let header =
            b"Received: x\r\n\tSubject: no\r\nSUBJECT: =?utf-8?q?h=C3=A9?=\r\n there\r\nSubject: second\r\n";
        assert_eq!(subject(header).as_deref(), Some("h\u{e9} there"));
        assert_eq!(subject(b"From: a\r\n"), None);
        assert_eq!(end_of_header(b"A: b\r\n\r\nSubject: no\r\n"), Some(6));
    }
}
