//! The values of `$message`, and of `$arguments` in the hooks of the queue (reference: hooks 2.3 and 4). What is not there is
//! absent from the array, not none.

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

use crate::variables::{map, peer_certificate};

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
    pub(super) fn value(&self) -> Value {
        let id = map([("transaction", self.transaction.to_string().into()), ("queue", self.queue.into())]);
        let recipient = self.recipient.as_ref();
        let file =
            map([("original", self.files.original.clone()), ("modified", self.files.modified.clone())]);
        map([
            ("id", id),
            ("ts", self.received_s.into()),
            ("serverid", self.server_id.as_str().into()),
            ("sender", address::lower(self.sender.as_ref())),
            ("senderaddress", address::to_value(self.sender.as_ref())),
            ("recipient", address::lower(recipient)),
            ("recipientaddress", address::to_value(recipient)),
            ("transportid", self.transport.as_str().into()),
            ("tenantid", self.tenant_id.as_str().into()),
            ("jobid", self.job_id.as_str().into()),
            ("priority", u32::from(self.priority).into()),
            ("size", (self.size_bytes as f64).into()),
            ("file", file),
            ("dsn", self.dsn()),
        ])
    }

    fn dsn(&self) -> Value {
        let mut array = Array::new();
        if let Some(id) = &self.mail.envelope_id {
            array.set_str("envid", id.as_bytes());
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

fn words(notify: Notify) -> Vec<Value> {
    let all = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let words: Vec<Value> = all.into_iter().filter(|(set, _)| *set).map(|(_, word)| word.into()).collect();
    if words.is_empty() { vec!["NEVER".into()] } else { words }
}

/// `$arguments` of predelivery.
pub(super) fn before(retry: u32) -> Value {
    map([("retry", retry.into())])
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

/// A report that is to be written.
#[derive(Clone, Debug)]
pub struct DsnFacts {
    /// `delayed`, `failed`, `relayed` or `delivered`.
    pub action: &'static str,
    /// Id of the report's transaction.
    pub transaction: Uuid,
    /// Enhanced code.
    pub status: Option<(u8, u16, u16)>,
    /// `smtp` for a peer's words, `x-error` for ours.
    pub diagnostic_type: &'static str,
    /// What was said.
    pub diagnostic_code: String,
}

impl Ending {
    pub(super) fn value(&self) -> Value {
        let mut array = Array::new();
        array.set_str("retry", self.retry);
        array.set_str("expired", self.expired);
        if let Some(action) = self.action {
            array.set_str("action", action.name());
        }
        if let Some(grouping) = &self.grouping {
            array.set_str("grouping", grouping.as_str());
        }
        if let Some(policies) = &self.policies {
            array.set_str("policy", policies.value());
        }
        if let Some(attempt) = &self.attempt {
            array.set_str("attempt", attempt.value());
        }
        if let Some(dsn) = &self.dsn {
            array.set_str("dsn", dsn.value());
        }
        array.into()
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
    fn value(&self) -> Value {
        let mut array = Array::new();
        if let Some(answer) = &self.result {
            let mut result = Array::new();
            result.set_str("code", u32::from(answer.code));
            if let Some(code) = answer.enhanced {
                result.set_str("enhanced", numbers((code.class, code.subject, code.detail)));
            }
            result.set_str("reason", texts(&answer.lines));
            result.set_str("state", answer.state);
            array.set_str("result", result);
        }
        if let Some(trouble) = &self.error {
            let mut error = Array::new();
            error.set_str("temporary", trouble.temporary);
            error.set_str("message", trouble.message.as_str());
            error.set_str("type", trouble.kind);
            if let Some(dns) = trouble.dns {
                error.set_str("dns", dns);
            }
            array.set_str("error", error);
        }
        if let Some(connection) = &self.connection {
            array.set_str("connection", connection.value());
        }
        array.set_str("duration", self.duration_s);
        array.into()
    }
}

impl Connection {
    fn value(&self) -> Value {
        let mut array = Array::new();
        if let Some(id) = self.id {
            array.set_str("id", id.to_string());
            array.set_str("transactions", self.transactions);
        }
        let ip = |ip: IpAddr| ip.to_canonical().to_string();
        let known = [
            ("localip", self.local_ip.map(ip)),
            ("localipid", self.local_ip_id.clone()),
            ("helo", self.helo.clone()),
            ("remoteip", self.remote_ip.map(ip)),
            ("remotemx", self.remote_mx.clone()),
        ];
        for (key, value) in known {
            if let Some(value) = value {
                array.set_str(key, value);
            }
        }
        if let Some(lines) = &self.remote_greeting {
            array.set_str("remotegreet", texts(lines));
        }
        array.set_str("tls", self.tls());
        array.into()
    }

    fn tls(&self) -> Value {
        let agreed = self.tls.iter().flat_map(|tls| {
            let always = [
                ("protocol", tls.protocol.into()),
                ("cipher", tls.cipher.into()),
                ("keysize", tls.key_bits.into()),
            ];
            let certificate = peer_certificate(&tls.certificates, tls.fault);
            always.into_iter().chain(certificate.map(|certificate| ("peercert", certificate)))
        });
        let result = self.tls_result.map(|result| ("tlsrpt", result.into()));
        let tlsa = self.tlsa.as_ref().map(|tlsa| ("tlsa", tlsa.value()));
        map([("started", self.tls.is_some().into())].into_iter().chain(agreed).chain(result).chain(tlsa))
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
    fn value(&self) -> Value {
        let id = map([("transaction", self.transaction.to_string().into()), ("queue", 1.into())]);
        let status = self.status.map(|status| ("status", numbers(status)));
        let always = [
            ("action", self.action.into()),
            ("id", id),
            ("diagnostictype", self.diagnostic_type.into()),
            ("diagnosticcode", self.diagnostic_code.as_str().into()),
        ];
        map(always.into_iter().chain(status))
    }
}

fn numbers((class, subject, detail): (u8, u16, u16)) -> Value {
    [u32::from(class), u32::from(subject), u32::from(detail)].map(Value::from).to_vec().into()
}

fn texts(lines: &[String]) -> Value {
    lines.iter().map(|line| line.as_str().into()).collect::<Vec<Value>>().into()
}
