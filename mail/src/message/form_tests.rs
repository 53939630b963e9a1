//! What a message looks like that a script has changed: what a reader needs to take it apart as it was meant.

use super::*;
use crate::delta::MailNeeds;

const ROOT: PartId = PartId::ROOT;
const NOW: Now = Now { unix_s: 0, offset_min: 0 };

fn message(text: &str) -> Message {
    Message::parse(text.as_bytes().to_vec()).expect("small")
}

fn written(message: &Message) -> String {
    String::from_utf8(message.to_bytes(NOW).to_vec()).expect("UTF-8")
}

fn child(message: &Message, index: usize) -> PartId {
    message.root().children().nth(index).expect("there").id()
}

/// Delivery wrote another Date than the one that was signed.
#[test]
fn a_later_date_that_was_fixed_is_the_one_that_is_written() {
    const LATER: Now = Now { unix_s: 3600, offset_min: 0 };
    for source in ["Subject: s\r\n\r\n", "Date: old\r\nDate: older\r\n\r\n"] {
        let mut changed = message(source);
        changed.fix_date(NOW).expect("room");
        assert_eq!(changed.edit_count(), 0, "there is nothing to fix");
        changed.set_date_later(ROOT).expect("the root");
        let open = changed.snapshot();
        changed.fix_date(NOW).expect("room");
        let fixed = changed.to_bytes(LATER);
        assert_eq!(fixed, changed.to_bytes(NOW));
        assert_eq!(written(&changed).matches("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n").count(), 1);
        assert_eq!(written(&changed).matches("Date: ").count(), 1, "{source}");
        changed.fix_date(LATER).expect("room");
        assert_eq!(changed.to_bytes(LATER), fixed, "once");
        assert!(changed.restore(open));
        assert!(String::from_utf8_lossy(&changed.to_bytes(LATER)).contains("01:00:00"), "it is open again");
    }
}

/// MAIL said nothing of them.
#[test]
fn changes_say_which_8_bit_text_they_bring() {
    let verbatim = ValueForm::Verbatim;
    type Change<'c> = &'c dyn Fn(&mut Message) -> Result<(), EditError>;
    let part = || Bytes::from("Content-Transfer-Encoding: 8bit\r\n\r\né\r\n".as_bytes());
    let cases: [(&str, Change<'_>, (bool, bool)); 8] = [
        ("nothing", &|_| Ok(()), (false, false)),
        (
            "an encoded header",
            &|m| m.add_header(ROOT, b"X", "é".as_bytes(), ValueForm::Encode),
            (false, false),
        ),
        ("a header", &|m| m.add_header(ROOT, b"X", "é".as_bytes(), verbatim), (true, true)),
        (
            "a replaced one",
            &|m| m.set_header(ROOT, b"B", "é".as_bytes(), None, verbatim).map(drop),
            (true, true),
        ),
        (
            "a new one at the end",
            &|m| m.set_header(ROOT, b"Content-X", "é".as_bytes(), None, verbatim).map(drop),
            (true, true),
        ),
        ("a part", &|m| m.insert_part(ROOT, Place::Last, part(), None, "r"), (true, false)),
        ("a body", &|m| m.set_encoded_body(ROOT, "é".into(), "8bit"), (true, false)),
        ("bytes", &|m| m.modify_content(3, 1, "é".into()), (true, true)),
    ];
    for source in ["A: 1\r\nB: 2\r\n\r\nbody", "A: 1\nB: 2\n\nbody", "A: é\r\nB: 2\r\n\r\né", "A: 1\r\nB: 2"]
    {
        for (name, change, expected) in &cases {
            let mut changed = message(source);
            change(&mut changed).unwrap_or_else(|error| panic!("{name}: {error}"));
            let MailNeeds { eight_bit, utf8_header } = changed.delta().needs(changed.original());
            assert_eq!((eight_bit, utf8_header), *expected, "{name} in {source:?}");
        }
    }
    for (source, expected) in [
        ("A: 1\r\n\r\nbody", (false, false)),
        ("A: 1\r\n\r\né", (true, false)),
        ("A: é\r\n\r\nbody", (true, true)),
        ("é", (true, true)),
        ("\r\né", (true, false)),
    ] {
        let MailNeeds { eight_bit, utf8_header } = MailNeeds::of(source.as_bytes());
        assert_eq!((eight_bit, utf8_header), expected, "{source:?}");
    }
}

/// It had Content-Transfer-Encoding alone, and readers need not look at that.
#[test]
fn an_encoded_body_says_that_and_what_it_is_by_mime() {
    const BODY: &str = "é est ici, et tout le reste est lisible\r\n";
    let mut changed = message("From: a@b\r\n\r\nbody");
    changed.set_body(ROOT, BODY.as_bytes()).expect("the root");
    let head = "From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                Content-Transfer-Encoding: quoted-printable\r\n\r\n";
    assert!(written(&changed).starts_with(head), "{}", written(&changed));
    changed.insert_part(ROOT, Place::Last, "\r\nx".into(), None, "r").expect("the root");
    let read = message(&written(&changed));
    assert_eq!(read.part(child(&read, 0)).expect("it").type_parameter("charset").as_deref(), Some("utf-8"));
    assert_eq!(read.part(child(&read, 0)).expect("it").body(), BODY.as_bytes());
    assert_eq!(written(&changed).matches("MIME-Version").count(), 1);
    // What is there, or comes later, is not doubled.
    for source in ["MIME-Version: 1.0\r\nContent-Type: text/x\r\n\r\n", "\r\n"] {
        let mut changed = message(source);
        changed.set_body(ROOT, BODY.as_bytes()).expect("the root");
        changed.set_header(ROOT, b"MIME-Version", b"1.0", None, ValueForm::Encode).expect("a name");
        changed.set_header(ROOT, b"Content-Type", b"text/x", None, ValueForm::Encode).expect("a name");
        for name in ["MIME-Version", "Content-Type"] {
            assert_eq!(written(&changed).matches(name).count(), 1, "{source:?} {name}");
        }
    }
    let mut plain = message("From: a@b\r\n\r\nbody");
    plain.set_body(ROOT, b"ascii\r\n").expect("the root");
    assert_eq!(written(&plain), "From: a@b\r\n\r\nascii\r\n", "that needs none of it");
    for source in
        ["Content-Type: text/plain\r\n\r\nx", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nx"]
    {
        let mut replaced = message(source);
        replaced.replace_part(ROOT, "Content-Type: text/html\r\n\r\n<p>".into()).expect("the root");
        assert_eq!(
            written(&replaced),
            "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>",
            "{source:?}"
        );
    }
}

/// It was encoded, so that no reader saw the message in it.
#[test]
fn a_message_within_a_message_is_not_encoded() {
    for kind in ["message/rfc822", "message/delivery-status", "Message/Global"] {
        let source = format!(
            "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Type: {kind}\r\n\r\nx\r\n--b--\r\n"
        );
        let mut changed = message(&source);
        let part = child(&changed, 0);
        changed.set_body(part, "Subject: a=b\n\né\n".as_bytes()).expect("a part");
        let written = message(&written(&changed));
        let part = written.part(part).expect("it stays");
        assert_eq!(part.raw_body(), "Subject: a=b\r\n\r\né\r\n".as_bytes(), "{kind}");
        assert_eq!(part.text(part.fields_named(b"Content-Transfer-Encoding").next().expect("one")), "8bit");
    }
}

/// Two parts became three, by a footer with a line of dashes.
#[test]
fn no_line_of_a_new_body_is_a_boundary() {
    for (boundary, line) in [("-", "---"), ("b", "--b"), ("b", "--b--  "), ("-----Sep", "-------Sep")] {
        let source = format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n\r\none\r\n--{boundary}--\r\n"
        );
        let body = format!("foo\r\n{line}\r\nsep\r\n");
        for kind in ["", "Content-Type: application/x\r\n"] {
            let mut changed = message(&source.replace("\r\n\r\none", &format!("\r\n{kind}\r\none")));
            changed.set_body(child(&changed, 0), body.as_bytes()).expect("a part");
            let mut made = crate::build::Builder::new("r");
            made.set_body(Bytes::from(body.clone())).expect("no parts");
            changed.insert_part(ROOT, Place::Last, made.part_to_bytes().into(), None, "r").expect("the root");
            let read = message(&written(&changed));
            let parts: Vec<_> = read.root().children().collect();
            assert_eq!(parts.len(), 2, "{}", written(&changed));
            parts.iter().for_each(|part| assert_eq!(part.body(), body.as_bytes(), "{boundary}"));
        }
        // What cannot be written otherwise is refused.
        let mut changed = message(&source);
        let (part, text) = (child(&changed, 0), Bytes::from(body));
        let refused = [
            changed.set_encoded_body(part, text.clone(), "7bit"),
            changed.insert_part(ROOT, Place::First, text.clone(), None, "r"),
            changed.insert_part(part, Place::First, text.clone(), None, "r"),
            changed.replace_part(part, text.clone()),
            changed.set_preamble(ROOT, text.clone()).map(drop),
            changed.set_epilogue(ROOT, text.clone()).map(drop),
        ];
        assert_eq!(refused, [Err(EditError::Boundary); 6], "{boundary}");
        assert_eq!(changed.edit_count(), 0);
        // Around the whole there is none.
        assert_eq!(changed.set_encoded_body(ROOT, text, "7bit"), Ok(()));
    }
    let mut plain = message("A: 1\r\n\r\nbody");
    plain.set_body(ROOT, b"text\r\n-- \r\n--sig\r\n").expect("the root");
    assert_eq!(written(&plain), "A: 1\r\n\r\ntext\r\n-- \r\n--sig\r\n", "it needs no encoding");
}

/// It was written as a field that nobody could read.
#[test]
fn transfer_encodings_that_there_are_not_are_refused() {
    for encoding in ["bogus\r\nX: y", "", "x-uuencode", "base64\r\nX: y"] {
        let mut changed = message("A: 1\r\n\r\nbody");
        assert_eq!(
            changed.set_encoded_body(ROOT, "x".into(), encoding),
            Err(EditError::Encoding),
            "{encoding:?}"
        );
        assert_eq!(changed.edit_count(), 0);
    }
    let mut changed = message("A: 1\r\n\r\nbody");
    changed.set_encoded_body(ROOT, "eA==".into(), "BASE64 (as it came)").expect("there is");
    assert!(written(&changed).contains("Content-Transfer-Encoding: base64\r\n"));
}
