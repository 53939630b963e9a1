//! What scripts are told of a session.

use net::smtp::client::{Cause, Outcome, Phase};
use net::smtp::reply::Reply;
use script::value::{Array, Value};

use super::dialogue::{Facts, Failure};
use crate::crypto::x509::Certificate;

type Ended = Result<Outcome, Failure>;

/// 1: accepted; 0: refused for good, because of the sender or the recipient; -1: not known.
pub(super) fn verdict(ended: &Ended) -> i32 {
    match ended {
        Ok(Outcome { phase: Phase::Rcpt, cause: Cause::Reply(reply) }) if reply.is_positive() => 1,
        Ok(Outcome { phase: Phase::Mail | Phase::Rcpt, cause: Cause::Reply(reply) })
            if reply.is_permanent() =>
        {
            0
        }
        _ => -1,
    }
}

/// 0: the server does not know name and password; -1: not known.
pub(super) fn login_verdict(failure: &Failure) -> i32 {
    match failure {
        Failure::Peer(phase, Cause::Reply(reply))
            if phase.name().starts_with("AUTH") && reply.is_permanent() =>
        {
            0
        }
        _ => -1,
    }
}

/// The same with the details.
pub(super) fn lookup(ended: &Ended, facts: &Facts, certificate: bool) -> Value {
    let (phase, cause) = parts(ended);
    let mut array = Array::new();
    let (code, message) = match cause {
        Some(Cause::Reply(reply)) => (u32::from(reply.code()), text(reply)),
        Some(cause) => (0, cause.to_string()),
        None => (0, unreachable(ended).1),
    };
    array.set_str("result", verdict(ended));
    array.set_str("error_code", code);
    array.set_str("error_message", message);
    array.set_str("on_rcptto", phase == Some(Phase::Rcpt));
    array.set_str("tls", tls(facts, certificate));
    array.into()
}

/// `result` or `error`, and `connection` and `tls`.
pub(super) fn sent(ended: &Ended, facts: &Facts) -> Value {
    let mut array = Array::new();
    match parts(ended) {
        (Some(phase), Some(Cause::Reply(reply))) => array.set_str("result", result(reply, phase)),
        (Some(phase), Some(cause)) => {
            let temporary = match cause {
                Cause::Error(error) => error.is_transient(),
                _ => true,
            };
            array.set_str("error", error(temporary, &format!("{cause} (in reply to {phase})")));
        }
        _ => {
            let (temporary, message) = unreachable(ended);
            array.set_str("error", error(temporary, &message));
        }
    }
    if let Some(local) = facts.local {
        let mut connection = Array::new();
        connection.set_str("localip", local.to_canonical().to_string());
        if let Some(id) = &facts.local_id {
            connection.set_str("localipid", id.as_str());
        }
        if let Some(remote) = facts.remote {
            connection.set_str("remoteip", remote.to_string());
        }
        if let Some(mx) = &facts.mx {
            connection.set_str("remotemx", &**mx);
        }
        array.set_str("connection", connection);
    }
    array.set_str("tls", tls(facts, false));
    array.into()
}

fn parts(ended: &Ended) -> (Option<Phase>, Option<&Cause>) {
    match ended {
        Ok(Outcome { phase, cause }) | Err(Failure::Peer(phase, cause)) => (Some(*phase), Some(cause)),
        Err(Failure::Unreachable { .. }) => (None, None),
    }
}

fn unreachable(ended: &Ended) -> (bool, String) {
    match ended {
        Err(Failure::Unreachable { temporary, message }) => (*temporary, message.clone()),
        _ => (true, String::new()),
    }
}

fn result(reply: &Reply, phase: Phase) -> Array {
    let mut result = Array::new();
    result.set_str("code", u32::from(reply.code()));
    if let Some(enhanced) = reply.enhanced() {
        let parts = [u32::from(enhanced.class), u32::from(enhanced.subject), u32::from(enhanced.detail)];
        result.set_str("enhanced", parts.map(Value::from).to_vec());
    }
    result.set_str("reason", reply.lines().map(Value::from).collect::<Vec<_>>());
    result.set_str("state", phase.name());
    result
}

fn error(temporary: bool, message: &str) -> Array {
    let mut error = Array::new();
    error.set_str("temporary", temporary);
    error.set_str("message", message);
    error
}

fn text(reply: &Reply) -> String {
    reply.lines().map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n")
}

/// Whether there was TLS, and what was agreed on.
fn tls(facts: &Facts, certificate: bool) -> Array {
    let mut array = Array::new();
    array.set_str("started", facts.tls.is_some());
    if let Some(info) = &facts.tls {
        array.set_str("protocol", info.version);
        array.set_str("cipher", info.cipher);
        array.set_str("keysize", u32::from(info.key_bits));
    }
    if let Some(info) = facts.tls.as_ref().filter(|_| certificate) {
        let resource = |der: &Vec<u8>| Some(Value::Resource(Certificate::from_der(der)?.resource()));
        if let Some(leaf) = facts.certificates.first().and_then(resource) {
            let mut peer = Array::new();
            peer.set_str("x509", leaf);
            peer.set_str("chain", facts.certificates.iter().skip(1).filter_map(resource).collect::<Vec<_>>());
            peer.set_str("error", u32::from(info.fault()));
            array.set_str("peercert", peer);
        }
    }
    array
}
