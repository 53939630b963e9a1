//! Writes `docs/reference/control-protocol.md` from the table of commands and the proto files with their comments.

use std::collections::HashMap;
use std::fmt::Write;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use crate::command::TABLE;

const INTRODUCTION: &str = "# Control protocol

<!-- Generated from control/src/command.rs and control/proto by `UPDATE_DOCS=1 cargo test -p control`. Do not edit. -->

What clients say to `smtpd` over its control socket, a Unix socket or a TCP port with or without TLS. The messages are
Protobuf (proto3); the files in `control/proto` can be compiled for any language. There is no authentication in the
protocol: who can open the socket has full control.

    request    = [ major:u8 minor:u8 ] command:u8 [ length:u64 body ]
    response   = status:u8 length:u64 payload

Lengths are little-endian. A version is needed before the first command, and may stand before each; any byte below 0x20
where a command is expected begins one. Majors 5 and 6 are taken. `length` and `body` follow only where the table has a request.
`status` is `+` (the payload is the message of the table, or empty), `E` (a text that says why not) or `=` (comes before the
answer: what a script of the live stage wrote, or an event of a trace). Requests are answered in order, one response each.
After a letter that is not in the table, or a length over 256 MiB, the server answers `E` and closes, as nobody knows
where the next request begins.

Fields are numbered from 1 in the order of the documented names, which are public where the numbers of the original are
not. Commands with a digit, and fields from 100 on, are this project's own.

## Commands

| Command | Request | Answer | Purpose |
|---|---|---|---|
";

/// The document.
pub(super) fn reference(files: &[FileDescriptorProto]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for row in TABLE {
        let message = |name: Option<&str>| {
            name.map_or("–".to_owned(), |name| format!("[{name}](#{})", name.to_lowercase()))
        };
        let letter = char::from(row.letter);
        let (request, answer) = (message(row.request), message(row.response));
        let _ = writeln!(text, "| `{letter}` | {request} | {answer} | {} |", row.purpose);
    }
    text.push_str("\n## Messages\n");
    for file in files {
        let comments = Comments::of(file);
        for (index, message) in (0..).zip(&file.message_type) {
            section(&mut text, message, "", &[MESSAGE, index], &comments);
        }
        for (index, values) in (0..).zip(&file.enum_type) {
            enumeration(&mut text, values, "", &[ENUM, index], &comments);
        }
    }
    text
}

// Numbers of fields in descriptor.proto, of which the paths of comments are made.
const MESSAGE: i32 = 4;
const ENUM: i32 = 5;
const FIELD: i32 = 2;
const NESTED: i32 = 3;
const NESTED_ENUM: i32 = 4;
const VALUE: i32 = 2;

struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations.filter_map(|location| {
            let comment = location.leading_comments.as_ref()?;
            let words: Vec<&str> = comment.split_whitespace().collect();
            Some((location.path.clone(), words.join(" ")))
        });
        Self(comments.collect())
    }

    fn at(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }
}

fn section(text: &mut String, message: &DescriptorProto, parent: &str, path: &[i32], comments: &Comments) {
    // A map is written as one at its field.
    if is_map(message) {
        return;
    }
    let name = format!("{parent}{}", message.name());
    let _ = writeln!(text, "\n### {name}\n");
    if !comments.at(path).is_empty() {
        let _ = writeln!(text, "{}\n", comments.at(path));
    }
    if message.field.is_empty() {
        text.push_str("No fields.\n");
    } else {
        text.push_str("| # | Field | Type | Meaning |\n|---|---|---|---|\n");
    }
    for (index, field) in (0..).zip(&message.field) {
        let comment = comments.at(&[path, &[FIELD, index]].concat()).to_owned();
        let number = field.number();
        let _ = writeln!(text, "| {number} | `{}` | {} | {comment} |", field.name(), type_of(field, message));
    }
    let below = format!("{name}.");
    for (index, nested) in (0..).zip(&message.nested_type) {
        section(text, nested, &below, &[path, &[NESTED, index]].concat(), comments);
    }
    for (index, nested) in (0..).zip(&message.enum_type) {
        enumeration(text, nested, &below, &[path, &[NESTED_ENUM, index]].concat(), comments);
    }
}

fn enumeration(
    text: &mut String,
    values: &EnumDescriptorProto,
    parent: &str,
    path: &[i32],
    comments: &Comments,
) {
    let comment = comments.at(path);
    let _ = writeln!(text, "\n### {parent}{}\n", values.name());
    if !comment.is_empty() {
        let _ = writeln!(text, "{comment}\n");
    }
    text.push_str("| # | Value | Meaning |\n|---|---|---|\n");
    for (index, value) in (0..).zip(&values.value) {
        let comment = comments.at(&[path, &[VALUE, index]].concat());
        let _ = writeln!(text, "| {} | `{}` | {comment} |", value.number(), value.name());
    }
}

fn type_of(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let name = match field.r#type() {
        Type::Message | Type::Enum => {
            let full = field.type_name().trim_start_matches(".smtpd.");
            let short = full.rsplit('.').next().unwrap_or(full);
            if let Some(entry) =
                message.nested_type.iter().find(|nested| nested.name() == short && is_map(nested))
            {
                let value = entry.field.get(1).map(|value| type_of(value, message)).unwrap_or_default();
                return format!("map of string to {value}");
            }
            format!("[{full}](#{})", full.to_lowercase().replace('.', ""))
        }
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    match (field.label(), field.proto3_optional(), field.oneof_index) {
        (Label::Repeated, ..) => format!("repeated {name}"),
        (_, true, _) => format!("optional {name}"),
        (_, _, Some(index)) => {
            let choice =
                message.oneof_decl.get(usize::try_from(index).unwrap_or(0)).map_or("", |one| one.name());
            format!("{name}, or another {choice}")
        }
        _ => name,
    }
}

fn is_map(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}
