//! What the server does for its scripts, beyond their own library.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::boot::ShardId;
use hostcalls::daemon::{Answer, Daemon, Limit, Property, QuotaUse, Suspend};
use hostcalls::mail::Posted;
use hostcalls::smtp;
use ipnet::IpNet;
use queue::Field;
use queue::policy::{self, FieldSet, Kind, Limits, Rate, Then};

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
        Box::pin(ask_control(move || suspend_everywhere(suspend)))
    }

    fn limit(&self, limit: Limit) -> Answer<Result<String, String>> {
        Box::pin(ask_control(move || limit_everywhere(limit)))
    }

    fn unlimit(&self, id: String) -> Answer<Option<bool>> {
        Box::pin(async move { ask_control(move || unlimit_everywhere(id)).await.ok() })
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

/// Has the control thread do something.
async fn ask_control<T, F, Fut>(ask: F) -> Result<T, String>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, String>> + 'static,
{
    let asked = engine::mesh::call_task(engine::boot::control(), ask);
    match engine::time::timeout(limits::SCRIPT_ASKS_CONTROL, asked).await {
        Ok(Ok(done)) => done,
        _ => Err("the control thread does not answer".to_owned()),
    }
}

fn control() -> Result<Rc<Control>, String> {
    engine::mesh::local::get::<Control>().ok_or_else(|| "the server has not started yet".to_owned())
}

fn field(name: &str) -> Result<Field, String> {
    let known = Field::ALL.into_iter().find(|field| field.name() == name);
    known.ok_or_else(|| format!("there is no field \"{name}\""))
}

/// On the control thread: adds a condition to a policy, for all shards.
async fn limit_everywhere(wanted: Limit) -> Result<String, String> {
    let control = control()?;
    let set = FieldSet::new(wanted.fields.iter().map(|name| field(name)).collect::<Result<Vec<_>, _>>()?);
    let values = wanted.condition.into_iter().map(|(name, value)| Ok((field(&name)?, vec![value])));
    let values = values.collect::<Result<Vec<_>, String>>()?;
    let kind = Kind::parse(&wanted.kind).ok_or_else(|| format!("there is no type \"{}\"", wanted.kind))?;
    let equal = |old: &dynamic::Condition| {
        (old.rule.kind, old.rule.fields) == (kind, set) && old.rule.condition.fields == values
    };
    if !wanted.update
        && let Some(old) = control.dynamic.conditions().iter().find(|old| equal(old))
    {
        return Ok(old.rule.id.clone());
    }
    let milliseconds = |what: &str, seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds).map_err(|_| format!("{what}: it is too long"))?;
        Ok::<u64, String>(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    let rate = wanted.rate.map(|(count, seconds)| {
        let interval_ms = milliseconds("rate", seconds)?.max(1);
        Ok::<Rate, String>(Rate { count, interval_ms, algorithm: policy::Algorithm::default() })
    });
    let connect_interval_ms =
        wanted.connect_interval_s.map(|seconds| milliseconds("connectinterval", seconds)).transpose()?;
    let property = |property| match property {
        Property::Text(text) => policy::Property::Text(text),
        Property::Number(number) => policy::Property::Number(number),
        Property::Bool(flag) => policy::Property::Bool(flag),
    };
    let then = Then {
        limits: Limits {
            concurrency: wanted.concurrency,
            rate: rate.transpose()?,
            connect_interval_ms: connect_interval_ms.filter(|interval_ms| *interval_ms > 0),
        },
        tag: Some(wanted.tag).filter(|tag| !tag.is_empty()),
        stop: wanted.stop,
        cluster: wanted.cluster,
        properties: wanted.properties.into_iter().map(|(name, value)| (name, property(value))).collect(),
    };
    let ttl = Duration::try_from_secs_f64(wanted.ttl_s).map_err(|_| "ttl: it is too long".to_owned())?;
    let condition = dynamic::Condition {
        rule: policy::Dynamic {
            id: wanted.id.unwrap_or_else(|| format!("{:016x}", engine::rng::u64())),
            kind,
            fields: set,
            condition: policy::Condition { fields: values, then },
        },
        until_ms: dynamic::until(ttl, engine::time::steady_ms()),
    };
    control.add_condition(condition).await
}

/// On the control thread: removes a condition, for all shards.
async fn unlimit_everywhere(id: String) -> Result<bool, String> {
    let control = control()?;
    let removed = control.dynamic.remove_conditions(|condition| condition.rule.id == id) > 0;
    if removed {
        control.dynamic_changed().await?;
    }
    Ok(removed)
}

/// On the control thread: adds a suspend, for all shards.
async fn suspend_everywhere(wanted: Suspend) -> Result<String, String> {
    let control = control()?;
    let fields = wanted.fields.into_iter().map(|(name, value)| Ok((field(&name)?, value)));
    let fields = fields.collect::<Result<Vec<_>, String>>()?;
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
