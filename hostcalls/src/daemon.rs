//! What only the mail server can do for its scripts: its transports, its queue, its connections (reference: hsl-stdlib 18, 20).

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use ipnet::IpNet;
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Native, NativeRun};
use script::value::{Array, Value};

use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture};
use crate::mail::Posted;
use crate::{Execution, numbers, smtp};

/// The mail server around the scripts of a shard.
pub trait Daemon {
    /// The server of a transport; none: there is no such transport.
    fn transport(&self, id: &str) -> Option<smtp::Server>;

    /// Puts a message into the queue; the id of its transaction once it is durable. The error is a sentence.
    fn queue(&self, posted: Posted) -> Answer<Result<String, String>>;

    /// What counts for a quota, on all shards.
    fn quota(&self, name: String) -> Answer<QuotaUse>;

    /// Open connections of a server, those from a network or all; none: there is no such server.
    fn connections(&self, server: String, from: Option<IpNet>) -> Answer<Option<u64>>;
}

/// An answer that takes other shards.
pub type Answer<T> = Pin<Box<dyn Future<Output = T>>>;

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
            name: "server_concurrency",
            params: "string serverid [, string address]",
            doc: "Open connections of a server, those from an address or network if one is given; none when there is no such \
                  server. Only inside the mail server.",
            min_args: 1,
            max_args: Some(2),
            run: NativeRun::Host(CONCURRENCY),
        },
    ],
    host: &[
        HostFunction { number: QUOTA, run: quota },
        HostFunction { number: CONCURRENCY, run: concurrency },
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

fn concurrency(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let server = call.str(0)?.to_string_lossy().into_owned();
        let from = match call.opt_str(1)? {
            None => None,
            Some(text) => {
                Some(network(&text.to_string_lossy()).ok_or_else(|| call.wrong(1, "an address or network"))?)
            }
        };
        let open = daemon(&execution, &call)?.connections(server, from).await;
        Ok(open.map_or(Value::None, |open| (open as f64).into()))
    })
}

/// An address is a network of its own.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(address)
}
