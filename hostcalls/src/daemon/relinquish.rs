//! `queue_relinquish()` and `queue_relinquish_enabled()`: attempts that scripts want back once their way is known.

use std::rc::Rc;

use script::fault::Fault;
use script::host::HostCall;
use script::std::json::{JsonStyle, encode};
use script::value::{Array, Value};

use super::{WARNING, daemon, texts};
use crate::Execution;
use crate::arguments::Arguments;
use crate::library::HostFuture;

/// A way on which attempts go back to their predelivery script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relinquish {
    /// Values by field, by which it matches.
    pub fields: Vec<(String, String)>,
    /// How long it lives, in seconds.
    pub ttl_s: f64,
    /// One that is equal lives on from now; `false`: it stays as it is.
    pub update: bool,
    /// What the script finds, as JSON; `None`: nothing.
    pub value: Option<String>,
}

pub(super) fn add(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let wanted = wanted(&call)?;
        if let Err(why) = daemon(&execution, &call)?.relinquish(wanted).await {
            execution.log().syslog(WARNING, format!("queue_relinquish(): {why}").as_bytes());
        }
        Ok(Value::None)
    })
}

pub(super) fn enabled(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let all = daemon(&execution, &call)?.relinquished();
        let way = |fields: Vec<(String, String)>| -> Value {
            let mut array = Array::new();
            fields.into_iter().for_each(|(name, value)| array.set_str(&name, value));
            array.into()
        };
        Ok(Array::from_iter(all.into_iter().map(way)).into())
    })
}

fn wanted(call: &HostCall) -> Result<Relinquish, Fault> {
    let fields = call.arg(0).as_array().ok_or_else(|| call.wrong(0, "an array"))?;
    let ttl_s = call.number(1)?;
    if !(ttl_s > 0.0 && ttl_s.is_finite()) {
        return Err(call.wrong(1, "a number of seconds above 0"));
    }
    let fields = texts(fields)?;
    if let Some((unknown, _)) = fields.iter().find(|(name, _)| fields::Field::parse(name).is_none()) {
        return Err(call.error(format_args!("there is no field \"{unknown}\"")));
    }
    let options = call.options(2)?;
    let value = options.get("return").map(|value| json(call, &value)).transpose()?;
    Ok(Relinquish { fields, ttl_s, update: options.boolean("update", true)?, value })
}

fn json(call: &HostCall, value: &Value) -> Result<String, Fault> {
    let mut text = Vec::new();
    encode(value, JsonStyle { ensure_ascii: false, pretty_print: false }, &mut text)
        .map_err(|error| call.error(format_args!("option \"return\": {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
