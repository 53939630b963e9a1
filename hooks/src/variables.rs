//! The values of `$arguments`, `$connection` and `$transaction` (reference: hooks 2 and 3), of which those members are made
//! that a script reads. What is not there is absent from the array, not none.

use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use hostcalls::address;
use hostcalls::crypto::x509::Certificate;
use hostcalls::dns;
use net::dns::Resolved;
use net::smtp::address::Address;
use net::smtp::reply::Reply;
use script::value::{Array, Value};

use crate::members::{Members, Reads};
use crate::session::{
    Auth, Connection, EndError, Ended, Hello, NameAnswers, Parameter, Recipient, Submission, Tls, Transaction,
};

/// An array from its entries.
pub(crate) fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let mut array = Array::new();
    for (key, value) in entries {
        array.set_str(key, value);
    }
    array.into()
}

/// `$connection` in the hook connect, where only these are documented.
pub(crate) fn new_connection(connection: &Connection, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("id", |_| connection.id.to_string());
    members.put("priority", |_| 0);
    members.into_value()
}

/// `$connection` in all later hooks.
pub(crate) fn connection(connection: &Connection, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("id", |_| connection.id.to_string());
    members.put("priority", |_| 0);
    peers(connection, &mut members);
    members.put("serverid", |_| &*connection.server_id);
    members.put_some("helo", connection.hello.as_ref(), hello);
    members.put_some("tls", connection.tls.as_ref(), tls);
    members.put_some("auth", connection.auth.as_ref(), auth);
    members.into_value()
}

fn hello(hello: &Hello, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("verb", |_| hello.verb);
    members.put("host", |_| hello.host.as_str());
    members.into_value()
}

fn tls(tls: &Tls, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("protocol", |_| tls.protocol.as_str());
    members.put("cipher", |_| tls.cipher.as_str());
    members.put("keysize", |_| tls.key_bits);
    members.put_some("sni", tls.sni.as_deref(), |sni, _| sni);
    put_certificate(&mut members, reads, &tls.certificates, tls.fault);
    members.into_value()
}

fn auth(auth: &Auth, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("mechanism", |_| auth.mechanism.as_str());
    members.put_some("username", auth.username.as_deref(), |name, _| name);
    members.into_value()
}

/// Adds `peercert`: the certificate of a peer, if it sent one that can be read, and what is wrong with it in the numbers of
/// OpenSSL.
pub(crate) fn put_certificate(members: &mut Members<'_>, reads: &Reads, sent: &[Vec<u8>], fault: u16) {
    let resource = |der: &Vec<u8>| Some(Value::Resource(Certificate::from_der(der)?.resource()));
    let Some((leaf, others)) = sent.split_first().filter(|_| reads.member("peercert").is_some()) else {
        return;
    };
    members.put_some("peercert", resource(leaf), |leaf, reads| {
        let mut members = Members::of(reads);
        members.put("x509", |_| leaf);
        members.put("chain", |_| others.iter().filter_map(resource).collect::<Vec<Value>>());
        members.put("error", |_| u32::from(fault));
        members.into_value()
    });
}

/// `$arguments` of connect.
pub(crate) fn connect_arguments(connection: &Connection, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    peers(connection, &mut members);
    members.put_some("remoteptrresult", connection.name_answers.as_deref(), name_answers);
    members.put("serverid", |_| &*connection.server_id);
    members.put_some("proxyip", connection.proxy_ip, |ip, _| ip.to_canonical().to_string());
    let tlvs = Some(&connection.proxy_tlvs).filter(|tlvs| !tlvs.is_empty());
    members.put_some("proxytlv", tlvs, |tlvs, _| HEXLOWER.encode(tlvs));
    members.into_value()
}

/// `$arguments` of proxy.
pub(crate) fn proxy_arguments(line: &[u8], reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("command", |_| line);
    members.into_value()
}

/// Both as of `dns_query`.
fn name_answers(answers: &NameAnswers, reads: &Reads) -> Value {
    let answer = |resolved: &Resolved, _: &Reads| dns::reply(resolved).to_value(false);
    let mut members = Members::of(reads);
    members.put("reverse", |reads| answer(&answers.reverse, reads));
    members.put_some("forward", answers.forward.as_ref(), answer);
    members.into_value()
}

fn peers(connection: &Connection, members: &mut Members<'_>) {
    let ip = |address: &SocketAddr| address.ip().to_canonical().to_string();
    members.put("remoteip", |_| ip(&connection.remote));
    members.put("remoteport", |_| u32::from(connection.remote.port()));
    members.put_some("remoteptr", connection.remote_ptr.as_deref(), |name, _| name);
    members.put_some("remoteuid", connection.remote_uid, |uid, _| uid);
    members.put("localip", |_| ip(&connection.local));
    members.put("localport", |_| u32::from(connection.local.port()));
}

/// `$transaction`. What MAIL begins is there from its hook's acceptance on; at the end of a message there is the time of its
/// arrival too.
pub(crate) fn transaction(transaction: &Transaction, received_s: Option<f64>, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("id", |_| transaction.id.to_string());
    if let Some(sender) = &transaction.sender {
        let sender = sender.as_ref();
        members.put("sender", |_| address::lower(sender));
        members.put("senderaddress", |reads| address_object(sender, reads));
        members.put("senderparams", |_| parameters(&transaction.parameters));
        members.put("recipients", |_| transaction.recipients.value());
    }
    members.put_some("ts", received_s, |received_s, _| received_s);
    members.into_value()
}

/// An item of `$transaction["recipients"]`.
pub(crate) fn recipient(recipient: &Recipient) -> Value {
    envelope_recipient(&recipient.address, &recipient.parameters, recipient.transport.as_deref(), &Reads::All)
}

/// The address object of a script; of the null sender both parts are empty.
pub(crate) fn address_object(address: Option<&Address>, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("localpart", |_| address.map_or_else(|| Value::from(""), address::local_part));
    members.put("domain", |_| address.map_or(&b""[..], Address::domain));
    members.into_value()
}

fn parameters(parameters: &[Parameter]) -> Value {
    map(parameters.iter().map(|(keyword, value)| (keyword.as_str(), value.as_str().into())))
}

/// `$arguments` of helo.
pub(crate) fn hello_arguments(hello: &Hello, extensions: &[String], reads: &Reads) -> Value {
    let list = || extensions.iter().map(|line| line.as_str().into()).collect::<Vec<Value>>();
    let mut members = Members::of(reads);
    members.put("verb", |_| hello.verb);
    members.put("host", |_| hello.host.as_str());
    members.put_some("extensions", (hello.verb == "EHLO").then_some(()), |(), _| list());
    members.into_value()
}

/// `$arguments` of mailfrom.
pub(crate) fn mail_arguments(sender: Option<&Address>, given: &[Parameter], reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("sender", |_| address::lower(sender));
    members.put("address", |reads| address_object(sender, reads));
    members.put("params", |_| parameters(given));
    members.into_value()
}

/// `$arguments` of rcptto, and what is said of a recipient that was accepted.
pub(crate) fn envelope_recipient(
    recipient: &Address,
    given: &[Parameter],
    transport: Option<&str>,
    reads: &Reads,
) -> Value {
    let mut members = Members::of(reads);
    members.put("recipient", |_| address::lower(Some(recipient)));
    members.put("address", |reads| address_object(Some(recipient), reads));
    members.put("params", |_| parameters(given));
    members.put_some("transportid", transport, |transport, _| transport);
    members.into_value()
}

/// Adds what only a message that came by HTTP has. The reference leaves the layout of `http` open: it is here.
pub(crate) fn put_submission(members: &mut Members<'_>, submission: &Submission, connection: &Connection) {
    members.put_some("metadata", submission.metadata.as_ref(), |metadata, _| metadata.clone());
    members.put("http", |reads| {
        let mut members = Members::of(reads);
        members.put("method", |_| submission.method.as_str());
        members.put("path", |_| submission.path.as_str());
        members.put("query", |_| submission.query.as_str());
        members.put("headers", |_| headers(&submission.headers));
        members.put("remoteip", |_| connection.remote.ip().to_canonical().to_string());
        members.into_value()
    });
}

/// Values by name in lower case; those of one name as one, as RFC 9110 5.2 joins them.
fn headers(fields: &[(String, Vec<u8>)]) -> Value {
    let mut array = Array::new();
    for (name, value) in fields {
        let before = array.get_str(name);
        let before = before.as_ref().and_then(Value::as_str);
        let joined = before.map(|before| [before.as_bytes(), b", ", value].concat());
        array.set_str(name, joined.as_deref().unwrap_or(value));
    }
    array.into()
}

/// `$arguments` of disconnect.
pub(crate) fn disconnect_arguments(ended: &Ended, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("close", |_| if ended.local { "local" } else { "remote" });
    members.put_some("reply", ended.reply.as_ref(), last_reply);
    members.put_some("error", ended.error.as_ref(), end_error);
    members.into_value()
}

fn last_reply((reply, state): &(Reply, String), reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("code", |_| u32::from(reply.code()));
    members.put("reason", |_| reply.lines().map(Value::from).collect::<Vec<Value>>());
    members.put("state", |_| state.as_str());
    members.put_some("enhanced", reply.enhanced(), |code, _| {
        let parts = [u32::from(code.class), u32::from(code.subject), u32::from(code.detail)];
        parts.map(Value::from).to_vec()
    });
    members.into_value()
}

fn end_error(error: &EndError, reads: &Reads) -> Value {
    let mut members = Members::of(reads);
    members.put("reason", |_| error.reason.as_str());
    members.put("type", |_| error.kind);
    members.put("code", |_| error.code);
    members.into_value()
}
