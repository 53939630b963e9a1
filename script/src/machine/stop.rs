//! What a debugger sees: a script that stands at a breakpoint, or at an error.

use std::rc::Rc;

use data_encoding::BASE64;

use crate::compile::op::NO_REG;
use crate::fault::{Fault, FaultKind};
use crate::host::PendingCall;
use crate::limits::{SHOWN_DEPTH, SHOWN_TEXT_BYTES, SHOWN_VALUE_BYTES, SHOWN_VALUES_BYTES};
use crate::source::{SourceMap, Span};
use crate::value::{Array, Key, Object, Value};

use super::context::{Context, Flow, Next, Outcome};
use super::frame::Entry;

/// A script that waits for a debugger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The id of the breakpoint; empty: it stands at an error.
    pub id: String,
    /// The variables of the function, as JSON: an object by name, of objects with `format` and `value`. `format` is `json`,
    /// or `base64` for text that is not UTF-8. At an error there is `__throw` too, with `uncaught` and `message` beside them.
    pub values: String,
    /// The statement that comes next, or where the error is.
    pub range: Option<Range>,
    /// The calls that led here, innermost first.
    pub calls: Vec<StopCall>,
}

/// A part of a source: lines and columns from 1, the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Range {
    pub file: String,
    pub begin_line: u32,
    pub begin_column: u32,
    pub end_line: u32,
    pub end_column: u32,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopCall {
    /// The function, or the name of the source for its top level.
    pub function: String,
    /// Where in it.
    pub range: Range,
}

/// What a context does for its debugger.
pub(super) struct Debugging {
    /// Whose breakpoints count; `None`: all.
    stage: Option<Rc<str>>,
    /// The fault that is on its way was looked at.
    seen: bool,
}

impl Context {
    /// Stops, before the first [`run`](Self::run), at the breakpoints of a stage (of all stages without one), and at every error,
    /// whether it is caught or not: with [`PendingCall::Stop`]. The program was compiled with
    /// [`BreakPoints::Allowed`](crate::compile::BreakPoints::Allowed), else only errors stop it.
    pub fn debug(&mut self, stage: Option<Rc<str>>) {
        self.debugging = Some(Box::new(Debugging { stage, seen: false }));
    }

    pub(super) fn break_point(&mut self, stage: u16, id: u16) -> Result<Flow, Fault> {
        let Some(debugging) = &self.debugging else { return Ok(Flow::Go) };
        let (stage, id) = (self.name(stage), self.name(id));
        if debugging.stage.as_ref().is_some_and(|own| own.as_bytes() != stage.as_bytes()) {
            return Ok(Flow::Go);
        }
        let stop = self.stop_here(id.to_string_lossy().into_owned(), None);
        self.expect(NO_REG);
        self.settle(Outcome::Pending(PendingCall::Stop(Box::new(stop))))
    }

    /// Shows a fault to the debugger, once; the error: there is nothing to show.
    pub(super) fn look_at(&mut self, fault: Fault) -> Result<PendingCall, Fault> {
        let Some(debugging) = &mut self.debugging else { return Err(fault) };
        if std::mem::take(&mut debugging.seen) || !fault.is_catchable() || self.entries.is_empty() {
            return Err(fault);
        }
        let stop = self.stop_here(String::new(), Some(&fault));
        self.next = Next::Held(fault);
        Ok(PendingCall::Stop(Box::new(stop)))
    }

    /// The next fault is one that the debugger knows.
    pub(super) fn shown_to_debugger(&mut self) {
        if let Some(debugging) = &mut self.debugging {
            debugging.seen = true;
        }
    }

    fn stop_here(&self, id: String, fault: Option<&Fault>) -> Stop {
        let sources = &self.loaded.program.sources;
        let calls: Vec<StopCall> = self
            .stack()
            .into_iter()
            .map(|call| StopCall { function: call.function, range: Range::new(sources, call.place.span) })
            .collect();
        let mut values = Values { out: "{".to_owned() };
        if let Some(fault) = fault {
            values.thrown(fault, !self.is_handled(fault));
        }
        for (name, value) in self.variables() {
            values.variable(&name, &value);
        }
        values.out.push('}');
        Stop { id, values: values.out, range: calls.first().map(|call| call.range.clone()), calls }
    }

    /// The variables of the innermost function that have a value.
    fn variables(&self) -> Vec<(Rc<str>, Value)> {
        let innermost = self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Script(frame) => Some(frame),
            Entry::Native(_) => None,
        });
        let Some(frame) = innermost else { return Vec::new() };
        let names = &self.loaded.protos[frame.proto as usize].proto.names;
        let registers = &self.stacks.values[frame.base as usize..];
        let named = names.iter().zip(registers).map(|(name, value)| {
            let value = match value {
                Value::Cell(cell) => cell.get(),
                value => value.clone(),
            };
            (Rc::from(&**name), value)
        });
        named.filter(|(_, value)| !matches!(value, Value::Undefined)).collect()
    }
}

impl Range {
    fn new(sources: &SourceMap, span: Span) -> Range {
        let file = sources.get(span.file);
        let (begin, end) = (file.position(span.start), file.position(span.end));
        Range {
            file: file.name.to_string(),
            begin_line: begin.line,
            begin_column: begin.column,
            end_line: end.line,
            end_column: end.column,
        }
    }
}

/// The object of all variables, while it is written. It ends at its limit, however much there is.
struct Values {
    out: String,
}

impl Values {
    fn variable(&mut self, name: &str, value: &Value) {
        self.name(name);
        self.formatted(value);
        self.out.push('}');
    }

    /// What was thrown, in the form of a variable.
    fn thrown(&mut self, fault: &Fault, uncaught: bool) {
        self.name("__throw");
        match fault.kind() {
            FaultKind::Thrown(value) => self.formatted(value),
            _ => self.formatted(&fault.to_string().as_str().into()),
        }
        let message = short(fault.to_string().as_bytes());
        self.out.push_str(&format!(",\"uncaught\":{uncaught},\"message\":{message}}}"));
    }

    fn name(&mut self, name: &str) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        self.out.push_str(&quoted(name.as_bytes()));
        self.out.push_str(":{");
    }

    fn formatted(&mut self, value: &Value) {
        let (format, shown) = match value {
            _ if self.out.len() >= SHOWN_VALUES_BYTES => ("json", "\"...\"".to_owned()),
            Value::Str(bytes) if std::str::from_utf8(bytes.as_bytes()).is_err() => {
                let bytes = bytes.as_bytes();
                ("base64", BASE64.encode(&bytes[..bytes.len().min(SHOWN_TEXT_BYTES)]))
            }
            value => {
                let mut json = Json { out: String::new() };
                json.value(value, 0);
                ("json", json.out)
            }
        };
        self.out.push_str(&format!("\"format\":\"{format}\",\"value\":{}", quoted(shown.as_bytes())));
    }
}

/// One value, while it is written.
struct Json {
    out: String,
}

impl Json {
    fn is_full(&self) -> bool {
        self.out.len() >= SHOWN_VALUE_BYTES
    }

    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::None | Value::Undefined => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Str(bytes) => self.out.push_str(&short(bytes.as_bytes())),
            Value::Array(array) if depth < SHOWN_DEPTH => self.array(array, depth + 1),
            Value::Object(object) if depth < SHOWN_DEPTH => self.object(object, depth + 1),
            Value::Cell(cell) => cell.with(|value| self.value(value, depth)),
            Value::Number(number) if number.is_finite() => {
                let shown = value.describe().unwrap_or_default();
                self.out.push_str(&shown);
            }
            Value::Array(array) => self.out.push_str(&format!("\"array of {}\"", array.len())),
            other => {
                let shown = other.describe().unwrap_or_else(|| other.type_name().to_owned());
                self.out.push_str(&short(shown.as_bytes()));
            }
        }
    }

    fn array(&mut self, array: &Array, depth: usize) {
        let is_list = array.is_list();
        self.out.push(if is_list { '[' } else { '{' });
        for (index, (key, value)) in array.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            if self.is_full() {
                let more = format!("\"... {} more\"", array.len() - index);
                self.out.push_str(&if is_list { more } else { format!("{more}:null") });
                break;
            }
            if !is_list {
                self.key(&key);
            }
            self.value(&value, depth);
        }
        self.out.push(if is_list { ']' } else { '}' });
    }

    fn key(&mut self, key: &Key) {
        let shown = match key {
            Key::Int(number) => format!("\"{number}\""),
            Key::Str(bytes) => short(bytes.as_bytes()),
            Key::Other(Value::Array(array)) => format!("\"array of {}\"", array.len()),
            Key::Other(value) => short(value.describe().unwrap_or_default().as_bytes()),
        };
        self.out.push_str(&shown);
        self.out.push(':');
    }

    /// The properties of an instance; of an object of the host what it says of itself.
    fn object(&mut self, object: &Object, depth: usize) {
        let Some(instance) = object.as_instance() else {
            let shown = Value::Object(object.clone()).describe();
            let shown = shown.unwrap_or_else(|| object.class_name());
            return self.out.push_str(&short(shown.as_bytes()));
        };
        self.out.push('{');
        let fields = instance.fields.borrow();
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            if self.is_full() {
                self.out.push_str("\"...\":null");
                break;
            }
            self.out.push_str(&short(name.as_bytes()));
            self.out.push(':');
            self.value(value, depth);
        }
        self.out.push('}');
    }
}

/// A string of JSON. Bytes that are not UTF-8 become U+FFFD.
fn quoted(text: &[u8]) -> String {
    serde_json::Value::String(String::from_utf8_lossy(text).into_owned()).to_string()
}

/// The same, and the end of a long text is left out.
fn short(text: &[u8]) -> String {
    match text.get(..SHOWN_TEXT_BYTES) {
        Some(start) if text.len() > SHOWN_TEXT_BYTES => quoted(&[start, b"..."].concat()),
        _ => quoted(text),
    }
}
