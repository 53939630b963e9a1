//! `redis` and `hiredis-cluster`: commands for servers of Redis.

mod cluster;
mod resp;

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use config::{RedisKind, RedisProfile};
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun};
use script::value::{Array, Object, Value};

use cluster::{Node, Redirection, SlotMap, slot_of};
use resp::{Decoder, Reply, encode};

use super::link::{Place, within};
use super::pool::{Bounds, Fate, Holder};
use super::profile::named;
use super::{Link, Pools, REDIS, REDIS_CLUSTER, ServiceError};
use crate::arguments::Arguments;
use crate::library::{HostFunction, HostFuture};
use crate::{Environment, Execution};

pub(super) static CLASS: NativeClass = NativeClass {
    name: "Redis",
    doc: "A server of Redis, a cluster, or a master that sentinels know.",
    extends: None,
    constructor: Some(Native::inline(
        "Redis",
        "[string profile]",
        (0, Some(1)),
        "By a profile of plugins[]; without one the default profile, the only one, or a server on this machine.",
        construct,
    )),
    methods: &[Native {
        name: "command",
        params: "string command [, string argument...]",
        doc: "Sends a command. The answer: a string, number, boolean, array or none. What the server says is an error, and \
              what goes wrong on the way, throws.",
        min_args: 1,
        max_args: None,
        run: NativeRun::Host(REDIS),
    }],
    statics: &[],
};

pub(super) const HOST: [HostFunction; 2] = [
    HostFunction { number: REDIS, run: command },
    HostFunction { number: REDIS_CLUSTER, run: cluster_command },
];

/// What a shard keeps.
#[derive(Default)]
pub(super) struct State {
    pools: Pools<Link>,
    slots: SlotMap,
}

/// An object of the class.
struct Redis {
    /// None: the default one.
    profile: Option<String>,
    /// A transaction is under way on it.
    held: Holder<Link>,
}

impl HostObject for Redis {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn size_bytes(&self) -> usize {
        size_of::<Redis>() + self.profile.as_ref().map_or(0, String::len)
    }
}

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    let known = |environment: &Environment, name: Option<&str>| find(environment, name).is_ok();
    let profile = named(call, "invalid profile: ", "redis", known)?;
    Ok(Object::host(Redis { profile, held: Holder::default() }).into())
}

fn find(environment: &Environment, name: Option<&str>) -> Result<RedisProfile, ServiceError> {
    let profiles = &environment.settings.plugins.services.redis;
    match profiles.find(name) {
        Some(profile) => Ok(profile.clone()),
        None if name.is_none() && profiles.list.is_empty() => Ok(RedisProfile::local()),
        None => Err(ServiceError::Settings("redis: there is no such profile any more".to_owned())),
    }
}

fn command(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let words = words(&call)?;
        let environment = execution.environment();
        let answer = match find(environment, call.this::<Redis>()?.profile.as_deref()) {
            Ok(profile) => ask(environment, &profile, &words, &call.this::<Redis>()?.held).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(Reply::Error(text)) => Err(Fault::error(String::from_utf8_lossy(&text).into_owned())),
            Ok(reply) => Ok(reply.into_value()),
            Err(error) => Err(call.error(error)),
        }
    })
}

/// `reply`, which an error of the server is as well, or `error`.
fn cluster_command(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let words = words(&call)?;
        let environment = execution.environment();
        let profile = environment.settings.plugins.services.redis_cluster.clone();
        let answer = match profile {
            Some(profile) => ask(environment, &profile, &words, &Holder::default()).await,
            None => Err(ServiceError::Settings("plugins[] has no hiredis-cluster".to_owned())),
        };
        let mut result = Array::new();
        match answer {
            Ok(reply) => result.set_str("reply", reply.into_value()),
            Err(error) => result.set_str("error", error.to_string()),
        }
        Ok(result.into())
    })
}

fn words(call: &HostCall) -> Result<Vec<Bytes>, Fault> {
    let word = |index| Ok(Bytes::from_owner(call.str(index)?.freeze()));
    (0..call.args.len()).map(word).collect()
}

/// Sends a command to where it belongs.
async fn ask(
    environment: &Environment,
    profile: &RedisProfile,
    words: &[Bytes],
    holder: &Holder<Link>,
) -> Result<Reply, ServiceError> {
    match profile.kind {
        RedisKind::Cluster => ask_cluster(environment, profile, words).await,
        RedisKind::Standalone | RedisKind::Sentinel(_) => {
            ask_node(environment, profile, None, words, false, holder).await
        }
    }
}

/// Sends a command to the node that has its key, as far as that is known; else to any that answers, which says where it has to
/// go. One that cannot be reached may have left the cluster: then others are asked.
async fn ask_cluster(
    environment: &Environment,
    profile: &RedisProfile,
    words: &[Bytes],
) -> Result<Reply, ServiceError> {
    let slots = &environment.services.redis.slots;
    let slot = slot_of(words);
    let mut next = slot.and_then(|slot| slots.find(&profile.id, slot));
    let mut others = profile.hosts.iter();
    let mut asking = false;
    let mut failed = ServiceError::Settings("the cluster has no nodes".to_owned());
    for _ in 0..=profile.hosts.len() + profile.redirections as usize {
        let Some(node) = next.take().or_else(|| others.next().cloned()) else { return Err(failed) };
        let unheld = Holder::default();
        let answer = match ask_node(environment, profile, Some(&node), words, asking, &unheld).await {
            Ok(answer) => answer,
            Err(error) => {
                slot.inspect(|slot| slots.forget(&profile.id, *slot));
                if !matches!(error, ServiceError::Connect { .. } | ServiceError::Unresolved(_)) {
                    return Err(error);
                }
                (asking, failed) = (false, error);
                continue;
            }
        };
        match (redirection(&answer, &node.0), slot) {
            (Some(Redirection::Moved(slot, to)), _) => {
                slots.learn(&profile.id, slot, to.clone());
                (next, asking) = (Some(to), false);
            }
            (Some(Redirection::Ask(to)), _) => (next, asking) = (Some(to), true),
            (None, Some(slot)) if !asking => {
                slots.learn(&profile.id, slot, node);
                return Ok(answer);
            }
            (None, _) => return Ok(answer),
        }
    }
    Err(ServiceError::Protocol(format!("there were more than {} redirections", profile.redirections)))
}

fn redirection(answer: &Reply, asked: &str) -> Option<Redirection> {
    match answer {
        Reply::Error(text) => Redirection::read(text, asked),
        _ => None,
    }
}

/// Sends a command to one node; none: the one that the profile names, or that sentinels know.
async fn ask_node(
    environment: &Environment,
    profile: &RedisProfile,
    node: Option<&Node>,
    words: &[Bytes],
    asking: bool,
    holder: &Holder<Link>,
) -> Result<Reply, ServiceError> {
    let key = match node {
        Some((host, port)) => format!("{} {host}:{port}", profile.id),
        None => profile.id.clone(),
    };
    let bounds = Bounds {
        size: profile.pool_size,
        wait: profile.wait_timeout,
        lifetime: profile.lifetime,
        idle_time: profile.idle_time,
    };
    let pool = environment.services.redis.pools.of(&key, bounds);
    let open = async || open(environment, profile, node).await;
    let run = async |link: &mut Link| {
        let exchange = async {
            if asking {
                exchange(link, &[Bytes::from_static(b"ASKING")]).await?;
            }
            exchange(link, words).await
        };
        within(profile.socket_timeout, "the command", exchange).await
    };
    let fate = |link: &Link, answer: &Result<Reply, ServiceError>| {
        // A master that is one no more is asked once.
        let read_only = matches!(answer, Ok(Reply::Error(text)) if text.starts_with(b"READONLY"));
        if link.input.is_empty() && !read_only { fate_after(words, answer) } else { Fate::Close }
    };
    pool.with(holder, open, run, fate).await
}

/// Commands that change what the next ones on the connection mean: it is not for others any more. Within a transaction it is
/// only for who has begun it.
fn fate_after(words: &[Bytes], answer: &Result<Reply, ServiceError>) -> Fate {
    const CHANGING: &[&str] = &[
        "AUTH",
        "CLIENT",
        "HELLO",
        "MONITOR",
        "PSUBSCRIBE",
        "QUIT",
        "READONLY",
        "RESET",
        "SELECT",
        "SSUBSCRIBE",
        "SUBSCRIBE",
        "SYNC",
        "PSYNC",
    ];
    let Some(name) = words.first() else { return Fate::Close };
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let queued = matches!(answer, Ok(Reply::Text(text)) if text[..] == *b"QUEUED");
    if CHANGING.iter().any(|known| is(known)) {
        Fate::Close
    } else if is("MULTI") || is("WATCH") || queued {
        Fate::Hold
    } else {
        Fate::Rest
    }
}

async fn exchange(link: &mut Link, words: &[Bytes]) -> Result<Reply, ServiceError> {
    link.send(encode(words)).await?;
    let mut decoder = Decoder::default();
    loop {
        if let Some(reply) = decoder.decode(&mut link.input).map_err(ServiceError::protocol)? {
            return Ok(reply);
        }
        link.fill().await?;
    }
}

/// Connects, and says who we are.
async fn open(
    environment: &Environment,
    profile: &RedisProfile,
    node: Option<&Node>,
) -> Result<Link, ServiceError> {
    let opening = async {
        match (node, &profile.kind) {
            (Some(node), _) => login(environment, profile, node).await,
            (None, RedisKind::Sentinel(name)) => {
                let node = master(environment, profile, name).await?;
                let mut link = login(environment, profile, &node).await?;
                match exchange(&mut link, &[Bytes::from_static(b"ROLE")]).await? {
                    Reply::List(role)
                        if role.first() == Some(&Reply::Text(Bytes::from_static(b"master"))) =>
                    {
                        Ok(link)
                    }
                    _ => Err(ServiceError::Connect {
                        to: format!("{}:{}", node.0, node.1),
                        why: "it is not the master, as sentinels say".to_owned(),
                    }),
                }
            }
            (None, _) => match profile.hosts.first() {
                Some(node) => login(environment, profile, node).await,
                None => Err(ServiceError::Settings("redis: the profile has no host".to_owned())),
            },
        }
    };
    within(profile.connect_timeout, "connecting", opening).await
}

async fn login(
    environment: &Environment,
    profile: &RedisProfile,
    (host, port): &Node,
) -> Result<Link, ServiceError> {
    let place = Place::Host(host.clone(), *port);
    let mut link = Link::connect(environment, &place, profile.connect_timeout).await?;
    if profile.tls.enabled == Some(true) {
        link.encrypt(environment, host, profile.tls).await?;
    }
    let mut commands = Vec::new();
    if let Some(password) = &profile.password {
        commands.push([Some("AUTH"), profile.user.as_deref(), Some(password)]);
    }
    let db = profile.db.to_string();
    if profile.db != 0 && profile.kind != RedisKind::Cluster {
        commands.push([Some("SELECT"), None, Some(&db)]);
    }
    for command in commands {
        let words: Vec<Bytes> =
            command.into_iter().flatten().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        if let Reply::Error(text) = exchange(&mut link, &words).await? {
            return Err(ServiceError::Refused(String::from_utf8_lossy(&text).into_owned()));
        }
    }
    Ok(link)
}

/// The master of this name, as the first sentinel that answers says.
async fn master(environment: &Environment, profile: &RedisProfile, name: &str) -> Result<Node, ServiceError> {
    let mut failed = ServiceError::Settings("redis: the profile has no sentinels".to_owned());
    let patience = profile.connect_timeout / profile.hosts.len().clamp(1, 3) as u32;
    for (host, port) in &profile.hosts {
        let asking = async {
            let place = Place::Host(host.clone(), *port);
            let mut link = Link::connect(environment, &place, patience).await?;
            let words = ["SENTINEL", "get-master-addr-by-name", name];
            exchange(&mut link, &words.map(|word| Bytes::copy_from_slice(word.as_bytes()))).await
        };
        match within(patience, "asking a sentinel", asking).await {
            Ok(reply) => match node_of(&reply) {
                Some(node) => return Ok(node),
                None => failed = ServiceError::Refused(format!("the sentinel knows no master {name:?}")),
            },
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// `[host, port]`
fn node_of(reply: &Reply) -> Option<Node> {
    let Reply::List(parts) = reply else { return None };
    let [Reply::Text(host), Reply::Text(port)] = &parts[..] else { return None };
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some((std::str::from_utf8(host).ok()?.to_owned(), port))
}

/// Whatever a server may say: it comes to the same however it is cut; and any words are a command that can be read.
pub(super) fn check(bytes: &[u8]) {
    let read = |piece: usize| {
        let (mut decoder, mut input, mut replies) = (Decoder::default(), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece.max(1)) {
            input.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut input) {
                    Ok(Some(reply)) => {
                        replies.push(reply);
                        decoder = Decoder::default();
                    }
                    Ok(None) => break,
                    Err(error) => return (replies, Some(error)),
                }
            }
        }
        (replies, None)
    };
    let whole = read(bytes.len());
    // A number may be none, which is not equal to itself.
    assert_eq!(format!("{:?}", read(3)), format!("{whole:?}"));
    whole.0.into_iter().for_each(|reply| drop(reply.into_value()));
    let words: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let mut command = BytesMut::from(&encode(&words)[..]);
    let texts = words.iter().map(|word| Reply::Text(Bytes::copy_from_slice(word))).collect();
    assert_eq!(Decoder::default().decode(&mut command), Ok(Some(Reply::List(texts))));
}
