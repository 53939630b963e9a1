//! `dns_query` and its older forms.

mod hosts;
mod kept;
mod resolver;
mod shared;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use net::dns::{DomainName, Record, RecordData, RecordKind};
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Native, NativeRun, Options};
use script::value::{Array, Value};

pub(crate) use hosts::addresses;
pub use resolver::{DnsError, DnsQuestion, DnsReply, Resolver};
pub use shared::reply;

use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture};
use crate::{Execution, limits, numbers};

/// `dns_query`, for those that ask on behalf of a script: arguments host, options.
pub const QUERY: u16 = numbers::DNS;
const LEGACY: u16 = numbers::DNS + 1;

pub(crate) static FAMILY: Family = Family {
    natives: &[
        Native {
            name: "dns_query",
            params: "string host [, array options]",
            doc: "Asks for DNS records; labels in other scripts as A-labels. Options: type (a, aaaa, mx, txt, cname, ns, ptr, soa), timeout, servers, port, \
                  extended_result. An array with dnssec, and either result or error. The result of a null MX (RFC 7505) is [\".\"].",
            min_args: 1,
            max_args: Some(2),
            run: NativeRun::Host(QUERY),
        },
        legacy("dns", "The records of a host, as a list; the option type says which. Use dns_query."),
        legacy("dns4", "The IPv4 addresses of a host. Use dns_query."),
        legacy("dns6", "The IPv6 addresses of a host. Use dns_query."),
        legacy("dnscname", "The name that a host is an alias of. Use dns_query."),
        legacy("dnsmx", "The mail exchangers of a domain. Use dns_query."),
        legacy("dnsns", "The name servers of a domain. Use dns_query."),
        legacy("dnsptr", "The names of an address. Use dns_query with inet_reverse."),
        legacy("dnstxt", "The texts of a name. Use dns_query."),
    ],
    host: &[HostFunction { number: QUERY, run: query }, HostFunction { number: LEGACY, run: legacy_query }],
    ..Family::EMPTY
};

const fn legacy(name: &'static str, doc: &'static str) -> Native {
    let params = "string host [, array options]";
    Native { name, params, doc, min_args: 1, max_args: Some(2), run: NativeRun::Host(LEGACY) }
}

fn query(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let options = call.options(1)?;
        let kind = kind_of(&call, &options)?;
        let question = question(&call, &options, call.str(0)?.as_bytes(), kind)?;
        let extended = options.boolean("extended_result", false)?;
        Ok(execution.environment.resolver.ask(&question).await.to_value(extended).into())
    })
}

/// A list; empty when there is nothing, none when that is not known. With `extended_result` as `dns_query`.
fn legacy_query(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let options = call.options(1)?;
        let kind = match call.name {
            "dns4" => RecordKind::A,
            "dns6" => RecordKind::Aaaa,
            "dnscname" => RecordKind::Cname,
            "dnsmx" => RecordKind::Mx,
            "dnsns" => RecordKind::Ns,
            "dnsptr" => RecordKind::Ptr,
            "dnstxt" => RecordKind::Txt,
            _ => kind_of(&call, &options)?,
        };
        let host = call.str(0)?;
        let address = std::str::from_utf8(host.as_bytes()).ok().and_then(|host| host.parse::<IpAddr>().ok());
        let reversed = address.filter(|_| kind == RecordKind::Ptr).map(DomainName::reverse);
        let name = reversed.as_ref().map_or(host.as_bytes(), |name| name.as_str().as_bytes());
        let extended = options.boolean("extended_result", false)?;
        let reply = execution.environment.resolver.ask(&question(&call, &options, name, kind)?).await;
        if extended {
            return Ok(reply.to_value(false).into());
        }
        Ok(match reply.records {
            Ok(records) => records.iter().map(|record| text_of(&record.data)).collect::<Vec<_>>().into(),
            Err(DnsError::NoDomain | DnsError::NoData) => Array::new().into(),
            Err(_) => Value::None,
        })
    })
}

fn kind_of(call: &HostCall, options: &Options) -> Result<RecordKind, Fault> {
    let Some(name) = options.str("type")? else { return Ok(RecordKind::A) };
    RecordKind::from_name(name.as_bytes()).ok_or_else(|| {
        let name = name.to_string_lossy();
        call.error(format!("unknown type \"{name}\"; known are a, aaaa, mx, txt, cname, ns, ptr and soa"))
    })
}

fn question(call: &HostCall, options: &Options, name: &[u8], kind: RecordKind) -> Result<DnsQuestion, Fault> {
    let port = match options.number("port")? {
        None => 53,
        Some(port) if (1.0..65536.0).contains(&port) => port as u16,
        Some(_) => return Err(call.error("option \"port\" must be from 1 to 65535")),
    };
    let mut servers = Vec::new();
    for server in options.array("servers")?.unwrap_or_default().values() {
        let address = server.as_str().and_then(|text| text.to_string_lossy().parse::<IpAddr>().ok());
        let address =
            address.ok_or_else(|| call.error("option \"servers\" must be a list of IP addresses"))?;
        servers.push(SocketAddr::new(address, port));
    }
    let timeout_s = options.number("timeout")?.unwrap_or(limits::DNS_TIMEOUT.as_secs_f64());
    let timeout = Duration::from_secs_f64(timeout_s.clamp(0.001, limits::DNS_TIMEOUT_MAX.as_secs_f64()));
    Ok(DnsQuestion { timeout, servers, ..DnsQuestion::new(name, kind) })
}

impl DnsReply {
    /// What `dns_query` gives.
    pub fn to_value(&self, extended: bool) -> Array {
        let mut value = Array::new();
        match &self.records {
            Ok(records) => {
                let item = |record: &Record| match extended {
                    true => item_of(record).into(),
                    false => text_of(&record.data),
                };
                value.set_str("result", records.iter().map(item).collect::<Vec<Value>>());
            }
            Err(error) => value.set_str("error", error.to_string()),
        }
        value.set_str("dnssec", self.dnssec);
        value
    }
}

/// A record in one string.
fn text_of(data: &RecordData) -> Value {
    match data {
        RecordData::Address(address) => address.to_string().into(),
        RecordData::Mx { host, .. } => host.as_str().into(),
        RecordData::Text(text) => text.as_slice().into(),
        RecordData::Name(name) => name.as_str().into(),
        RecordData::Soa { mname, rname, numbers } => {
            let numbers = numbers.map(|number| number.to_string()).join(" ");
            format!("{mname} {rname} {numbers}").into()
        }
        RecordData::Tlsa { usage, selector, matching, data } => {
            format!("{usage} {selector} {matching} {}", HEXLOWER.encode(data)).into()
        }
    }
}

/// A record in its parts: `ttl`, `value`, and what the type has besides (inferred: hsl-stdlib, open question 2).
fn item_of(record: &Record) -> Array {
    let mut item = Array::new();
    item.set_str("ttl", record.ttl_s);
    match &record.data {
        RecordData::Mx { preference, host } => {
            item.set_str("preference", u32::from(*preference));
            item.set_str("host", host.as_str());
        }
        RecordData::Soa { mname, rname, numbers } => {
            item.set_str("mname", mname.as_str());
            item.set_str("rname", rname.as_str());
            for (name, number) in ["serial", "refresh", "retry", "expire", "minimum"].iter().zip(numbers) {
                item.set_str(name, *number);
            }
        }
        _ => {}
    }
    item.set_str("value", text_of(&record.data));
    item
}
