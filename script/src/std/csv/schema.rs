//! What the cells of a column mean.

use crate::fault::Fault;
use crate::value::{Array, Key, Str, Value};

/// The columns that are more than text, by name.
#[derive(Debug, Default)]
pub(super) struct Schema(Vec<(Key, Column)>);

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    kind: Kind,
    /// The texts that mean none.
    nulls: Vec<Str>,
}

#[derive(Debug)]
enum Kind {
    Text,
    Number,
    Boolean { yes: Vec<Str>, no: Vec<Str> },
}

impl Schema {
    pub(super) fn new(schema: Option<Array>) -> Result<Schema, Fault> {
        let Some(schema) = schema else { return Ok(Schema::default()) };
        let columns = schema.iter().map(|(key, value)| {
            let description =
                value.as_array().ok_or_else(|| Fault::error("each column of a schema must be an array"))?;
            Ok((key, Column::new(description)?))
        });
        columns.collect::<Result<_, Fault>>().map(Schema)
    }

    pub(super) fn column(&self, name: &Key) -> Option<&Column> {
        self.0.iter().find(|(key, _)| same(key, name)).map(|(_, column)| column)
    }
}

fn same(a: &Key, b: &Key) -> bool {
    match (a, b) {
        (Key::Int(a), Key::Int(b)) => a == b,
        (Key::Str(a), Key::Str(b)) => a == b,
        _ => false,
    }
}

impl Column {
    fn new(description: &Array) -> Result<Column, Fault> {
        let kind = match description.get_str("type") {
            None | Some(Value::None) => Kind::Text,
            Some(kind) => match kind.as_bytes() {
                Some(b"string") => Kind::Text,
                Some(b"number") => Kind::Number,
                Some(b"boolean") => Kind::Boolean {
                    yes: texts(description, "true", "true")?,
                    no: texts(description, "false", "false")?,
                },
                _ => {
                    return Err(Fault::error(
                        "the type of a column must be \"string\", \"boolean\" or \"number\"",
                    ));
                }
            },
        };
        let nulls = match description.get_str("nullable") {
            None | Some(Value::None | Value::Bool(false)) => Vec::new(),
            Some(Value::Bool(true)) => vec![Str::new(b"")],
            Some(_) => texts(description, "nullable", "")?,
        };
        Ok(Column { kind, nulls })
    }

    /// The value of a cell; none if it has no meaning.
    pub(super) fn convert(&self, cell: &[u8]) -> Option<Value> {
        let among = |texts: &[Str]| texts.iter().any(|text| text.as_bytes() == cell);
        if among(&self.nulls) {
            return Some(Value::None);
        }
        match &self.kind {
            Kind::Text => Some(Value::from(Str::new(cell))),
            Kind::Number => number(cell).map(Value::from),
            Kind::Boolean { yes, .. } if among(yes) => Some(Value::from(true)),
            Kind::Boolean { no, .. } if among(no) => Some(Value::from(false)),
            Kind::Boolean { .. } => None,
        }
    }
}

/// A list of texts in the description of a column.
fn texts(description: &Array, name: &str, default: &str) -> Result<Vec<Str>, Fault> {
    let wrong = || Fault::error(format!("\"{name}\" of a column must be a list of strings"));
    match description.get_str(name) {
        None | Some(Value::None) => Ok(vec![Str::from(default)]),
        Some(value) => value
            .as_array()
            .ok_or_else(wrong)?
            .values()
            .map(|text| text.as_str().cloned().ok_or_else(wrong))
            .collect(),
    }
}

/// A decimal number and nothing else.
fn number(cell: &[u8]) -> Option<f64> {
    let allowed = cell.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
    std::str::from_utf8(cell).ok().filter(|_| allowed)?.parse().ok().filter(|number: &f64| number.is_finite())
}
