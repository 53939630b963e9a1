use super::*;
use crate::message::Message;

fn text(builder: &Builder) -> String {
    String::from_utf8(builder.to_bytes()).expect("ASCII")
}

#[test]
fn a_text_message_has_its_fields_in_order() {
    let mut builder = Builder::new("r");
    builder.add_header(b"From", b"a@example.com", ValueForm::Encode).expect("a good name");
    builder.add_header(b"Subject", "hé".as_bytes(), ValueForm::Encode).expect("a good name");
    builder.set_date(0, 60).expect("room");
    builder
        .set_body(Bytes::from_static("smörgås\r\nand much more that is plain text".as_bytes()))
        .expect("no parts");
    assert_eq!(
        text(&builder),
        "From: a@example.com\r\nSubject: =?UTF-8?Q?h=C3=A9?=\r\nDate: Thu, 01 Jan 1970 01:00:00 +0100\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: \
         quoted-printable\r\n\r\nsm=C3=B6rg=C3=A5s\r\nand much more that is plain text"
    );
    builder.set_date(1, 0).expect("room");
    assert_eq!(text(&builder).matches("Date: ").count(), 1);
}

#[test]
fn a_built_message_is_read_back() {
    let mut attachment = Builder::new("r1");
    attachment.set_type(b"application/octet-stream").expect("no parts");
    attachment.set_file_name("räksmörgås.bin");
    attachment.set_body(Bytes::from_static(b"\0\x01\xff")).expect("no parts");
    let mut part = Builder::new("r2");
    part.set_type(b"text/html").expect("no parts");
    part.set_disposition(b"inline");
    part.set_body(Bytes::from_static(b"<p>\n")).expect("no parts");
    let mut builder = Builder::new("r3");
    builder.set_type(b"multipart/mixed").expect("no parts");
    builder.set_body(Bytes::from_static(b"preamble")).expect("no parts");
    builder.append(&part).expect("room");
    builder.append(&attachment).expect("room");
    builder.append_raw(Bytes::from_static(b"X: 1\r\n\r\nraw")).expect("room");
    let message = Message::parse(builder.to_bytes()).expect("small");
    let root = message.root();
    assert_eq!(root.defects().count(), 0);
    assert_eq!(root.preamble(), Some(&b"preamble"[..]));
    let parts: Vec<_> = root.children().collect();
    assert_eq!(parts[0].type_parameter("charset").as_deref(), Some("utf-8"));
    assert_eq!(parts[0].body().as_ref(), b"<p>\r\n", "a line of text");
    assert_eq!(parts[1].file_name().as_deref(), Some("räksmörgås.bin"));
    assert_eq!(parts[1].body().as_ref(), b"\0\x01\xff");
    assert_eq!(parts[1].fields_named(b"mime-version").count(), 0, "only messages have it");
    assert_eq!(parts[2].body().as_ref(), b"raw");
}

#[test]
fn added_content_fields_come_before_those_that_are_set() {
    let mut builder = Builder::new("r");
    builder.set_type(b"text/html").expect("no parts");
    builder.add_header(b"Content-Type", b"text/x; charset=koi8-r", ValueForm::Encode).expect("a good name");
    builder.add_header(b"content-transfer-encoding", b"base64", ValueForm::Encode).expect("a good name");
    builder.set_body(Bytes::from_static(b"YWJj")).expect("no parts");
    let message = Message::parse(builder.to_bytes()).expect("small");
    assert_eq!(message.root().media_type().as_deref(), Some("text/x"));
    assert_eq!(message.root().fields_named(b"Content-Type").count(), 1);
    assert_eq!(message.root().body().as_ref(), b"abc", "the body was encoded already");
}

#[test]
fn the_boundary_is_the_one_that_the_type_names() {
    for kind in ["multipart/mixed", "multipart/mixed; boundary=mine"] {
        let mut builder = Builder::new("random");
        builder.set_type(kind.as_bytes()).expect("no parts");
        builder.append_raw(Bytes::from_static(b"\r\none")).expect("room");
        assert_eq!(Message::parse(builder.to_bytes()).expect("small").root().children().count(), 1, "{kind}");
        let mut builder = Builder::new("random");
        builder.add_header(b"Content-Type", kind.as_bytes(), ValueForm::Encode).expect("a good name");
        builder.set_boundary(b"mine").expect("a boundary");
        builder.append_raw(Bytes::from_static(b"\r\none")).expect("room");
        assert_eq!(Message::parse(builder.to_bytes()).expect("small").root().children().count(), 1, "{kind}");
    }
    let mut builder = Builder::new("random");
    for boundary in ["", "a\r\nb", "ends ", "\"", &"x".repeat(71)] {
        assert_eq!(builder.set_boundary(boundary.as_bytes()), Err(BuildError::Boundary));
    }
}

#[test]
fn parts_within_parts_are_bounded() {
    let mut builder = Builder::new("r");
    for depth in 0..BUILD_DEPTH_MAX {
        let mut outer = Builder::new(&format!("r{depth}"));
        outer.append(&builder).expect("below the limit");
        builder = outer;
    }
    assert_eq!(Builder::new("r").append(&builder), Err(BuildError::TooMany));
}

#[test]
fn types_bring_no_fields_of_their_own() {
    let mut builder = Builder::new("r");
    builder.set_type(b"text/plain\r\nX-Type: 1").expect("no parts");
    builder.set_disposition(b"inline\r\nX-Disposition: 1");
    builder.set_file_name("a\r\nX-Name: 1");
    let message = Message::parse(builder.to_bytes()).expect("small");
    let names: Vec<_> = message.root().header_names().collect();
    let expected =
        [&b"mime-version"[..], b"content-type", b"content-disposition", b"content-transfer-encoding"];
    assert_eq!(names, expected);
}

#[test]
fn lines_that_end_in_lf_are_no_line_ends_to_be_escaped() {
    let written = |set: &dyn Fn(&mut Builder)| {
        let mut builder = Builder::new("r");
        set(&mut builder);
        builder.set_body(Bytes::from_static(b"hello\nworld\n")).expect("no parts");
        let text = text(&builder);
        text.split_once("\r\n\r\n").expect("a blank line").1.to_owned()
    };
    assert_eq!(written(&|_| {}), "hello\r\nworld\r\n");
    assert_eq!(written(&|builder| builder.set_type(b"TEXT/html").expect("no parts")), "hello\r\nworld\r\n");
    let add = |builder: &mut Builder, name: &str, value: &str| {
        builder.add_header(name.as_bytes(), value.as_bytes(), ValueForm::Encode).expect("a good name");
    };
    assert_eq!(written(&|builder| add(builder, "Content-Type", "text/x")), "hello\r\nworld\r\n");
    // What is no text comes back byte for byte.
    assert_eq!(written(&|builder| add(builder, "Content-Type", "image/x")), "hello=0Aworld=0A");
    assert_eq!(written(&|builder| add(builder, "Content-Transfer-Encoding", "7bit")), "hello\r\nworld\r\n");
    let part = || Bytes::from_static(b"X: 1\n\none\n");
    let multipart = written(&|builder| builder.append_raw(part()).expect("room"));
    assert_eq!(multipart, "hello\r\nworld\r\n\r\n--r\r\nX: 1\r\n\r\none\r\n\r\n--r--\r\n");
}

#[test]
fn utf_16_is_not_taken_for_lines() {
    let mut builder = Builder::new("r");
    builder.set_type(b"text/plain; charset=utf-16be").expect("no parts");
    builder.set_body(Bytes::from_static(b"\0a\0\n")).expect("no parts");
    let message = Message::parse(builder.to_bytes()).expect("small");
    assert_eq!(message.root().body().as_ref(), b"\0a\0\n");
}

/// It was multipart without a boundary: nobody could take it apart.
#[test]
fn a_type_that_was_added_gets_the_boundary_too() {
    for (value, form) in [
        ("multipart/mixed", ValueForm::Encode),
        ("multipart/mixed;", ValueForm::Verbatim),
        ("multipart/report;\r\n\treport-type=x", ValueForm::Verbatim),
    ] {
        let mut builder = Builder::new("r");
        builder.add_header(b"content-type", value.as_bytes(), form).expect("a good name");
        builder.append_raw(Bytes::from_static(b"\r\none")).expect("room");
        let message = Message::parse(builder.to_bytes()).expect("small");
        let root = message.root();
        assert_eq!(root.type_parameter("boundary").as_deref(), Some("r"), "{}", text(&builder));
        assert_eq!((root.children().count(), root.defects().count()), (1, 0), "{}", text(&builder));
    }
}

/// One part became two.
#[test]
fn a_boundary_that_is_a_line_of_the_content_is_refused() {
    let refused = Err(BuildError::BoundaryLine);
    let child = || Bytes::from_static(b"\r\none\r\n--bb\r\ntwo");
    let with_boundary = || {
        let mut builder = Builder::new("r");
        builder.set_boundary(b"bb").expect("a boundary");
        builder
    };
    assert_eq!(with_boundary().append_raw(child()), refused);
    let mut builder = with_boundary();
    builder.set_body(Bytes::from_static(b"x\n--bb\n")).expect("no parts");
    assert_eq!(builder.append_raw("\r\none".into()), refused, "it would stand before the parts");
    builder.set_body(Bytes::new()).expect("no parts");
    builder.append_raw("\r\none".into()).expect("now it does not");
    assert_eq!(builder.set_body(Bytes::from_static(b"--bb--")), refused);
    let mut builder = Builder::new("r");
    builder.append_raw(child()).expect("another boundary");
    let before = text(&builder);
    assert_eq!(builder.set_boundary(b"bb"), refused);
    assert_eq!(builder.set_type(b"multipart/mixed; boundary=bb"), refused);
    assert_eq!(
        builder.add_header(b"Content-Type", b"multipart/x; boundary=bb", ValueForm::Verbatim),
        refused
    );
    assert_eq!(text(&builder), before);
    // What is encoded has no such line.
    let mut part = Builder::new("r2");
    part.set_body(Bytes::from_static(b"one\n--bb\n")).expect("no parts");
    let mut builder = with_boundary();
    builder.set_type(b"multipart/mixed").expect("no parts");
    builder.append(&part).expect("it is hidden");
    let message = Message::parse(builder.to_bytes()).expect("small");
    let children: Vec<_> = message.root().children().collect();
    assert_eq!((children.len(), &*children[0].body()), (1, &b"one\r\n--bb\r\n"[..]));
}

/// It was quoted-printable, which a reader may not undo there.
#[test]
fn a_message_is_not_encoded() {
    for (body, encoding) in [("Subject: a=b\n\nx\n", "7bit"), ("Subject: a=b\n\n\u{e9}\n", "8bit")] {
        let mut builder = Builder::new("r");
        builder.set_type(b"message/rfc822").expect("no parts");
        builder.set_body(Bytes::from(body)).expect("no parts");
        let written = text(&builder);
        let (head, content) = written.split_once("\r\n\r\n").expect("a blank line");
        assert_eq!(content, body.replace('\n', "\r\n"));
        assert!(head.ends_with(&format!("Content-Transfer-Encoding: {encoding}")), "{head}");
    }
}
