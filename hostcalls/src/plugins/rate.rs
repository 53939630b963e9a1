//! `rate`: the client of `rated`. One datagram asks, one answers (cli-and-operations 11.3).

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use config::RateClient;
use engine::net::Udp;
use engine::time::{Instant, timeout};
use script::fault::Fault;
use script::host::HostCall;
use script::value::Value;

use crate::arguments::Arguments;
use crate::dns::addresses;
use crate::library::HostFuture;
use crate::limits::{RATE_STRAY_DATAGRAMS_MAX, RATE_TIMEOUT};
use crate::{Environment, Execution};

/// Where `rated` listens unless the configuration says otherwise.
const SOCKET: &str = "/var/run/halon/rated.sock";
const NAMESPACE_BYTES: usize = 64;
const ENTRY_BYTES: usize = 512;
const ERR: u32 = 3;

/// What a shard remembers of the servers.
#[derive(Default)]
pub(crate) struct RateState {
    /// None: not resolved yet, or too long ago.
    servers: RefCell<Option<Servers>>,
    next: Cell<usize>,
}

struct Servers {
    addresses: Vec<SocketAddr>,
    resolved: Instant,
}

/// A question.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    namespace: Vec<u8>,
    entry: Vec<u8>,
    /// 0 asks how many there were.
    count: u32,
    interval_s: u32,
    /// Whether `rated` tells its peers.
    sync: bool,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Allowed(bool),
    Count(u32),
}

impl Question {
    fn encode(&self, cookie: u32) -> Vec<u8> {
        let kind = match (self.count, self.sync) {
            (0, _) => 2,
            (_, true) => 1,
            (_, false) => 5,
        };
        let mut bytes = vec![1, kind];
        // It comes back as it is.
        bytes.extend(cookie.to_ne_bytes());
        bytes.extend(self.interval_s.to_be_bytes());
        if self.count > 0 {
            bytes.extend(self.count.to_be_bytes());
        }
        for (text, length) in [(&self.namespace, NAMESPACE_BYTES), (&self.entry, ENTRY_BYTES)] {
            let end = bytes.len() + length;
            bytes.extend(&text[..text.len().min(length)]);
            bytes.resize(end, 0);
        }
        bytes
    }

    /// None: it is the answer to another question, or none at all.
    fn decode(&self, cookie: u32, datagram: &[u8]) -> Option<Answer> {
        let rest = datagram.strip_prefix(&cookie.to_ne_bytes()[..])?;
        match (self.count, rest) {
            (0, [a, b, c, d]) => Some(Answer::Count(u32::from_ne_bytes([*a, *b, *c, *d]))),
            (1.., [allowed, _exceeded, _, _, _, _]) => Some(Answer::Allowed(*allowed != 0)),
            _ => None,
        }
    }
}

/// `rate(namespace, entry, count, interval [, options])`
pub(super) fn rate(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let question = Question {
            namespace: call.str(0)?.as_bytes().to_vec(),
            entry: call.str(1)?.as_bytes().to_vec(),
            count: number(&call, 2)?,
            interval_s: number(&call, 3)?,
            sync: call.options(4)?.boolean("sync", true)?,
        };
        let environment = &execution.environment;
        match ask(environment, &question).await {
            Ok(Answer::Allowed(allowed)) => Ok(allowed.into()),
            Ok(Answer::Count(count)) => Ok(count.into()),
            Err(what) => {
                execution.log().syslog(ERR, format!("rate: {what}").as_bytes());
                Ok(Value::None)
            }
        }
    })
}

/// A number, or a text of one, rounded.
fn number(call: &HostCall, index: usize) -> Result<u32, Fault> {
    let number = match call.arg(index) {
        Value::Number(number) => Some(*number),
        Value::Str(text) => text.to_string_lossy().trim().parse().ok(),
        _ => None,
    };
    let wrong = || call.wrong(index, "a number from 0 to 4294967295");
    let number = number.ok_or_else(wrong)?.round();
    if (0.0..=f64::from(u32::MAX)).contains(&number) { Ok(number as u32) } else { Err(wrong()) }
}

async fn ask(environment: &Environment, question: &Question) -> Result<Answer, String> {
    let plugins = &environment.settings.plugins;
    let Some(RateClient::Port { host, port, bad_host, timeout }) = &plugins.rate else {
        let path = match &plugins.rate {
            Some(RateClient::Path(path)) => path.as_path(),
            _ => Path::new(SOCKET),
        };
        let asked = exchange(Udp::connect_unix(path), question, RATE_TIMEOUT).await;
        return asked.map_err(|what| format!("{}: {what}", path.display()));
    };
    let state = &environment.rate;
    let server = pick(environment, host, *port).await?;
    let answer = exchange(Udp::connect(server), question, *timeout).await;
    answer.map_err(|what| {
        if *bad_host && plugins.rate_reresolve.is_some() {
            state.leave_out(server);
        }
        format!("{server}: {what}")
    })
}

/// The next of the server's addresses.
async fn pick(environment: &Environment, host: &str, port: u16) -> Result<SocketAddr, String> {
    let state = &environment.rate;
    let now = engine::time::now();
    let reresolve = environment.settings.plugins.rate_reresolve;
    let old = |servers: &Servers| reresolve.is_some_and(|every| now - servers.resolved >= every);
    let known = state.servers.borrow().as_ref().is_some_and(|servers| !old(servers));
    if !known {
        let found = addresses(environment, host.as_bytes(), None).await;
        let found: Vec<SocketAddr> = found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        let mut servers = state.servers.borrow_mut();
        // What was known serves on where the name cannot be resolved.
        if !found.is_empty() || servers.is_none() {
            *servers = Some(Servers { addresses: found, resolved: now });
        }
    }
    let servers = state.servers.borrow();
    let addresses = servers.as_ref().map_or(&[][..], |servers| &servers.addresses);
    let at = state.next.replace(state.next.get().wrapping_add(1));
    let picked = addresses.get(at % addresses.len().max(1)).copied();
    if picked.is_none() {
        drop(servers);
        state.servers.take();
    }
    picked.ok_or_else(|| format!("{host} has no address"))
}

impl RateState {
    /// As long as one is left.
    fn leave_out(&self, server: SocketAddr) {
        if let Some(servers) = &mut *self.servers.borrow_mut()
            && servers.addresses.len() > 1
        {
            servers.addresses.retain(|other| *other != server);
        }
    }
}

async fn exchange(
    connecting: impl Future<Output = std::io::Result<Udp>>,
    question: &Question,
    patience: Duration,
) -> Result<Answer, String> {
    let mut cookie = [0; 4];
    engine::rng::fill(&mut cookie);
    let cookie = u32::from_ne_bytes(cookie);
    let asking = async {
        let socket = connecting.await?;
        socket.send(Bytes::from(question.encode(cookie))).await?;
        for _ in 0..RATE_STRAY_DATAGRAMS_MAX {
            if let Some(answer) = question.decode(cookie, &socket.recv().await?) {
                return Ok(answer);
            }
        }
        Err(std::io::Error::other("others answer"))
    };
    match timeout(patience, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {patience:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(count: u32, sync: bool) -> Question {
        Question { namespace: b"ns".to_vec(), entry: vec![b'e'; 600], count, interval_s: 0x0102, sync }
    }

    #[test]
    fn questions_have_the_layout_of_the_protocol() {
        let cookie = u32::from_ne_bytes(*b"cook");
        for (count, sync, kind, bytes) in [(7, true, 1, 590), (7, false, 5, 590), (0, true, 2, 586)] {
            let text = question(count, sync).encode(cookie);
            assert_eq!(text.len(), bytes);
            assert_eq!(text[..10], [&[1, kind][..], b"cook", &[0, 0, 1, 2]].concat());
            let names = if count > 0 { &text[14..] } else { &text[10..] };
            if count > 0 {
                assert_eq!(text[10..14], [0, 0, 0, 7]);
            }
            assert_eq!((&names[..3], &names[64..66]), (&b"ns\0"[..], &b"ee"[..]));
        }
    }

    #[test]
    fn only_answers_to_the_question_count() {
        let cookie = u32::from_ne_bytes(*b"cook");
        let hit = question(7, true);
        assert_eq!(hit.decode(cookie, b"cook\x01\x00\x09\0\0\0"), Some(Answer::Allowed(true)));
        assert_eq!(hit.decode(cookie, b"cook\x00\x01\x09\0\0\0"), Some(Answer::Allowed(false)));
        assert_eq!(hit.decode(cookie, b"kooc\x01\x00\x09\0\0\0"), None);
        assert_eq!(hit.decode(cookie, b"cook\x01\0\0\0"), None);
        let count = [&b"cook"[..], &5_u32.to_ne_bytes()].concat();
        assert_eq!(question(0, true).decode(cookie, &count), Some(Answer::Count(5)));
        assert_eq!(question(0, true).decode(cookie, b"coo"), None);
    }
}
