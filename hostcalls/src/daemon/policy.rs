//! `queue_policy()` and `queue_policy_delete()`: conditions of policies that scripts add.

use std::rc::Rc;

use script::fault::Fault;
use script::host::HostCall;
use script::native::Options;
use script::value::{Array, Value};

use super::{Property, daemon, properties, text_of, texts, told};
use crate::Execution;
use crate::arguments::Arguments;
use crate::library::HostFuture;

/// A condition that a script adds to a policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limit {
    /// The fields of the policy.
    pub fields: Vec<String>,
    /// Values by field, by which it matches.
    pub condition: Vec<(String, String)>,
    /// Most open connections.
    pub concurrency: Option<u32>,
    /// Messages, in so many seconds.
    pub rate: Option<(u32, f64)>,
    /// Seconds between two connects.
    pub connect_interval_s: Option<f64>,
    /// Later policies are not looked at where it applies.
    pub stop: bool,
    /// It holds over the cluster.
    pub cluster: bool,
    /// Label; empty: none.
    pub tag: String,
    /// Free data.
    pub properties: Vec<(String, Property)>,
    /// How long it lives, in seconds.
    pub ttl_s: f64,
    /// Its name; `None`: a new one.
    pub id: Option<String>,
    /// One that is equal gets these limits, and lives on from now; `false`: it stays as it is.
    pub update: bool,
    /// `dynamic`, `warmup` or `backoff`.
    pub kind: String,
}

pub(super) fn add(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let limit = limit(&call)?;
        let added = daemon(&execution, &call)?.limit(limit).await;
        Ok(told(&execution, "queue_policy", added))
    })
}

pub(super) fn delete(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let id = call.str(0)?.to_string_lossy().into_owned();
        Ok(daemon(&execution, &call)?.unlimit(id).await.map_or(Value::None, Value::Bool))
    })
}

fn limit(call: &HostCall) -> Result<Limit, Fault> {
    let array = |index: usize| call.arg(index).as_array().ok_or_else(|| call.wrong(index, "an array"));
    let ttl_s = call.number(3)?;
    if !(ttl_s > 0.0 && ttl_s.is_finite()) {
        return Err(call.wrong(3, "a number of seconds above 0"));
    }
    let fields = array(0)?.iter().map(|(_, name)| text_of(&name)).collect::<Result<_, Fault>>()?;
    let (policy, options) = (Options::new(call.name, Some(array(2)?.clone())), call.options(4)?);
    let text = |options: &Options, name: &str| -> Result<Option<String>, Fault> {
        Ok(options.str(name)?.map(|text| text.to_string_lossy().into_owned()))
    };
    let seconds = |value: f64| (value >= 0.0 && value.is_finite()).then_some(value);
    let interval = number_of(call, &policy, "connectinterval")?;
    Ok(Limit {
        fields,
        condition: texts(array(1)?)?,
        concurrency: number_of(call, &policy, "concurrency")?.map(|count| count as u32),
        rate: policy.array("rate")?.map(|rate| rate_of(call, &rate)).transpose()?,
        connect_interval_s: interval.and_then(seconds),
        stop: policy.boolean("stop", false)?,
        cluster: policy.boolean("cluster", true)?,
        tag: text(&policy, "tag")?.unwrap_or_default(),
        properties: properties(call, &policy.array("properties")?.unwrap_or_default())?,
        ttl_s,
        id: text(&options, "id")?,
        update: options.boolean("update", true)?,
        kind: text(&options, "type")?.unwrap_or_else(|| "dynamic".to_owned()),
    })
}

/// `[messages, seconds]`; strings of digits are taken, too.
fn rate_of(call: &HostCall, rate: &Array) -> Result<(u32, f64), Fault> {
    let numbers: Vec<Option<f64>> = rate.iter().map(|(_, value)| numeric(&value)).collect();
    match numbers[..] {
        [Some(messages), Some(seconds)] if messages >= 0.0 && seconds > 0.0 && seconds.is_finite() => {
            Ok((messages as u32, seconds))
        }
        _ => Err(call.error("rate: not an array of a number of messages and a number of seconds")),
    }
}

fn number_of(call: &HostCall, options: &Options, name: &str) -> Result<Option<f64>, Fault> {
    match options.get(name) {
        None => Ok(None),
        Some(value) => match numeric(&value).filter(|number| *number >= 0.0) {
            Some(number) => Ok(Some(number)),
            None => Err(call.error(format_args!("{name}: not a number of 0 or more"))),
        },
    }
}

fn numeric(value: &Value) -> Option<f64> {
    match value {
        Value::Str(text) => text.to_string_lossy().trim().parse().ok(),
        other => other.as_number(),
    }
}
