//! What the fuzz targets of messages check, shared with the test that replays their corpora. Uses the public interface
//! only.
#![allow(unreachable_pub, dead_code)] // a module of several programs; each uses its own part

use bytes::Bytes;
use mail::address;
use mail::delta::{Delta, Now};
use mail::header::{self, Parameterised};
use mail::limits::{DEPTH_MAX, FIELDS_MAX, PARTS_MAX};
use mail::message::{EditError, Message, PartView, Place, ValueForm};
use mail::mime::PartId;

/// Any bytes are a message: every getter answers, parsing looks at each byte a few times at most, and without changes the
/// same bytes are written. The last bytes say which changes are made; those give a delta that is read back as it is
/// stored.
pub fn message(data: &[u8]) {
    let mut message = Message::parse(data.to_vec()).expect("it is small");
    assert_eq!(message.to_bytes(Now::default()), data);
    assert!(message.structure().examined_bytes() <= 3 * data.len() as u64 + 3);
    assert!(message.structure().part_count() <= PARTS_MAX);
    let root = message.root();
    read(root);
    root.descendants().for_each(read);
    let parts: Vec<PartId> =
        std::iter::once(root.id()).chain(root.descendants().map(|part| part.id())).collect();
    for pair in data.rchunks_exact(2).take(8) {
        let part = parts[usize::from(pair[1]) % parts.len()];
        match change(&mut message, pair[0], part) {
            Ok(()) | Err(EditError::RemoveRoot | EditError::Boundary) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let delta = message.delta();
    let written = message.to_bytes(Now::default());
    let stored = Bytes::from(delta.encode());
    assert_eq!(Delta::decode(&stored).expect("it was just written"), delta);
    assert_eq!(delta.apply(data, Now::default()), written);
    message.reset();
    assert_eq!(message.to_bytes(Now::default()), data);
}

fn read(part: PartView<'_>) {
    let id = part.dotted_id();
    assert!(id.split('.').count() <= DEPTH_MAX + 1);
    assert_eq!(part.find(&id).map(|found| found.id()), Some(part.id()));
    for field in part.fields() {
        let (text, raw) = (part.text(field), part.raw_field(field));
        assert!(text.len() <= raw.len() * 4 && part.raw_value(field).len() < raw.len());
    }
    assert!(part.body().len() <= part.raw_body().len() && part.raw_body().len() <= part.size_bytes());
    let _ = (part.file_name(), part.media_type(), part.type_parameter("charset"));
    let around = part.preamble().unwrap_or_default().len() + part.epilogue().unwrap_or_default().len();
    assert!(around <= part.raw_body().len());
    assert!(part.defects().count() <= 3);
}

fn change(message: &mut Message, kind: u8, part: PartId) -> Result<(), EditError> {
    let content = Bytes::from_static(b"Content-Type: text/x\r\n\r\nnew");
    match kind % 12 {
        0 => message.add_header(part, b"X-New", b"new", ValueForm::Encode),
        1 => message.set_header(part, b"Subject", b"new", None, ValueForm::Verbatim).map(drop),
        2 => message.del_header(part, b"Content-Type", Some(usize::from(kind / 12))).map(drop),
        3 => message.rename_header(part, b"Subject", b"X-Subject").map(drop),
        4 => message.set_body(part, b"new \xff"),
        5 => message.insert_part(part, Place::First, content, Some("multipart/mixed"), "new"),
        6 => message.insert_part(part, Place::Last, content, None, "new"),
        7 => message.replace_part(part, content),
        8 => message.remove_part(part),
        9 => message.set_preamble(part, Bytes::from_static(b"new")).map(drop),
        10 => message.set_epilogue(part, Bytes::from_static(b"new")).map(drop),
        _ => message.modify_content(0, u64::from(kind / 12).min(message.original().len() as u64), content),
    }
}

/// Any bytes are a header value. Written as a field it stays one field, and a list of addresses says the same when it
/// is written anew.
pub fn header(data: &[u8]) {
    let text = header::decode_value(data, None);
    let parameters = Parameterised::parse(data);
    let _ = (parameters.get("name", Some(b"iso-8859-1")), parameters.format());
    for name in [&b"Subject"[..], b"To", b"Content-Disposition"] {
        for field in [header::encode_field(name, data), header::fold_verbatim(name, data)] {
            let message = [&field[..], b"\r\nbody"].concat();
            let mut fields = Vec::new();
            let section = header::scan(&message, 0, &mut fields, FIELDS_MAX, |_| false);
            assert_eq!((fields.len(), &message[section.body_start as usize..]), (1, &b"body"[..]));
        }
    }
    let encoded = header::encode_all(&text, 0);
    assert_eq!(header::decode_words(encoded.as_bytes(), None), text);
    if let Some(list) = address::parse_list(data) {
        assert_eq!(address::parse_list(address::compile(&list).as_bytes()), Some(list));
    }
    if let Some(parsed) = address::parse_envelope(data) {
        let local_part = address::escape_local_part(&parsed.local_part);
        let again = [&local_part[..], b"@", &parsed.domain[..]].concat();
        assert!(parsed.domain.is_empty() || address::parse_envelope(&again) == Some(parsed));
    }
}
