//! Line ends of what scripts put into messages.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::lines;
use crate::mime::tests::PIECES;

const ROOT: PartId = PartId::ROOT;

fn clean(text: impl Into<Bytes>) -> Message {
    Message::parse(lines::with_crlf(text)).expect("small")
}

/// They were recorded as they were, and the message was bounced after its 250.
#[test]
fn what_ends_in_lf_is_written_with_crlf() {
    let plain = "Subject: s\n\nbody\n";
    let multi = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n";
    let text = || Bytes::from_static(b"\nx\ny\n");
    type Change<'c> = &'c dyn Fn(&mut Message) -> Result<(), EditError>;
    let cases: [(&str, Change<'_>); 8] = [
        (plain, &|message| message.set_body(ROOT, &text())),
        (plain, &|message| message.set_encoded_body(ROOT, text(), "7bit")),
        (plain, &|message| message.insert_part(ROOT, Place::Last, text(), None, "r")),
        (plain, &|message| message.replace_part(ROOT, text())),
        (multi, &|message| message.set_body(ROOT, &text())),
        (multi, &|message| message.set_preamble(ROOT, text()).map(drop)),
        (multi, &|message| message.set_epilogue(ROOT, text()).map(drop)),
        (multi, &|message| message.replace_part(PartId(1), text())),
    ];
    for (number, (original, change)) in cases.iter().enumerate() {
        let mut message = clean(*original);
        change(&mut message).expect("a change");
        let written = message.to_bytes(Now::default());
        assert!(lines::are_clean(&written), "{number}: {written:?}");
        assert!(message.delta().keeps_line_ends(message.original()), "{number}");
        let has_text = memchr::memmem::find(&written, b"y\r\n").is_some();
        assert!(has_text, "{number}: {written:?}");
    }
}

#[test]
fn raw_changes_that_break_a_line_end_are_seen() {
    // Offsets in "A: 1\r\n\r\nb\r\n".
    for (start, count, data, keeps) in [
        (0, 0, "X: 1\r\n", true),
        (0, 0, "X: 1\n", false),
        (0, 0, "\n", false),
        (4, 1, "", false),
        (4, 1, "\r", true),
        (5, 1, "\n", true),
        (5, 1, "", false),
        (5, 0, " ", false),
        (5, 1, "\nB: 2\r\n", true),
        (4, 2, "", true),
        (11, 0, "c", true),
        (11, 0, "c\r", false),
        (10, 1, "", false),
        (0, 11, "", true),
    ] {
        let mut message = clean("A: 1\r\n\r\nb\r\n");
        message.modify_content(start, count, data.into()).expect("within it");
        let found = message.delta().keeps_line_ends(message.original());
        assert_eq!(found, keeps, "{start} {count} {data:?}");
    }
}

/// Everything that can be recorded, with text whose lines end in whatever way.
fn change(message: &mut Message, kind: u8, part: PartId, text: &str) {
    let text = Bytes::copy_from_slice(text.as_bytes());
    let done = match kind % 12 {
        0 => message.add_header(part, b"X-Added", &text, ValueForm::Encode),
        1 => message.add_header(part, b"X-Added", &text, ValueForm::Verbatim),
        2 => message.set_header(part, b"Subject", &text, None, ValueForm::Verbatim).map(drop),
        3 => message.del_header(part, b"Subject", None).map(drop),
        4 => message.set_body(part, &text),
        5 => message.set_encoded_body(part, text, "7bit"),
        6 => message.insert_part(part, Place::First, text, Some("multipart/mixed"), "first"),
        7 => message.insert_part(part, Place::Last, text, None, "last"),
        8 => message.replace_part(part, text),
        9 if part != ROOT => message.remove_part(part),
        10 => message.set_preamble(part, text).map(drop),
        _ => message.set_epilogue(part, text).map(drop),
    };
    done.expect("a part that is there");
}

proptest! {
    #[test]
    fn changes_keep_the_line_ends_of_any_message(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
        changes in prop::collection::vec((any::<u8>(), any::<u32>(), "[a\r\n: \t]{0,8}"), 0..8),
    ) {
        let mut changed = clean(pieces.concat());
        for (kind, part, text) in &changes {
            let part = PartId(part % changed.structure().part_count() as u32);
            change(&mut changed, *kind, part, text);
        }
        let written = changed.to_bytes(Now::default());
        prop_assert!(lines::are_clean(&written), "{:?}", written);
        prop_assert!(changed.delta().keeps_line_ends(changed.original()));
    }

    #[test]
    fn what_breaks_line_ends_is_seen_in_any_message(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
        raw in prop::collection::vec((any::<u64>(), 0..4_u64, "[a\r\n]{0,3}"), 0..4),
    ) {
        let mut changed = clean(pieces.concat());
        let len = changed.original().len() as u64;
        for (start, count, text) in raw {
            let start = start % (len + 1);
            changed.modify_content(start, count.min(len - start), text.into()).expect("within it");
        }
        let written = changed.to_bytes(Now::default());
        prop_assert_eq!(changed.delta().keeps_line_ends(changed.original()), lines::are_clean(&written));
    }
}
