//! What the databases have in common.

use script::fault::Fault;
use script::host::HostCall;
use script::value::Value;

use crate::arguments::Arguments;

/// A value that a statement has a place for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Param {
    Text(Vec<u8>),
    Number(f64),
    Bool(bool),
    Null,
}

impl Param {
    /// As a text; none: NULL.
    pub(super) fn text(&self) -> Option<Vec<u8>> {
        match self {
            Param::Text(text) => Some(text.clone()),
            // The text of a number is exact.
            Param::Number(number) => Some(number.to_string().into_bytes()),
            Param::Bool(bool) => Some(bool.to_string().into_bytes()),
            Param::Null => None,
        }
    }
}

/// The statement that an argument is.
pub(super) fn statement(call: &HostCall, index: usize) -> Result<String, Fault> {
    let text = call.str(index)?;
    let text = std::str::from_utf8(text.as_bytes()).map_err(|_| call.error("the query is not UTF-8"))?;
    Ok(text.to_owned())
}

/// The parameters of a call.
pub(super) fn params(call: &HostCall, index: usize) -> Result<Vec<Param>, Fault> {
    let params = call.opt_array(index)?.unwrap_or_default();
    let param = |value: Value| match &value {
        Value::Str(text) => Ok(Param::Text(text.as_bytes().to_vec())),
        Value::Number(number) => Ok(Param::Number(*number)),
        Value::Bool(bool) => Ok(Param::Bool(*bool)),
        Value::None => Ok(Param::Null),
        other => {
            let what = other.type_name();
            Err(call.error(format_args!("a parameter is a string, number, boolean or none, not {what}")))
        }
    };
    params.values().map(param).collect()
}
