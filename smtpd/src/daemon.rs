//! What the server does for its scripts, beyond their own library.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::boot::ShardId;
use hostcalls::daemon::{Answer, Daemon, Property, QuotaUse, Suspend};
use hostcalls::mail::Posted;
use hostcalls::smtp;
use ipnet::IpNet;
use queue::Field;

use crate::delivery::Family;
use crate::dynamic;
use crate::limits;
use crate::program::Control;
use crate::shard::{Shard, Shell};
use crate::snapshot::Route;

/// The server, on the shard where it is asked.
#[derive(Debug)]
pub(crate) struct OfShard;

impl Daemon for OfShard {
    fn transport(&self, id: &str) -> Option<smtp::Server> {
        let snapshot = Shell::here().shard()?.snapshot();
        snapshot.routes.get(id).map(|route| server(route))
    }

    fn queue(&self, posted: Posted) -> Answer<Result<String, String>> {
        Box::pin(async move {
            let shard = Shell::here().shard().ok_or("the server ends")?;
            crate::posted::queue(&shard, posted).await
        })
    }

    fn quota(&self, name: String) -> Answer<QuotaUse> {
        Box::pin(async move {
            let all = ask_all(move |shard| shard.queue.borrow().quota(&name)).await;
            all.iter().fold(QuotaUse::default(), |sum, one| QuotaUse {
                count: sum.count + one.count,
                bytes: sum.bytes + one.bytes,
            })
        })
    }

    fn suspend(&self, suspend: Suspend) -> Answer<Result<String, String>> {
        Box::pin(async move {
            let asked = engine::mesh::call_task(engine::boot::control(), move || suspend_everywhere(suspend));
            match engine::time::timeout(limits::SCRIPT_ASKS_CONTROL, asked).await {
                Ok(Ok(done)) => done,
                _ => Err("the control thread does not answer".to_owned()),
            }
        })
    }

    fn connections(&self, server: String, from: Option<IpNet>) -> Answer<Option<u64>> {
        Box::pin(async move {
            let shard = Shell::here().shard()?;
            let number = shard.snapshot().servers.iter().position(|known| *known.id == *server)?;
            let Some(from) = from else {
                return Some(shard.program.connections[number].load(Ordering::Relaxed).into());
            };
            let all = ask_all(move |shard| shard.sessions.count_of(number, &from)).await;
            Some(all.iter().sum())
        })
    }
}

/// Asks all shards. One that says nothing counts as one that has nothing.
async fn ask_all<T: Send + 'static>(ask: impl Fn(&Rc<Shard>) -> T + Clone + Send + 'static) -> Vec<T> {
    let mut answers = Vec::new();
    for shard in 0..engine::boot::shards() {
        let ask = ask.clone();
        let asking =
            engine::mesh::call(ShardId(shard), move || Shell::here().shard().map(|shard| ask(&shard)));
        if let Ok(Ok(Some(answer))) = engine::time::timeout(limits::SCRIPT_ASKS_SHARD, asking).await {
            answers.push(answer);
        }
    }
    answers
}

/// On the control thread: adds a suspend, for all shards.
async fn suspend_everywhere(wanted: Suspend) -> Result<String, String> {
    let control = engine::mesh::local::get::<Control>().ok_or("the server has not started yet")?;
    let field = |(name, value): (String, String)| {
        let known = Field::ALL.into_iter().find(|field| field.name() == name);
        known.map(|field| (field, value)).ok_or_else(|| format!("there is no field \"{name}\""))
    };
    let fields = wanted.fields.into_iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let equal = |old: &dynamic::Suspend| old.fields.len() == fields.len() && old.has(&fields);
    if !wanted.update
        && let Some(old) = control.dynamic.suspends().iter().find(|old| equal(old))
    {
        return Ok(old.id.clone());
    }
    let property = |(name, property)| {
        let property = match property {
            Property::Text(text) => config::Property::Text(text),
            Property::Number(number) => config::Property::Number(number),
            Property::Bool(flag) => config::Property::Bool(flag),
        };
        (name, property)
    };
    let ttl = Duration::try_from_secs_f64(wanted.ttl_s).map_err(|_| "ttl: it is too long".to_owned())?;
    let id = control.dynamic.add(dynamic::Suspend {
        id: wanted.id.unwrap_or_else(|| format!("{:016x}", engine::rng::u64())),
        fields,
        tag: wanted.tag,
        until_ms: dynamic::until(ttl, engine::time::steady_ms()),
        properties: wanted.properties.into_iter().map(property).collect(),
    })?;
    control.dynamic_changed().await?;
    Ok(id)
}

/// A route for a single session of a script: with the first of its source addresses. It does not go through proxies, and so
/// not from the addresses that those have.
fn server(route: &Route) -> smtp::Server {
    let mut session = route.session.clone();
    let sources = route.sources.families.each_ref().map(|family| match family {
        Family::Off => smtp::Source::Off,
        Family::System if route.proxy.is_some() => smtp::Source::Off,
        Family::System => smtp::Source::System,
        Family::Pool(pool) => match pool.first() {
            None => smtp::Source::Off,
            Some(source) if source.proxy.is_some() => smtp::Source::Off,
            Some(source) => {
                session = source.session.clone();
                smtp::Source::From {
                    address: source.address,
                    id: source.id.to_string(),
                    nonlocal: source.nonlocal,
                }
            }
        },
    });
    smtp::Server {
        next_hop: route.next_hop.clone(),
        port: route.port,
        mx: route.mx.clone(),
        sources,
        connect_timeout: route.connect_timeout,
        session,
        tls: route.tls.as_ref().map(|tls| smtp::ServerTls {
            side: tls.side.clone(),
            implicit: tls.implicit,
            optional: tls.optional,
        }),
    }
}
