//! Messages as JSON, by the standard mapping: 64-bit integers are strings, enumerations are names. Names of fields are
//! those of the proto files.

use std::sync::OnceLock;

use control::Command;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions, Value};
use serde_json::ser::PrettyFormatter;

use crate::Failure;

/// A request. Fields that say nothing are left out.
pub(crate) fn request(command: Command, body: &[u8]) -> Result<String, Failure> {
    let Some(name) = command.row().request else { return Ok("{}\n".to_owned()) };
    Ok(text(&message(name, body)?, true)? + "\n")
}

/// An answer, with all its fields; `list` names the one that is printed instead of the whole.
pub(crate) fn response(command: Command, payload: &[u8], list: Option<&str>) -> Result<String, Failure> {
    let Some(name) = command.row().response else { return Ok("{}\n".to_owned()) };
    let message = message(name, payload)?;
    match list {
        None => Ok(text(&message, false)? + "\n"),
        Some(field) => {
            let mut array = Array::default();
            let items = array.items(&message, field)?;
            Ok(items + array.end())
        }
    }
}

/// A message that is no answer by itself, on one line.
pub(crate) fn line(name: &str, payload: &[u8]) -> Result<String, Failure> {
    let options = options(false);
    let mut json = serde_json::Serializer::new(Vec::new());
    message(name, payload)?.serialize_with_options(&mut json, &options).map_err(|error| failed(&error))?;
    Ok(String::from_utf8(json.into_inner()).map_err(|error| failed(&error))? + "\n")
}

/// An array that is written in pieces.
#[derive(Debug, Default)]
pub(crate) struct Array {
    begun: bool,
}

impl Array {
    /// The next piece: the items of a field of an answer.
    pub(crate) fn page(&mut self, command: Command, payload: &[u8], field: &str) -> Result<String, Failure> {
        let name = command.row().response.unwrap_or_default();
        self.items(&message(name, payload)?, field)
    }

    fn items(&mut self, message: &DynamicMessage, field: &str) -> Result<String, Failure> {
        let mut out = String::new();
        let value = message.get_field_by_name(field);
        let items = value.as_deref().and_then(Value::as_list).unwrap_or(&[]);
        for item in items {
            out.push_str(if self.begun { ",\n" } else { "[\n" });
            self.begun = true;
            let text = match item {
                Value::Message(message) => text(message, false)?,
                Value::String(text) => serde_json::to_string(text).map_err(|error| failed(&error))?,
                other => return Err(failed(&format!("no JSON for {other:?}"))),
            };
            for (index, line) in text.lines().enumerate() {
                if index > 0 {
                    out.push('\n');
                }
                out.push_str("  ");
                out.push_str(line);
            }
        }
        Ok(out)
    }

    /// What comes after the last piece.
    pub(crate) fn end(&self) -> &'static str {
        if self.begun { "\n]\n" } else { "[]\n" }
    }
}

fn message(name: &str, payload: &[u8]) -> Result<DynamicMessage, Failure> {
    let descriptor = descriptor(name)?;
    DynamicMessage::decode(descriptor, payload)
        .map_err(|error| failed(&format!("the server's answer makes no sense: {error}")))
}

fn descriptor(name: &str) -> Result<MessageDescriptor, Failure> {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        DescriptorPool::decode(control::DESCRIPTORS).expect("made together with the program, and tested")
    });
    pool.get_message_by_name(&format!("smtpd.{name}"))
        .ok_or_else(|| failed(&format!("there is no message {name}")))
}

fn options(skip_defaults: bool) -> SerializeOptions {
    SerializeOptions::new().use_proto_field_name(true).skip_default_fields(skip_defaults)
}

fn text(message: &DynamicMessage, skip_defaults: bool) -> Result<String, Failure> {
    let format = PrettyFormatter::with_indent(b"  ");
    let mut json = serde_json::Serializer::with_formatter(Vec::new(), format);
    message.serialize_with_options(&mut json, &options(skip_defaults)).map_err(|error| failed(&error))?;
    String::from_utf8(json.into_inner()).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(format!("no JSON: {error}"))
}
