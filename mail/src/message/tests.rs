use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::mime::tests::PIECES;

const NOW: Now = Now { unix_s: 0, offset_min: 0 };

fn message(text: impl Into<Bytes>) -> Message {
    Message::parse(text).expect("small")
}

fn written(message: &Message) -> String {
    String::from_utf8(message.to_bytes(NOW).to_vec()).expect("UTF-8")
}

/// It took minutes: each field looked through all for the charset.
#[test]
fn reading_many_fields_takes_time_by_their_number() {
    let source = "X-A: caf\u{e9}\r\n".repeat(100_000) + "\r\nbody\r\n";
    let message = Message::parse(source.into_bytes()).expect("it is not too large");
    let root = message.root();
    let texts = root.texts(root.fields_named(b"x-a")).filter(|text| text == "caf\u{e9}").count();
    assert!(texts >= 10_000 && texts == root.fields().len(), "{texts}");
}

fn header(message: &Message, name: &str) -> Vec<String> {
    let root = message.root();
    root.fields_named(name.as_bytes()).map(|field| root.text(field)).collect()
}

const ROOT: PartId = PartId::ROOT;
const PLAIN: &str = "From: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 2\r\n\r\nbody\r\n";
const MULTI: &str = "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: \
                     text/plain\r\n\r\none\r\n--b\r\nContent-Type: application/pdf; name=\"a.PDF\"\r\n\
                     Content-Transfer-Encoding: base64\r\n\r\ndHdv\r\n--b--\r\nepilogue\r\n";

/// A change, by a function on the message.
type Change = fn(&mut Message);

fn set(message: &mut Message, name: &str, value: &str) -> usize {
    message.set_header(ROOT, name.as_bytes(), value.as_bytes(), None, ValueForm::Encode).expect("a good name")
}

fn add(message: &mut Message, name: &str, value: &str) {
    message.add_header(ROOT, name.as_bytes(), value.as_bytes(), ValueForm::Encode).expect("a good name");
}

#[test]
fn changes_to_headers_show_when_the_message_is_written() {
    let body = "\r\nbody\r\n";
    let cases: &[(&str, Change, &str)] = &[
        ("add", |m| add(m, "Y", "y"), "Y: y\r\nFrom: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 2\r\n"),
        (
            "the newest on top",
            |m| {
                add(m, "Y", "1");
                add(m, "Z", "2");
            },
            "Z: 2\r\nY: 1\r\nFrom: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 2\r\n",
        ),
        (
            "overwrite all",
            |m| assert_eq!(set(m, "x", "3"), 2),
            "From: a@example.com\r\nx: 3\r\nSubject: old\r\nx: 3\r\n",
        ),
        (
            "overwrite one",
            |m| assert_eq!(m.set_header(ROOT, b"X", b"3", Some(1), ValueForm::Encode), Ok(1)),
            "From: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 3\r\n",
        ),
        (
            "overwrite one that is not there",
            |m| assert_eq!(m.set_header(ROOT, b"X", b"3", Some(2), ValueForm::Encode), Ok(0)),
            "From: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 2\r\n",
        ),
        (
            "set what is absent, twice",
            |m| assert_eq!((set(m, "Y", "1"), set(m, "y", "2")), (1, 1)),
            "y: 2\r\nFrom: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 2\r\n",
        ),
        (
            "set what was added",
            |m| {
                add(m, "X", "0");
                assert_eq!(set(m, "X", "9"), 3);
            },
            "X: 9\r\nFrom: a@example.com\r\nX: 9\r\nSubject: old\r\nX: 9\r\n",
        ),
        (
            "delete all",
            |m| assert_eq!(m.del_header(ROOT, b"x", None), Ok(2)),
            "From: a@example.com\r\nSubject: old\r\n",
        ),
        (
            "delete one",
            |m| assert_eq!(m.del_header(ROOT, b"X", Some(0)), Ok(1)),
            "From: a@example.com\r\nSubject: old\r\nX: 2\r\n",
        ),
        (
            "delete what was added",
            |m| {
                add(m, "Y", "y");
                assert_eq!(m.del_header(ROOT, b"Y", None), Ok(1));
                assert_eq!(m.del_header(ROOT, b"Y", None), Ok(0));
            },
            "From: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 2\r\n",
        ),
        (
            "delete and set again",
            |m| {
                assert_eq!(m.del_header(ROOT, b"X", None), Ok(2));
                assert_eq!(set(m, "X", "3"), 1);
            },
            "From: a@example.com\r\nX: 3\r\nSubject: old\r\n",
        ),
        (
            "rename",
            |m| assert_eq!(m.rename_header(ROOT, b"x", b"Y"), Ok(2)),
            "From: a@example.com\r\nY: 1\r\nSubject: old\r\nY: 2\r\n",
        ),
        (
            "set and rename",
            |m| {
                set(m, "Subject", "new");
                assert_eq!(m.rename_header(ROOT, b"Subject", b"X-Subject"), Ok(1));
            },
            "From: a@example.com\r\nX: 1\r\nX-Subject: new\r\nX: 2\r\n",
        ),
        (
            "date later",
            |m| {
                assert_eq!(m.set_date_later(ROOT), Ok(1));
                add(m, "Y", "y");
            },
            "Y: y\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\nFrom: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 2\r\n",
        ),
        (
            "verbatim",
            |m| m.add_header(ROOT, b"Y", "å\r\n\tb".as_bytes(), ValueForm::Verbatim).expect("a good name"),
            "Y: å\r\n\tb\r\nFrom: a@example.com\r\nX: 1\r\nSubject: old\r\nX: 2\r\n",
        ),
    ];
    for (name, change, expected) in cases {
        let mut changed = message(PLAIN);
        change(&mut changed);
        assert_eq!(written(&changed), [expected, body].concat(), "{name}");
        assert_eq!(header(&changed, "X"), ["1", "2"], "{name}: getters tell what came in");
        let edits = changed.edit_count();
        assert_eq!(changed.reset(), edits, "{name}");
        assert_eq!(written(&changed), PLAIN, "{name}: reset");
    }
}

#[test]
fn a_date_that_is_there_is_replaced_in_its_place() {
    let mut changed = message("A: 1\r\nDate: yesterday\r\nB: 2\r\nDATE: before\r\n\r\n");
    changed.set_date_later(ROOT).expect("the root");
    assert_eq!(written(&changed), "A: 1\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\nB: 2\r\n\r\n");
    let mut changed = message("Date: yesterday\r\n\r\n");
    changed.set_date_later(ROOT).expect("the root");
    set(&mut changed, "Date", "today");
    assert_eq!(written(&changed), "Date: today\r\n\r\n", "the later call wins");
}

#[test]
fn names_that_are_none_are_refused() {
    let mut changed = message(PLAIN);
    for name in ["", "a b", "a:", "a\r\nb"] {
        assert!(changed.add_header(ROOT, name.as_bytes(), b"x", ValueForm::Encode).is_err());
        assert!(changed.rename_header(ROOT, b"X", name.as_bytes()).is_err());
    }
    assert_eq!(changed.edit_count(), 0);
}

#[test]
fn a_new_body_brings_its_encoding() {
    for (original, body, expected) in [
        ("A: 1\r\n\r\nold", "new\r\n", "A: 1\r\n\r\nnew\r\n"),
        (
            "Content-Type: text/x\r\n\r\nold",
            "né",
            "Content-Type: text/x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nbsOp",
        ),
        (
            "A: 1\r\n\r\nold",
            "mostly é, ASCII",
            "A: 1\r\nContent-Transfer-Encoding: base64\r\n\r\nbW9zdGx5IMOpLCBBU0NJSQ==",
        ),
        (
            "Content-Transfer-Encoding: base64\r\nA: 1\r\n\r\nb2xk",
            "new",
            "Content-Transfer-Encoding: 7bit\r\nA: 1\r\n\r\nnew",
        ),
        ("A: 1", "new", "A: 1\r\n\r\nnew"),
        ("A: 1\r\n", "new", "A: 1\r\n\r\nnew"),
        ("", "new", "\r\nnew"),
    ] {
        let mut changed = message(original);
        changed.set_body(ROOT, body.as_bytes()).expect("the root");
        let text = written(&changed);
        if !expected.contains("bW9zdGx5") {
            assert_eq!(text, expected, "{original:?} {body:?}");
        }
        assert_eq!(message(text).root().body(), body.as_bytes());
    }
}

#[test]
fn an_encoded_body_is_stored_as_it_is() {
    let mut changed = message("Content-Type: text/x\r\nMIME-Version: 1.0\r\n\r\nold");
    changed.set_encoded_body(ROOT, Bytes::from_static(b"bmV3"), "base64").expect("the root");
    assert_eq!(
        written(&changed),
        "Content-Type: text/x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nbmV3"
    );
}

#[test]
fn parts_are_read() {
    let message = message(MULTI);
    let root = message.root();
    assert_eq!((root.dotted_id(), root.size_bytes()), ("0".into(), MULTI.len()));
    assert_eq!(root.preamble(), Some(&b"preamble"[..]));
    assert_eq!(root.epilogue(), Some(&b"epilogue\r\n"[..]));
    let parts: Vec<_> = root.children().collect();
    assert_eq!(parts.iter().map(PartView::dotted_id).collect::<Vec<_>>(), ["0.0", "0.1"]);
    assert_eq!(parts[0].body().as_ref(), b"one");
    assert_eq!(parts[0].preamble(), None);
    assert_eq!(parts[1].body().as_ref(), b"two");
    assert_eq!(parts[1].raw_body(), b"dHdv");
    assert_eq!(parts[1].media_type().as_deref(), Some("application/pdf"));
    assert_eq!(parts[1].file_name().as_deref(), Some("a.PDF"));
    assert_eq!(
        parts[1].header_names().collect::<Vec<_>>(),
        [&b"content-type"[..], b"content-transfer-encoding"]
    );
    assert_eq!(root.find("0.1").map(|part| part.id()), Some(parts[1].id()));
    assert_eq!(parts[1].find("0.1").map(|part| part.id()), Some(parts[1].id()));
    for id in ["", "1", "0.2", "0.", "0.0.0", "0.01", "0.-1", "0.99999999999999999999"] {
        assert!(root.find(id).is_none(), "{id}");
    }
    assert!(parts[0].find("0.1").is_none(), "it is not below that part");
}

#[test]
fn parts_are_added_removed_and_replaced() {
    let part = |text: &str| Bytes::from(format!("X: {text}\r\n\r\n{text}"));
    let (one, two) = (PartId(1), PartId(2));
    let bodies = |changed: &Message| -> Vec<String> {
        let again = message(changed.to_bytes(NOW));
        assert_eq!(again.root().defects().count(), 0);
        again.root().children().map(|part| String::from_utf8(part.body().to_vec()).expect("UTF-8")).collect()
    };
    let mut changed = message(MULTI);
    changed.insert_part(ROOT, Place::Last, part("l1"), Some("multipart/mixed"), "r").expect("a multipart");
    changed.insert_part(ROOT, Place::Last, part("l2"), None, "r").expect("a multipart");
    changed.insert_part(ROOT, Place::First, part("f1"), None, "r").expect("a multipart");
    changed.insert_part(ROOT, Place::First, part("f2"), None, "r").expect("a multipart");
    assert_eq!(bodies(&changed), ["f2", "f1", "one", "two", "l1", "l2"]);
    changed.remove_part(one).expect("a part");
    assert_eq!(bodies(&changed), ["f2", "f1", "two", "l1", "l2"]);
    changed.replace_part(two, part("new")).expect("a part");
    assert_eq!(bodies(&changed), ["f2", "f1", "new", "l1", "l2"]);
    changed.set_header(two, b"Y", b"lost", None, ValueForm::Encode).expect("a part");
    assert_eq!(bodies(&changed), ["f2", "f1", "new", "l1", "l2"], "what is replaced takes its changes along");
    assert_eq!(message(changed.to_bytes(NOW)).root().preamble(), Some(&b"preamble"[..]));
    let mut changed = message(MULTI);
    changed.remove_part(one).expect("a part");
    changed.remove_part(two).expect("a part");
    assert_eq!(bodies(&changed), [""; 0]);
    assert_eq!(changed.remove_part(ROOT), Err(EditError::RemoveRoot));
}

#[test]
fn preamble_and_epilogue_are_replaced() {
    for text in ["", "new"] {
        let mut changed = message(MULTI);
        assert_eq!(changed.set_preamble(ROOT, text.into()), Ok(true));
        assert_eq!(changed.set_epilogue(ROOT, text.into()), Ok(true));
        let again = message(changed.to_bytes(NOW));
        assert_eq!(again.root().preamble(), Some(text.as_bytes()));
        assert_eq!(again.root().epilogue(), Some(text.as_bytes()));
        assert_eq!(again.root().children().count(), 2);
    }
    assert_eq!(message(PLAIN).set_preamble(ROOT, "x".into()), Ok(false));
    assert_eq!(message(PLAIN).set_epilogue(ROOT, "x".into()), Ok(false));
}

#[test]
fn a_single_part_is_wrapped_when_parts_are_added() {
    let mut changed = message("Subject: s\r\nContent-Type: text/html\r\nTo: t\r\n\r\nbody\r\n");
    let signature = Bytes::from_static(b"Content-Type: text/x\r\n\r\nsignature");
    let kind = "multipart/signed; protocol=\"x/y\"";
    changed.insert_part(ROOT, Place::Last, signature.clone(), Some(kind), "r").expect("wrapped");
    changed.insert_part(ROOT, Place::First, signature, None, "other").expect("it is a multipart now");
    assert_eq!(
        written(&changed),
        "Subject: s\r\nTo: t\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"x/y\"; \
         boundary=r\r\n\r\n--r\r\nContent-Type: text/x\r\n\r\nsignature\r\n--r\r\nContent-Type: text/html\r\n\r\n\
         body\r\n\r\n--r\r\nContent-Type: text/x\r\n\r\nsignature\r\n--r--\r\n"
    );
    changed.set_body(ROOT, b"new").expect("the root");
    changed.del_header(ROOT, b"Content-Type", None).expect("the root");
    let again = message(changed.to_bytes(NOW));
    let inner: Vec<_> =
        again.root().children().map(|part| (part.media_type(), part.body().to_vec())).collect();
    assert_eq!(inner[1], (None, b"new".to_vec()), "changes go to the inner part");
    let wrong = changed.insert_part(ROOT, Place::Last, Bytes::new(), Some("text/plain"), "r");
    assert_eq!(wrong, Err(EditError::Type));
}

#[test]
fn a_multipart_is_wrapped_when_another_type_is_asked_for() {
    let mut changed = message(MULTI);
    let part = |text: &'static str| Bytes::from_static(text.as_bytes());
    changed.insert_part(ROOT, Place::Last, part("\r\nthree"), None, "r").expect("a multipart");
    changed
        .insert_part(ROOT, Place::Last, part("\r\nsignature"), Some("multipart/signed"), "r")
        .expect("wrapped");
    let again = message(changed.to_bytes(NOW));
    let parts: Vec<_> = again.root().children().collect();
    assert_eq!(again.root().media_type().as_deref(), Some("multipart/signed"));
    assert_eq!(parts[1].body().as_ref(), b"signature");
    // What is signed are the content fields and the body as they were, and what was added to it before.
    let inner = MULTI.replacen("Subject: s\r\n", "", 1).replace("--b--", "--b\r\n\r\nthree\r\n--b--");
    assert_eq!(again.part_to_bytes(parts[0].id(), NOW).expect("a part"), inner.as_bytes());
    let mut signed_again = again.clone();
    signed_again
        .insert_part(ROOT, Place::Last, part("\r\nx"), Some("multipart/signed"), "rr")
        .expect("wrapped");
    assert_eq!(message(signed_again.to_bytes(NOW)).root().children().count(), 2);
}

#[test]
fn a_body_of_parts_is_not_encoded() {
    let mut changed = message("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nb2xk");
    changed.del_header(ROOT, b"Content-Type", None).expect("the root");
    changed
        .add_header(ROOT, b"Content-Type", b"multipart/x; boundary=b", ValueForm::Encode)
        .expect("a good name");
    changed.set_body(ROOT, "--b\r\n\r\né\r\n--b--\r\n".as_bytes()).expect("the root");
    let text = written(&changed);
    assert_eq!(
        text,
        "Content-Type: multipart/x; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\n--b\r\n\r\né\r\n--b--\r\n"
    );
    assert_eq!(message(text).root().children().count(), 1);
}

#[test]
fn replacing_the_root_keeps_what_is_not_content() {
    let mut changed = message("Subject: s\r\nContent-Type: text/html\r\nMIME-Version: 1.0\r\n\r\nbody\r\n");
    let content = "MIME-Version: 1.0\r\nSubject: no\r\nContent-Type: application/x\r\n\r\nsealed";
    changed.replace_part(ROOT, content.into()).expect("the root");
    assert_eq!(
        written(&changed),
        "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\nsealed"
    );
}

#[test]
fn raw_changes_are_relative_to_the_original() {
    let mut changed = message(PLAIN);
    changed.modify_content(0, 4, "Sender".into()).expect("in range");
    changed.modify_content(PLAIN.len() as u64, 0, "more".into()).expect("at the end");
    assert_eq!(written(&changed), PLAIN.replacen("From", "Sender", 1) + "more");
    assert_eq!(changed.modify_content(PLAIN.len() as u64, 1, Bytes::new()), Err(EditError::Range));
    assert_eq!(changed.modify_content(u64::MAX, 1, Bytes::new()), Err(EditError::Range));
    // Of those that overlap the later one wins.
    changed.set_header(ROOT, b"From", b"b@example.com", None, ValueForm::Encode).expect("the root");
    assert!(written(&changed).starts_with("From: b@example.com\r\nX: 1"));
    changed.modify_content(1, 1, "-".into()).expect("in range");
    assert!(written(&changed).starts_with("F-om: a@example.com\r\nX: 1"));
}

#[test]
fn snapshots_bring_back_earlier_changes() {
    let mut changed = message(PLAIN);
    let clean = changed.snapshot();
    assert_eq!(changed.snapshot(), clean, "nothing has changed");
    add(&mut changed, "Y", "1");
    let one = changed.snapshot();
    add(&mut changed, "Y", "2");
    let two = changed.snapshot();
    assert!(changed.restore(one));
    assert!(written(&changed).starts_with("Y: 1\r\nFrom"));
    assert!(!changed.restore(two), "its changes are gone");
    for _ in 0..2 {
        add(&mut changed, "Z", "3");
        assert!(written(&changed).starts_with("Z: 3\r\nY: 1\r\nFrom"));
        assert!(changed.restore(one));
    }
    assert!(changed.restore(clean));
    assert_eq!(written(&changed), PLAIN);
    assert!(!changed.restore(one));
    assert!(!changed.restore(u32::MAX));
}

#[test]
fn copies_are_changed_apart() {
    let mut first = message(PLAIN);
    add(&mut first, "Y", "1");
    let mut second = first.clone();
    add(&mut second, "Y", "2");
    assert!(written(&first).starts_with("Y: 1\r\nFrom"));
    assert!(written(&second).starts_with("Y: 2\r\nY: 1\r\nFrom"));
}

#[test]
fn deltas_are_stored_and_read_back() {
    let mut changed = message(MULTI);
    add(&mut changed, "Y", "1");
    changed.set_date_later(ROOT).expect("the root");
    changed.remove_part(PartId(1)).expect("a part");
    let delta = changed.delta();
    let stored: Bytes = delta.encode().into();
    assert_eq!(Delta::decode(&stored).expect("just written"), delta);
    assert!(stored.len() < 30, "{} bytes", stored.len());
    for length in 0..stored.len() {
        assert!(Delta::decode(&stored.slice(..length)).is_err(), "cut at {length}");
    }
    let original: Vec<_> = delta.chunks(MULTI.len() as u32).collect();
    assert!(
        original
            .iter()
            .all(|chunk| !matches!(chunk, crate::delta::Chunk::Original { start, end } if start >= end))
    );
}

#[test]
fn a_part_is_written_with_its_changes_alone() {
    let mut changed = message(MULTI);
    add(&mut changed, "Y", "1");
    changed.add_header(PartId(1), b"Z", b"2", ValueForm::Encode).expect("a part");
    changed.set_body(PartId(1), b"new").expect("a part");
    changed.remove_part(PartId(1)).expect("a part");
    let part = changed.part_to_bytes(PartId(1), NOW).expect("a part");
    assert_eq!(&part[..], b"Z: 2\r\nContent-Type: text/plain\r\n\r\nnew");
}

#[test]
fn changes_are_bounded() {
    let mut changed = message(PLAIN);
    for _ in 0..EDITS_MAX {
        changed.modify_content(0, 0, Bytes::new()).expect("below the limit");
    }
    assert_eq!(changed.modify_content(0, 0, Bytes::new()), Err(EditError::TooMany));
    assert_eq!(written(&changed), PLAIN);
}

/// One of many changes, on some part.
fn change(message: &mut Message, kind: u8, part: PartId) {
    let content = || Bytes::from_static(b"X-New: new\r\n\r\nnew part");
    let done = match kind % 12 {
        0 => message.add_header(part, b"X-Added", b"added", ValueForm::Encode),
        1 => message.set_header(part, b"Subject", "nëw".as_bytes(), None, ValueForm::Encode).map(drop),
        2 => message.del_header(part, b"Subject", None).map(drop),
        3 => message.set_body(part, "bödy".as_bytes()),
        4 => message.insert_part(part, Place::First, content(), Some("multipart/mixed"), "first"),
        5 => message.insert_part(part, Place::Last, content(), None, "last"),
        6 => message.replace_part(part, content()),
        7 if part != ROOT => message.remove_part(part),
        8 => message.set_preamble(part, "pre".into()).map(drop),
        9 => message.set_epilogue(part, "epi".into()).map(drop),
        10 => message.modify_content(u64::from(part.0), 0, Bytes::from_static(b"raw")),
        _ => message.set_date_later(part).map(drop),
    };
    done.expect("a part that is there");
}

proptest! {
    #[test]
    fn a_message_without_changes_is_written_as_it_came(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let original = pieces.concat().into_bytes();
        let mut message = message(original.clone());
        prop_assert_eq!(&message.to_bytes(NOW)[..], &original[..]);
        add(&mut message, "X", "1");
        message.reset();
        prop_assert_eq!(&message.to_bytes(NOW)[..], &original[..]);
    }

    #[test]
    fn any_changes_of_any_message_are_written(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
        kinds in prop::collection::vec((any::<u8>(), any::<u32>()), 0..12),
    ) {
        let original = pieces.concat().into_bytes();
        let mut changed = message(original.clone());
        for (kind, part) in kinds {
            let part = PartId(part % changed.structure().part_count() as u32);
            change(&mut changed, kind, part);
            changed.part_to_bytes(part, NOW).expect("a part that is there");
        }
        let delta = changed.delta();
        prop_assert!(delta.splices().windows(2).all(|pair| pair[0].end() <= pair[1].start));
        prop_assert!(delta.splices().last().is_none_or(|last| last.end() as usize <= original.len()));
        let stored: Bytes = delta.encode().into();
        prop_assert_eq!(&Delta::decode(&stored).expect("just written"), &delta);
        prop_assert_eq!(&delta.apply(&original, NOW)[..], &changed.to_bytes(NOW)[..]);
    }

    #[test]
    fn an_added_header_is_read_back_from_any_message(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30), value in "[a-zé ]{1,60}") {
        let mut changed = message(pieces.concat());
        let before = header(&changed, "X-Added");
        add(&mut changed, "X-Added", &value);
        let again = message(changed.to_bytes(NOW));
        prop_assert_eq!(&header(&again, "X-Added")[0], value.trim());
        prop_assert_eq!(header(&again, "X-Added").len(), before.len() + 1);
    }

    #[test]
    fn a_new_body_is_read_back_from_any_part(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30), at: u32, body: Vec<u8>) {
        let mut changed = message(pieces.concat());
        let part = PartId(at % changed.structure().part_count() as u32);
        prop_assume!(!changed.part(part).expect("there").is_multipart());
        let id = changed.part(part).expect("there").dotted_id();
        changed.set_body(part, &body).expect("there");
        let again = message(changed.to_bytes(NOW));
        let found = again.root().find(&id).expect("still there");
        let expected = changed.body_form(part).expect("there").lines_of(body.into());
        prop_assert_eq!(found.body().into_owned(), expected);
    }

    #[test]
    fn stored_bytes_are_a_delta_or_an_error(stored: Vec<u8>) {
        if let Ok(delta) = Delta::decode(&Bytes::from(stored)) {
            let _ = delta.apply(b"some message", NOW);
        }
    }
}

#[test]
fn a_message_that_is_parsed_late_is_the_same_also_after_its_bytes_were_away() {
    let text = &b"Subject: a\r\nX-B: c\r\n\r\nbody\r\n"[..];
    let early = Message::parse(text).expect("small");
    let mut late = Message::parse_later(text).expect("small");
    assert!(late.delta().is_empty());
    late.put_away();
    late.bring_back(early.original().clone());
    assert_eq!(late.structure().fields(PartId::ROOT).len(), 2);
    assert_eq!(late.size_bytes(), early.size_bytes());
}

#[test]
fn a_long_first_look_is_given_up_and_shared_once_it_was_taken() {
    let parts = |count: usize| {
        let text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned()
            + &"--b\r\n\r\nx\r\n".repeat(count);
        Message::parse_later(text.into_bytes()).expect("small")
    };
    assert!(parts(100).look());
    for long in [
        parts(5000),
        Message::parse_later("A: b\r\n".repeat(50_000).into_bytes()).expect("small"),
        Message::parse_later(
            [&b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"[..], &[b'x'; 1 << 20]].concat(),
        )
        .expect("small"),
    ] {
        assert!(!long.look());
        let copy = long.clone();
        let whole = copy.structure().part_count();
        assert!(long.look() && long.structure().part_count() == whole);
    }
}

#[test]
fn a_line_that_the_first_look_sees_half_of_is_not_taken_for_a_boundary() {
    let text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".to_owned()
        + &"A: b\r\n".repeat(7000)
        + &format!("--b{}X\r\nZ: z\r\n\r\nbody\r\n--b--\r\n", " ".repeat(5000));
    let message = Message::parse_later(text.clone().into_bytes()).expect("small");
    message.look();
    let whole = Message::parse(text.into_bytes()).expect("small");
    let child = |message: &Message| message.root().children().next().map(|part| part.fields().len());
    assert_eq!(child(&message), child(&whole));
    assert_eq!(child(&whole), Some(7001));
}
