//! What the last attempt of an item came to, as the spool keeps it with the item's state: text that anybody can read, and
//! behind a NUL the parts that it was made of.
//!
//! | tag | value |
//! |---|---|
//! | 1 | when, milliseconds since the Unix epoch, u64 |
//! | 2 | reply code, u16 |
//! | 3 | enhanced code: class u8, subject u16, detail u16 |
//! | 4 | state of the dialogue |
//! | 5 | name of the host |
//! | 6 | its address |
//! | 7 | the reply, where the text is about something else: why the item is held |
//!
//! Each is a tag (u16), a length (u16) and the value; numbers are little-endian. Unknown tags are skipped. The time comes last:
//! the spool keeps what comes before the last eight bytes once for all items that share it.

use std::net::IpAddr;

use bytes::Bytes;
use net::smtp::client::Phase;
use queue::{Diagnosis, EnhancedCode, LastAttempt, Reason, Remote};
use spool::limits::REPLY_MAX_BYTES;

use crate::stored::{put_field, split_field};

const AT: u16 = 1;
const CODE: u16 = 2;
const ENHANCED: u16 = 3;
const PHASE: u16 = 4;
const HOST: u16 = 5;
const ADDRESS: u16 = 6;
const REPLY: u16 = 7;

/// Bytes of a host's name that are kept: as long as DNS has them.
const HOST_BYTES: usize = 255;

/// Bytes of a reply that are kept beside another text.
const REPLY_BYTES: usize = 160;

/// In the form of the spool, within its limit.
pub fn encode(reason: &Reason, at_ms: u64) -> Bytes {
    finish(&reason.to_string(), parts(reason), Some(at_ms))
}

/// The same for an item about which there is something else to say than its last answer.
pub fn encode_note(note: &str, last: Option<&LastAttempt>) -> Bytes {
    let Some(LastAttempt { reason, at_ms }) = last else { return finish(note, Vec::new(), None) };
    let mut parts = parts(reason);
    put_field(&mut parts, REPLY, cut(&reason.text, REPLY_BYTES).as_bytes());
    finish(note, parts, Some(*at_ms))
}

fn finish(text: &str, mut parts: Vec<u8>, at_ms: Option<u64>) -> Bytes {
    if let Some(at_ms) = at_ms {
        put_field(&mut parts, AT, &at_ms.to_le_bytes());
    }
    let text = text.replace('\0', "\u{fffd}");
    let room = REPLY_MAX_BYTES.saturating_sub(parts.len() + 1);
    let mut out = cut(&text, room).as_bytes().to_vec();
    out.push(0);
    out.append(&mut parts);
    out.into()
}

fn parts(reason: &Reason) -> Vec<u8> {
    let mut parts = Vec::new();
    if let Some(code) = reason.code {
        put_field(&mut parts, CODE, &code.to_le_bytes());
    }
    if let Some(EnhancedCode { class, subject, detail }) = reason.enhanced {
        let [low, high] = subject.to_le_bytes();
        let [low_detail, high_detail] = detail.to_le_bytes();
        put_field(&mut parts, ENHANCED, &[class, low, high, low_detail, high_detail]);
    }
    if let Some(phase) = reason.phase {
        put_field(&mut parts, PHASE, phase.as_bytes());
    }
    if let Some(Remote { name, address }) = &reason.remote {
        put_field(&mut parts, HOST, cut(name, HOST_BYTES).as_bytes());
        put_field(&mut parts, ADDRESS, address.to_string().as_bytes());
    }
    parts
}

/// The text that anybody can read.
pub fn text(stored: &[u8]) -> String {
    let end = stored.iter().position(|byte| *byte == 0).unwrap_or(stored.len());
    String::from_utf8_lossy(&stored[..end]).into_owned()
}

/// Back from the spool; `None`: there was no attempt.
pub fn decode(stored: &[u8]) -> Option<LastAttempt> {
    let end = stored.iter().position(|byte| *byte == 0)?;
    let mut rest = &stored[end + 1..];
    let mut diagnosis = Diagnosis::new(text(stored));
    let (mut at_ms, mut host, mut address, mut reply) = (0, None, None, None);
    while let Some((tag, value, after)) = split_field(rest) {
        rest = after;
        let text = || std::str::from_utf8(value).ok();
        match tag {
            AT => at_ms = value.try_into().map_or(0, u64::from_le_bytes),
            CODE => diagnosis.code = value.try_into().ok().map(u16::from_le_bytes),
            ENHANCED => diagnosis.enhanced = enhanced(value),
            PHASE => diagnosis.phase = text().and_then(phase),
            HOST => host = text(),
            REPLY => reply = text(),
            ADDRESS => address = text().and_then(|text| text.parse::<IpAddr>().ok()),
            _ => {}
        }
    }
    if let (Some(name), Some(address)) = (host, address) {
        diagnosis.remote = Some(Remote { name: name.into(), address });
    }
    if let Some(reply) = reply {
        diagnosis.text = reply.into();
    } else if let Some(said) =
        diagnosis.phase.and_then(|phase| diagnosis.text.strip_prefix(phase)?.strip_prefix(": "))
    {
        diagnosis.text = said.into();
    }
    (at_ms > 0).then(|| LastAttempt { reason: diagnosis.into(), at_ms })
}

fn enhanced(value: &[u8]) -> Option<EnhancedCode> {
    let [class, low, high, low_detail, high_detail] = *value else { return None };
    let (subject, detail) = (u16::from_le_bytes([low, high]), u16::from_le_bytes([low_detail, high_detail]));
    Some(EnhancedCode { class, subject, detail })
}

fn phase(name: &str) -> Option<&'static str> {
    Phase::ALL.iter().map(|phase| phase.name()).find(|known| *known == name)
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_at_different_times_differ_in_their_last_bytes_only() {
        let reason = refusal("451 4.3.300 later");
        let last = |at_ms| LastAttempt { reason: reason.clone(), at_ms };
        let (one, other) = (encode(&reason, 1), encode(&reason, 2));
        assert_eq!(one.split_last_chunk::<8>().unwrap().0, other.split_last_chunk::<8>().unwrap().0);
        let (one, other) = (encode_note("held", Some(&last(1))), encode_note("held", Some(&last(2))));
        assert_eq!(one.split_last_chunk::<8>().unwrap().0, other.split_last_chunk::<8>().unwrap().0);
    }

    fn refusal(text: &str) -> Reason {
        Diagnosis {
            text: text.into(),
            code: Some(451),
            enhanced: Some(EnhancedCode { class: 4, subject: 3, detail: 300 }),
            phase: Some("RCPT"),
            remote: Some(Remote { name: "mx.example.net".into(), address: "2001:db8::1".parse().unwrap() }),
        }
        .into()
    }

    #[test]
    fn the_last_answer_comes_back_as_it_was_stored() {
        let reason = refusal("451 4.3.300 later");
        let stored = encode(&reason, 1_700_000_000_123);
        assert_eq!(text(&stored), "RCPT: 451 4.3.300 later");
        assert_eq!(decode(&stored), Some(LastAttempt { reason, at_ms: 1_700_000_000_123 }));
    }

    #[test]
    fn a_long_answer_loses_text_and_nothing_else() {
        let stored = encode(&refusal(&"ü".repeat(2000)), 5);
        assert!(stored.len() <= REPLY_MAX_BYTES);
        let back = decode(&stored).unwrap();
        assert_eq!((back.at_ms, back.reason.code, back.reason.phase), (5, Some(451), Some("RCPT")));
        assert!(back.reason.text.starts_with("üü") && back.reason.text.ends_with('ü'));
    }

    #[test]
    fn a_note_stands_in_front_of_the_last_answer() {
        let last = LastAttempt { reason: refusal("451 4.3.300 later"), at_ms: 7 };
        let stored = encode_note("held by an operator", Some(&last));
        assert_eq!((text(&stored), decode(&stored)), ("held by an operator".into(), Some(last)));
        let stored = encode_note("held", None);
        assert_eq!((text(&stored), decode(&stored)), ("held".into(), None));
    }

    #[test]
    fn what_an_earlier_release_or_nobody_wrote_is_no_attempt() {
        for stored in [&b""[..], b"RCPT: 451 later", b"x\0", b"x\0\x01\0\xff\xff\0", b"\xff\0\x02\0"] {
            assert_eq!(decode(stored), None);
        }
        assert_eq!(text(b"RCPT: 451 later"), "RCPT: 451 later");
    }
}
