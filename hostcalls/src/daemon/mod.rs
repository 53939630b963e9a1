//! What only the mail server can do for its scripts: its transports, its queue, its connections (reference: hsl-stdlib 18, 20).

mod policy;
mod relinquish;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use fields::Property;
use ipnet::IpNet;
use net::dns::{Question, Resolved};
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Native, NativeRun};
use script::value::{Array, Key, Value};

use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture};
use crate::mail::Posted;
use crate::{Execution, numbers, smtp};

pub use policy::Limit;
pub use relinquish::Relinquish;

/// Who takes the messages that scripts queue: the mail server, from its own scripts and from hsh.
pub trait Post {
    /// Puts a message into the queue; the id of its transaction once it is durable. The error is a sentence.
    fn queue(&self, posted: Posted) -> Answer<Result<String, String>>;
}

/// The mail server around the scripts of a shard.
pub trait Daemon: Post {
    /// The server of a transport, by its id.
    ///
    /// # Errors
    /// Why there is none.
    fn transport(&self, id: &str) -> Result<smtp::Server, String>;

    /// The source address with this id (`addresses` of the configuration).
    ///
    /// # Errors
    /// Why there is none that a script's connections can come from.
    fn source(&self, id: &str) -> Result<smtp::Source, String>;

    /// What DNS says: asked once for all shards, and kept by the server for scripts and for its own needs.
    fn look_up(&self, question: Question) -> Answer<Resolved>;

    /// What counts for a quota, on all shards.
    fn quota(&self, name: String) -> Answer<QuotaUse>;

    /// Stops the pick-up of what matches; the id of the suspend in force.
    ///
    /// The error is a sentence about what cannot be.
    fn suspend(&self, suspend: Suspend) -> Answer<Result<String, String>>;

    /// Adds a condition to a policy; the id of the one in force.
    ///
    /// The error is a sentence about what cannot be.
    fn limit(&self, limit: Limit) -> Answer<Result<String, String>>;

    /// Removes a condition that was added; false: there is none with this id. None: nobody answers.
    fn unlimit(&self, id: String) -> Answer<Option<bool>>;

    /// Has attempts that match go back to their predelivery script once their way is known.
    ///
    /// The error is a sentence about what cannot be.
    fn relinquish(&self, wanted: Relinquish) -> Answer<Result<(), String>>;

    /// The fields, with their values, by which attempts go back to their scripts.
    fn relinquished(&self) -> Vec<Vec<(String, String)>>;

    /// Open connections of a server, those from a network or all; none: there is no such server.
    fn connections(&self, server: String, from: Option<IpNet>) -> Answer<Option<u64>>;
}

/// An answer that takes other shards.
pub type Answer<T> = Pin<Box<dyn Future<Output = T>>>;

/// What is not to be picked up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suspend {
    /// Values by field, by which it matches.
    pub fields: Vec<(String, String)>,
    /// How long it lives, in seconds.
    pub ttl_s: f64,
    /// Label; empty: none.
    pub tag: String,
    /// Its name; `None`: a new one.
    pub id: Option<String>,
    /// One that is equal lives on from now; `false`: it stays as it is.
    pub update: bool,
    /// Free data.
    pub properties: Vec<(String, Property)>,
}

/// What counts for a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUse {
    /// Queued items.
    pub count: u64,
    /// Bytes of their messages, each counted for every item of it.
    pub bytes: u64,
}

const QUOTA: u16 = numbers::DAEMON;
const CONCURRENCY: u16 = numbers::DAEMON + 1;
const SUSPEND: u16 = numbers::DAEMON + 2;
const LIMIT: u16 = numbers::DAEMON + 3;
const UNLIMIT: u16 = numbers::DAEMON + 4;
const RELINQUISH: u16 = numbers::DAEMON + 5;
const RELINQUISHED: u16 = numbers::DAEMON + 6;

pub(crate) static FAMILY: Family = Family {
    natives: &[
        Native {
            name: "queue_quota",
            params: "string name",
            doc: "How much is queued that counts for a quota: an array with count and bytes. Only inside the mail server.",
            min_args: 1,
            max_args: Some(1),
            run: NativeRun::Host(QUOTA),
        },
        Native {
            name: "queue_policy",
            params: "array fields, array condition, array policy, number ttl [, array options]",
            doc: "Adds a condition to the policy with these fields, for so many seconds: an array with the id, or none on errors, \
                  which the log has. Policy: concurrency, rate ([messages, seconds]), connectinterval, stop, cluster, tag, \
                  properties. One with an equal condition is renewed. Options: update (true), id, type (dynamic, warmup, \
                  backoff). Only inside the mail server.",
            min_args: 4,
            max_args: Some(5),
            run: NativeRun::Host(LIMIT),
        },
        Native {
            name: "queue_policy_delete",
            params: "string id",
            doc: "Removes a condition that was added: true when there was one. Only inside the mail server.",
            min_args: 1,
            max_args: Some(1),
            run: NativeRun::Host(UNLIMIT),
        },
        Native {
            name: "queue_relinquish",
            params: "array fields, number ttl [, array options]",
            doc: "Has attempts that match all the fields go back to predelivery, for so many seconds, when their host and \
                  addresses are known. Fields: as queue_suspend. Options: update (true), return (what predelivery then finds in \
                  $arguments[\"queue\"][\"plugin\"][\"return\"]). Only inside the mail server. Also in extras://queue-relinquish.",
            min_args: 2,
            max_args: Some(3),
            run: NativeRun::Host(RELINQUISH),
        },
        Native {
            name: "queue_relinquish_enabled",
            params: "",
            doc: "What queue_relinquish has in force: a list of fields with their values. Only inside the mail server. Also in \
                  extras://queue-relinquish.",
            min_args: 0,
            max_args: Some(0),
            run: NativeRun::Host(RELINQUISHED),
        },
        Native {
            name: "queue_suspend",
            params: "array fields, number ttl [, array options]",
            doc: "Stops the pick-up of what matches all the fields, for so many seconds: an array with the id, or none on errors, \
                  which the log has. Fields: tenantid, jobid, transportid, localip, grouping, remoteip, remotemx, \
                  recipientdomain. One with equal fields is renewed. Options: tag, update (true), properties, id. Only inside \
                  the mail server.",
            min_args: 2,
            max_args: Some(3),
            run: NativeRun::Host(SUSPEND),
        },
        Native {
            name: "server_concurrency",
            params: "string serverid [, string address]",
            doc: "Open connections of a server, those from an address or network if one is given; none when there is no such \
                  server, as outside the mail server.",
            min_args: 1,
            max_args: Some(2),
            run: NativeRun::Host(CONCURRENCY),
        },
    ],
    host: &[
        HostFunction { number: QUOTA, run: quota },
        HostFunction { number: CONCURRENCY, run: concurrency },
        HostFunction { number: SUSPEND, run: suspend },
        HostFunction { number: LIMIT, run: policy::add },
        HostFunction { number: UNLIMIT, run: policy::delete },
        HostFunction { number: RELINQUISH, run: relinquish::add },
        HostFunction { number: RELINQUISHED, run: relinquish::enabled },
    ],
    ..Family::EMPTY
};

fn daemon<'e>(execution: &'e Execution, call: &HostCall) -> Result<&'e Rc<dyn Daemon>, Fault> {
    let daemon = execution.environment.daemon();
    daemon.ok_or_else(|| call.error("works only inside the mail server"))
}

fn quota(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let name = call.str(0)?.to_string_lossy().into_owned();
        let usage = daemon(&execution, &call)?.quota(name).await;
        let mut array = Array::new();
        array.set_str("count", usage.count as f64);
        array.set_str("bytes", usage.bytes as f64);
        Ok(array.into())
    })
}

fn suspend(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let fields = call.arg(0).as_array().ok_or_else(|| call.wrong(0, "an array"))?;
        let ttl_s = call.number(1)?;
        if !(ttl_s > 0.0 && ttl_s.is_finite()) {
            return Err(call.wrong(1, "a number of seconds above 0"));
        }
        let options = call.options(2)?;
        let text = |name: &str| -> Result<Option<String>, Fault> {
            Ok(options.str(name)?.map(|text| text.to_string_lossy().into_owned()))
        };
        let wanted = Suspend {
            fields: texts(fields)?,
            ttl_s,
            tag: text("tag")?.unwrap_or_default(),
            id: text("id")?,
            update: options.boolean("update", true)?,
            properties: properties(&call, &options.array("properties")?.unwrap_or_default())?,
        };
        let added = daemon(&execution, &call)?.suspend(wanted).await;
        Ok(told(&execution, "queue_suspend", added))
    })
}

/// An array with the id of the rule in force; none where it could not be, which the log has.
fn told(execution: &Execution, function: &str, added: Result<String, String>) -> Value {
    match added {
        Ok(id) => {
            let mut array = Array::new();
            array.set_str("id", id);
            array.into()
        }
        Err(why) => {
            execution.log().syslog(WARNING, format!("{function}(): {why}").as_bytes());
            Value::None
        }
    }
}

/// Priority of syslog(3).
const WARNING: u32 = 4;

fn texts(array: &Array) -> Result<Vec<(String, String)>, Fault> {
    array.iter().map(|(key, value)| Ok((text_of(&key.into_value())?, text_of(&value)?))).collect()
}

fn text_of(value: &Value) -> Result<String, Fault> {
    Ok(value.to_text()?.to_string_lossy().into_owned())
}

fn properties(call: &HostCall, array: &Array) -> Result<Vec<(String, Property)>, Fault> {
    let property = |value: Value| match value {
        Value::Str(text) => Ok(Property::Text(text.to_string_lossy().into_owned())),
        Value::Number(number) => Ok(Property::Number(number)),
        Value::Bool(flag) => Ok(Property::Bool(flag)),
        other => Err(call.error(format_args!("option \"properties\": a {} in it", other.type_name()))),
    };
    let entry = |(key, value): (Key, Value)| -> Result<(String, Property), Fault> {
        Ok((text_of(&key.into_value())?, property(value)?))
    };
    array.iter().map(entry).collect()
}

fn concurrency(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let server = call.str(0)?.to_string_lossy().into_owned();
        let from = match call.opt_str(1)? {
            None => None,
            Some(text) => {
                Some(network(&text.to_string_lossy()).ok_or_else(|| call.wrong(1, "an address or network"))?)
            }
        };
        let Some(daemon) = execution.environment.daemon() else { return Ok(Value::None) };
        let open = daemon.connections(server, from).await;
        Ok(open.map_or(Value::None, |open| (open as f64).into()))
    })
}

/// An address is a network of its own.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(address)
}

#[cfg(test)]
mod tests {
    use crate::Settings;
    use crate::on_engine::{on_a_shard, result};

    /// Scripts that count can be tried in hsh.
    #[test]
    fn without_a_server_there_is_nothing_to_count_and_nobody_is_connected() {
        on_a_shard(Settings::default(), |environment| async move {
            for source in [
                r#"return metrics_increment("sent", ["to" => "x"]) === none;"#,
                r#"return metrics_decrement("sent", []) === none;"#,
                r#"return metrics_set("sent", [], 5) === none;"#,
                r#"return metrics_get("sent", []) === none;"#,
                r#"return server_concurrency("default") === none;"#,
                r#"return server_concurrency("default", "192.0.2.0/24") === none;"#,
            ] {
                assert_eq!(result(&environment, source).await, "true", "{source}");
            }
            let wrong = result(&environment, r#"server_concurrency("default", "x");"#).await;
            assert!(wrong.contains("an address or network"), "{wrong}");
        });
    }
}
