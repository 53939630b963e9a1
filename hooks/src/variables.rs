//! The values of `$arguments`, `$connection` and `$transaction` (reference: hooks 2 and 3). What is not there is absent from
//! the array, not none.

use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use hostcalls::address;
use hostcalls::crypto::x509::Certificate;
use net::smtp::address::Address;
use script::value::{Array, Value};

use crate::session::{Connection, Ended, Hello, Parameter, Recipient, Transaction};

/// An array from its entries.
pub(crate) fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let mut array = Array::new();
    for (key, value) in entries {
        array.set_str(key, value);
    }
    array.into()
}

/// `$connection` in the hook connect, where only these are documented.
pub(crate) fn new_connection(connection: &Connection) -> Value {
    map([("id", connection.id.to_string().into()), ("priority", 0.into())])
}

/// `$connection` in all later hooks.
pub(crate) fn connection(connection: &Connection) -> Value {
    let mut array = Array::new();
    array.set_str("id", connection.id.to_string());
    array.set_str("priority", 0);
    peers(connection, &mut array);
    array.set_str("serverid", &*connection.server_id);
    if let Some(hello) = &connection.hello {
        array.set_str("helo", map([("verb", hello.verb.into()), ("host", hello.host.as_str().into())]));
    }
    if let Some(tls) = &connection.tls {
        let sni = tls.sni.as_deref().map(|sni| ("sni", sni.into()));
        let always = [
            ("protocol", tls.protocol.as_str().into()),
            ("cipher", tls.cipher.as_str().into()),
            ("keysize", tls.key_bits.into()),
        ];
        let certificate =
            peer_certificate(&tls.certificates, tls.fault).map(|certificate| ("peercert", certificate));
        array.set_str("tls", map(always.into_iter().chain(sni).chain(certificate)));
    }
    if let Some(auth) = &connection.auth {
        let username = auth.username.as_deref().map(|name| ("username", name.into()));
        array.set_str(
            "auth",
            map([("mechanism", auth.mechanism.as_str().into())].into_iter().chain(username)),
        );
    }
    array.into()
}

/// The certificate of a peer, if it sent one that can be read, and what is wrong with it in the numbers of OpenSSL.
pub(crate) fn peer_certificate(certificates: &[Vec<u8>], fault: u16) -> Option<Value> {
    let resource = |der: &Vec<u8>| Some(Value::Resource(Certificate::from_der(der)?.resource()));
    let (leaf, others) = certificates.split_first()?;
    let chain: Vec<Value> = others.iter().filter_map(resource).collect();
    Some(map([("x509", resource(leaf)?), ("chain", chain.into()), ("error", u32::from(fault).into())]))
}

/// `$arguments` of connect.
pub(crate) fn connect_arguments(connection: &Connection) -> Value {
    let mut array = Array::new();
    peers(connection, &mut array);
    array.set_str("serverid", &*connection.server_id);
    if let Some(proxy_ip) = connection.proxy_ip {
        array.set_str("proxyip", proxy_ip.to_canonical().to_string());
    }
    if !connection.proxy_tlvs.is_empty() {
        array.set_str("proxytlv", HEXLOWER.encode(&connection.proxy_tlvs));
    }
    array.into()
}

fn peers(connection: &Connection, array: &mut Array) {
    let ip = |address: &SocketAddr| address.ip().to_canonical().to_string();
    let remote_ip = connection.remote_ip.map(|ip| ip.to_string());
    array.set_str("remoteip", remote_ip.unwrap_or_else(|| ip(&connection.remote)));
    array.set_str("remoteport", u32::from(connection.remote.port()));
    if let Some(name) = &connection.remote_ptr {
        array.set_str("remoteptr", name.as_str());
    }
    if let Some(uid) = connection.remote_uid {
        array.set_str("remoteuid", uid);
    }
    array.set_str("localip", ip(&connection.local));
    array.set_str("localport", u32::from(connection.local.port()));
}

/// `$transaction`. What MAIL begins is there from its hook's acceptance on.
pub(crate) fn transaction(transaction: &Transaction) -> Value {
    let mut array = Array::new();
    array.set_str("id", transaction.id.to_string());
    if let Some(sender) = &transaction.sender {
        array.set_str("sender", address::lower(sender.as_ref()));
        array.set_str("senderaddress", address::to_value(sender.as_ref()));
        array.set_str("senderparams", parameters(&transaction.parameters));
        array.set_str("recipients", transaction.recipients.iter().map(recipient).collect::<Vec<_>>());
    }
    array.into()
}

/// The same at the end of a message, with the time of its arrival.
pub(crate) fn complete_transaction(facts: &Transaction, received_s: f64) -> Value {
    let Value::Array(mut array) = transaction(facts) else { return Value::None };
    array.set_str("ts", received_s);
    array.into()
}

fn recipient(recipient: &Recipient) -> Value {
    map([
        ("recipient", address::lower(Some(&recipient.address))),
        ("address", address::to_value(Some(&recipient.address))),
        ("params", parameters(&recipient.parameters)),
        ("transportid", recipient.transport.as_str().into()),
    ])
}

fn parameters(parameters: &[Parameter]) -> Value {
    map(parameters.iter().map(|(keyword, value)| (keyword.as_str(), value.as_str().into())))
}

/// `$arguments` of helo.
pub(crate) fn hello_arguments(hello: &Hello, extensions: &[String]) -> Value {
    let list = || extensions.iter().map(|line| line.as_str().into()).collect::<Vec<Value>>();
    let announced = (hello.verb == "EHLO").then(|| ("extensions", list().into()));
    map([("verb", hello.verb.into()), ("host", hello.host.as_str().into())].into_iter().chain(announced))
}

/// `$arguments` of mailfrom.
pub(crate) fn mail_arguments(sender: Option<&Address>, given: &[Parameter]) -> Value {
    map([
        ("sender", address::lower(sender)),
        ("address", address::to_value(sender)),
        ("params", parameters(given)),
    ])
}

/// `$arguments` of rcptto.
pub(crate) fn rcpt_arguments(recipient: &Address, given: &[Parameter], transport: &str) -> Value {
    map([
        ("recipient", address::lower(Some(recipient))),
        ("address", address::to_value(Some(recipient))),
        ("params", parameters(given)),
        ("transportid", transport.into()),
    ])
}

/// `$arguments` of disconnect.
pub(crate) fn disconnect_arguments(ended: &Ended) -> Value {
    let reply = ended.reply.as_ref().map(|(reply, state)| {
        let enhanced = reply.enhanced().map(|code| {
            let parts = [u32::from(code.class), u32::from(code.subject), u32::from(code.detail)];
            ("enhanced", parts.map(Value::from).to_vec().into())
        });
        let reason: Vec<Value> = reply.lines().map(Value::from).collect();
        let always = [
            ("code", u32::from(reply.code()).into()),
            ("reason", reason.into()),
            ("state", state.as_str().into()),
        ];
        ("reply", map(always.into_iter().chain(enhanced)))
    });
    let error = ended.error.as_ref().map(|error| {
        let code = error.code.map(|code| ("code", code.into()));
        let always = [("reason", error.reason.as_str().into()), ("type", error.kind.into())];
        ("error", map(always.into_iter().chain(code)))
    });
    let close = ("close", if ended.local { "local" } else { "remote" }.into());
    map([close].into_iter().chain(reply).chain(error))
}
