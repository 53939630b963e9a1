//! The values of `$message`, and of `$arguments` in the hooks of the queue (reference: hooks 2.3 and 4), of which those members
//! are made that a script reads. What is not there is absent from the array, not none.

use std::net::IpAddr;
use std::sync::Arc;

use fields::Property;
use hostcalls::address;
use hostcalls::file::{FileResource, HostFile};
use net::smtp::address::Address;
use net::smtp::parameters::{MailParameters, Notify, RcptParameters};
use net::smtp::reply::EnhancedCode;
use script::value::{Array, Value};
use uuid::Uuid;

use super::Before;
use crate::members::{Members, Reads};
use crate::variables::{address_object, map, put_certificate};

/// The facts of `$message`: one recipient of a queued message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Id of the transaction that brought it.
    pub transaction: Uuid,
    /// Which of that transaction's recipients it is, from 1.
    pub queue: u32,
    /// When it was received, in seconds since the Unix epoch.
    pub received_s: f64,
    /// The server that took it.
    pub server_id: String,
    /// Envelope sender; `None`: the null sender.
    pub sender: Option<Address>,
    /// Envelope recipient; `None`: it is no address that we understand.
    pub recipient: Option<Address>,
    /// Its transport.
    pub transport: String,
    /// Tenant id; empty: none.
    pub tenant_id: String,
    /// Job id; empty: none.
    pub job_id: String,
    /// Priority in the queue.
    pub priority: u8,
    /// Size in bytes, with the changes that were made.
    pub size_bytes: u64,
    /// What MAIL said.
    pub mail: MailParameters,
    /// What RCPT said.
    pub rcpt: RcptParameters,
    /// Its bytes.
    pub files: Files,
}

/// How scripts get at the bytes of a message: `original` as it was received, `modified` with the changes that were made.
#[derive(Clone)]
pub struct Files {
    original: Value,
    modified: Value,
}

impl Files {
    /// Read when a script opens them.
    pub fn new(original: impl HostFile + 'static, modified: impl HostFile + 'static) -> Files {
        Files { original: FileResource::value(original), modified: FileResource::value(modified) }
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

impl Message {
    pub(super) fn value(&self, reads: &Reads) -> Value {
        let (sender, recipient) = (self.sender.as_ref(), self.recipient.as_ref());
        let mut members = Members::of(reads);
        members.put("id", |reads| item_id(self.transaction, self.queue, reads));
        members.put("ts", |_| self.received_s);
        members.put("serverid", |_| self.server_id.as_str());
        members.put("sender", |_| address::lower(sender));
        members.put("senderaddress", |reads| address_object(sender, reads));
        members.put("recipient", |_| address::lower(recipient));
        members.put("recipientaddress", |reads| address_object(recipient, reads));
        members.put("transportid", |_| self.transport.as_str());
        members.put("tenantid", |_| self.tenant_id.as_str());
        members.put("jobid", |_| self.job_id.as_str());
        members.put("priority", |_| u32::from(self.priority));
        members.put("size", |_| self.size_bytes as f64);
        members.put("file", |reads| {
            let mut members = Members::of(reads);
            members.put("original", |_| self.files.original.clone());
            members.put("modified", |_| self.files.modified.clone());
            members.into_value()
        });
        members.put("dsn", |_| self.dsn());
        members.into_value()
    }

    fn dsn(&self) -> Value {
        let mut array = Array::new();
        if let Some(id) = &self.mail.envelope_id {
            let mut text = Vec::new();
            id.encode(&mut text);
            array.set_str("envid", text);
        }
        if let Some(ret) = self.mail.ret {
            array.set_str("ret", ret.name());
        }
        if let Some(notify) = self.rcpt.notify {
            array.set_str("notify", words(notify));
        }
        if let Some(original) = &self.rcpt.original_recipient {
            let mut text = Vec::new();
            original.encode(&mut text);
            array.set_str("orcpt", text);
        }
        array.into()
    }
}

fn item_id(transaction: Uuid, queue: u32, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("transaction", |_| transaction.to_string());
    members.put("queue", |_| queue);
    members.into_value()
}

fn words(notify: Notify) -> Vec<Value> {
    let all = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let words: Vec<Value> = all.into_iter().filter(|(set, _)| *set).map(|(_, word)| word.into()).collect();
    if words.is_empty() { vec!["NEVER".into()] } else { words }
}

impl Before<'_> {
    /// `$arguments` of predelivery.
    pub(super) fn value(&self) -> Value {
        let queue = self.returned.and_then(given_back).map(|queue| ("queue", queue));
        map([("retry", self.retry.into())].into_iter().chain(queue))
    }
}

/// `$arguments["queue"]`: what a script has had an item given back with, as JSON.
fn given_back(returned: &str) -> Option<Value> {
    let returned = script::std::json::decode(returned.as_bytes(), false).ok()?;
    Some(map([("plugin", map([("return", returned)]))]))
}

/// What has become of a recipient, for its postdelivery script: `$arguments` there.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Attempts behind it, without this one.
    pub retry: u32,
    /// It is too old, or was tried often enough.
    pub expired: bool,
    /// What will be done by default; `None`: it was delivered.
    pub action: Option<Action>,
    /// The group of the destination, where it is known.
    pub grouping: Option<String>,
    /// The policies that were looked at, if there was an attempt.
    pub policies: Option<Policies>,
    /// The attempt, if there was one.
    pub attempt: Option<Attempted>,
    /// The report that the default action writes, if it does.
    pub dsn: Option<DsnFacts>,
    /// What a script had it given back with, as JSON.
    pub returned: Option<Arc<str>>,
}

/// What is done with a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Removed.
    Delete,
    /// Removed, and its sender is told.
    Bounce,
    /// Left in the queue.
    Queue,
}

/// An attempt.
#[derive(Clone, Debug, Default)]
pub struct Attempted {
    /// The reply that decided it.
    pub result: Option<Answer>,
    /// What went wrong where no reply did.
    pub error: Option<Trouble>,
    /// The connection, if one was tried.
    pub connection: Option<Connection>,
    /// How long it took, in seconds.
    pub duration_s: f64,
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its code.
    pub code: u16,
    /// Its enhanced code.
    pub enhanced: Option<EnhancedCode>,
    /// Its lines, without codes.
    pub lines: Vec<String>,
    /// What it is the reply to.
    pub state: &'static str,
}

/// Something went wrong without a reply.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// It may be better later.
    pub temporary: bool,
    /// A sentence.
    pub message: String,
    /// `config`, `dane`, `dns`, `network`, `protocol`, `smtp` or `tls`.
    pub kind: &'static str,
    /// What DNS said: `nxdomain`, `nullmx`, `nodata`, `other`...
    pub dns: Option<&'static str>,
}

/// A connection to a next hop.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Its id; the same as long as it is used again.
    pub id: Option<Uuid>,
    /// How many messages it has carried, with this one.
    pub transactions: u32,
    /// Our address.
    pub local_ip: Option<IpAddr>,
    /// Its id in the configuration.
    pub local_ip_id: Option<String>,
    /// The name that we gave.
    pub helo: Option<String>,
    /// The peer's address.
    pub remote_ip: Option<IpAddr>,
    /// The peer's name.
    pub remote_mx: Option<String>,
    /// The lines of its greeting.
    pub remote_greeting: Option<Vec<String>>,
    /// Its TLS; `None`: in clear.
    pub tls: Option<Tls>,
    /// What failed of TLS that was wanted, as reports name it (RFC 8460 section 4.3).
    pub tls_result: Option<&'static str>,
    /// What DNS said about its certificate, where that was asked for.
    pub tlsa: Option<Tlsa>,
}

/// What came of a question for TLSA records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tlsa {
    /// They are not known, or none of them counts: why.
    Error(String),
    /// Usage, selector, matching type, and data in hexadecimal.
    Records(Vec<(u8, u8, u8, String)>),
}

/// The TLS of a connection.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub protocol: &'static str,
    /// Name of the cipher suite.
    pub cipher: &'static str,
    /// Strength of the cipher in bits.
    pub key_bits: u32,
    /// The peer's certificate and the others that it sent, in DER.
    pub certificates: Arc<[Vec<u8>]>,
    /// What is wrong with its certificate, in the numbers of OpenSSL; 0: nothing.
    pub fault: u16,
}

/// The policies that an attempt was held against.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// All their tags.
    pub tags: Vec<String>,
    /// Each of them.
    pub list: Vec<PolicyFacts>,
}

/// One policy.
#[derive(Clone, Debug, Default)]
pub struct PolicyFacts {
    /// The fields that it counts by.
    pub fields: Vec<&'static str>,
    /// Field and the group that its value fell into.
    pub grouping: Vec<(&'static str, String)>,
    /// Dynamic conditions that matched: id and tag.
    pub dynamic: Vec<(String, Option<String>)>,
    /// Free data.
    pub properties: Vec<(String, Property)>,
    /// It stops its messages.
    pub stop: Option<bool>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A report that is to be written, or why a recipient is removed without one.
#[derive(Clone, Debug)]
pub struct DsnFacts {
    /// `delayed`, `failed`, `relayed` or `delivered`, and the id of the report's transaction; `None`: there is no report.
    pub report: Option<(&'static str, Uuid)>,
    /// Enhanced code.
    pub status: Option<(u8, u16, u16)>,
    /// `smtp` for a peer's words, `x-error` for ours.
    pub diagnostic_type: &'static str,
    /// What was said.
    pub diagnostic_code: String,
}

impl Ending {
    pub(super) fn value(&self, reads: &Reads) -> Value {
        let mut members = Members::of(reads);
        members.put("retry", |_| self.retry);
        members.put("expired", |_| self.expired);
        members.put_some("action", self.action, |action, _| action.name());
        members.put_some("grouping", self.grouping.as_deref(), |grouping, _| grouping);
        members.put_some("policy", self.policies.as_ref(), |policies, _| policies.value());
        members.put_some("attempt", self.attempt.as_ref(), Attempted::value);
        members.put_some("dsn", self.dsn.as_ref(), DsnFacts::value);
        members.put_some("queue", self.returned.as_deref().and_then(given_back), |queue, _| queue);
        members.into_value()
    }
}

impl Action {
    /// As scripts have it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Delete => "DELETE",
            Action::Bounce => "BOUNCE",
            Action::Queue => "QUEUE",
        }
    }
}

impl Attempted {
    fn value(&self, reads: &Reads) -> Value {
        let mut members = Members::of(reads);
        members.put_some("result", self.result.as_ref(), Answer::value);
        members.put_some("error", self.error.as_ref(), Trouble::value);
        members.put_some("connection", self.connection.as_ref(), Connection::value);
        members.put("duration", |_| self.duration_s);
        members.into_value()
    }
}

impl Answer {
    fn value(&self, reads: &Reads) -> Value {
        let mut members = Members::of(reads);
        members.put("code", |_| u32::from(self.code));
        members
            .put_some("enhanced", self.enhanced, |code, _| numbers((code.class, code.subject, code.detail)));
        members.put("reason", |_| texts(&self.lines));
        members.put("state", |_| self.state);
        members.into_value()
    }
}

impl Trouble {
    fn value(&self, reads: &Reads) -> Value {
        let mut members = Members::of(reads);
        members.put("temporary", |_| self.temporary);
        members.put("message", |_| self.message.as_str());
        members.put("type", |_| self.kind);
        members.put_some("dns", self.dns, |dns, _| dns);
        members.into_value()
    }
}

impl Connection {
    fn value(&self, reads: &Reads) -> Value {
        let ip = |ip: IpAddr, _: &Reads| ip.to_canonical().to_string();
        let mut members = Members::of(reads);
        members.put_some("id", self.id, |id, _| id.to_string());
        members.put_some("transactions", self.id, |_, _| self.transactions);
        members.put_some("localip", self.local_ip, ip);
        members.put_some("localipid", self.local_ip_id.as_deref(), |id, _| id);
        members.put_some("helo", self.helo.as_deref(), |helo, _| helo);
        members.put_some("remoteip", self.remote_ip, ip);
        members.put_some("remotemx", self.remote_mx.as_deref(), |mx, _| mx);
        members.put_some("remotegreet", self.remote_greeting.as_deref(), |lines, _| texts(lines));
        members.put("tls", |reads| self.tls(reads));
        members.into_value()
    }

    fn tls(&self, reads: &Reads) -> Value {
        let mut members = Members::of(reads);
        members.put("started", |_| self.tls.is_some());
        if let Some(tls) = &self.tls {
            members.put("protocol", |_| tls.protocol);
            members.put("cipher", |_| tls.cipher);
            members.put("keysize", |_| tls.key_bits);
            put_certificate(&mut members, reads, &tls.certificates, tls.fault);
        }
        members.put_some("tlsrpt", self.tls_result, |result, _| result);
        members.put_some("tlsa", self.tlsa.as_ref(), |tlsa, _| tlsa.value());
        members.into_value()
    }
}

impl Tlsa {
    fn value(&self) -> Value {
        match self {
            Tlsa::Error(why) => map([("error", why.as_str().into())]),
            Tlsa::Records(records) => {
                let record = |(usage, selector, matching, data): &(u8, u8, u8, String)| {
                    let numbers = [("usage", *usage), ("selector", *selector), ("mtype", *matching)];
                    let numbers = numbers.map(|(name, number)| (name, u32::from(number).into()));
                    map(numbers.into_iter().chain([("data", data.as_str().into())]))
                };
                map([("records", records.iter().map(record).collect::<Vec<Value>>().into())])
            }
        }
    }
}

impl Policies {
    fn value(&self) -> Value {
        let policies: Vec<Value> = self.list.iter().map(PolicyFacts::value).collect();
        map([("tags", texts(&self.tags)), ("policies", policies.into())])
    }
}

impl PolicyFacts {
    fn value(&self) -> Value {
        let fields: Vec<Value> = self.fields.iter().map(|field| (*field).into()).collect();
        let grouping = self.grouping.iter().map(|(field, group)| (*field, group.as_str().into()));
        let dynamic = self.dynamic.iter().map(|(id, tag)| {
            let tag = tag.as_ref().map(|tag| ("tag", tag.as_str().into()));
            map([("id", id.as_str().into())].into_iter().chain(tag))
        });
        let properties = self.properties.iter().map(|(name, value)| {
            let value = match value {
                Property::Text(text) => text.as_str().into(),
                Property::Number(number) => (*number).into(),
                Property::Bool(flag) => (*flag).into(),
            };
            (name.as_str(), value)
        });
        let stop = self.stop.map(|stop| ("stop", stop.into()));
        let tags = (!self.tags.is_empty()).then(|| ("tags", texts(&self.tags)));
        let always = [
            ("fields", fields.into()),
            ("grouping", map(grouping)),
            ("dynamic", dynamic.collect::<Vec<Value>>().into()),
            ("properties", map(properties)),
        ];
        map(always.into_iter().chain(stop).chain(tags))
    }
}

impl DsnFacts {
    fn value(&self, reads: &Reads) -> Value {
        let mut members = Members::of(reads);
        members.put_some("action", self.report, |(action, _), _| action);
        members.put_some("id", self.report, |(_, transaction), reads| item_id(transaction, 1, reads));
        members.put("diagnostictype", |_| self.diagnostic_type);
        members.put("diagnosticcode", |_| self.diagnostic_code.as_str());
        members.put_some("status", self.status, |status, _| numbers(status));
        members.into_value()
    }
}

fn numbers((class, subject, detail): (u8, u16, u16)) -> Value {
    [u32::from(class), u32::from(subject), u32::from(detail)].map(Value::from).to_vec().into()
}

fn texts(lines: &[String]) -> Value {
    lines.iter().map(|line| line.as_str().into()).collect::<Vec<Value>>().into()
}
