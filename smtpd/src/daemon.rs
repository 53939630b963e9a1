//! What the server does for its scripts, beyond their own library.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use hostcalls::daemon::{Answer, Daemon, Limit, Post, QuotaUse, Relinquish, Suspend};
use hostcalls::mail::Posted;
use hostcalls::smtp;
use ipnet::IpNet;
use net::dns::{Failure, Question, Resolved};
use queue::Field;
use queue::policy::Kind;

use crate::control::shards::{self, Asking};
use crate::delivery::Family;
use crate::dynamic;
use crate::dynamic::wanted::{WantedCondition, WantedThen, field, id_or_new, seconds};
use crate::limits;
use crate::program::Control;
use crate::shard::{Shard, Shell};
use crate::snapshot::Route;

/// The server, on the shard where it is asked.
#[derive(Debug)]
pub(crate) struct OfShard;

impl Post for OfShard {
    fn queue(&self, posted: Posted) -> Answer<Result<String, String>> {
        Box::pin(async move {
            let shard = Shell::here().shard().ok_or("the server ends")?;
            crate::posted::queue(&shard, posted).await
        })
    }
}

impl Daemon for OfShard {
    fn transport(&self, id: &str) -> Result<smtp::Server, String> {
        let snapshot = Shell::here().shard().ok_or("the server ends")?.snapshot();
        let route = snapshot.routes.get(id).ok_or("there is none of that name")?;
        Ok(server(route))
    }

    fn source(&self, id: &str) -> Result<smtp::Source, String> {
        let snapshot = Shell::here().shard().ok_or("the server ends")?.snapshot();
        let address = snapshot.route_parts.address(id).ok_or(format!("there is no address \"{id}\""))?;
        match address.proxy {
            Some(_) => Err(format!("\"{id}\" is behind a proxy, which scripts do not go through")),
            None => {
                let config::Address { address, nonlocal, .. } = *address;
                Ok(smtp::Source::From { address, id: id.to_owned(), nonlocal })
            }
        }
    }

    fn look_up(&self, question: Question) -> Answer<Resolved> {
        Box::pin(async move {
            match Shell::here().shard() {
                Some(shard) => shard.resolver.ask(question).await,
                None => Resolved::failed(Failure::NoServers),
            }
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

    fn relinquish(&self, wanted: Relinquish) -> Answer<Result<(), String>> {
        Box::pin(ask_control(move || relinquish_everywhere(wanted)))
    }

    fn relinquished(&self) -> Vec<Vec<(String, String)>> {
        let Some(shard) = Shell::here().shard() else { return Vec::new() };
        let named = |(field, value): &(Field, String)| (field.name().to_owned(), value.clone());
        let rules = shard.rules();
        rules.relinquished.ways().iter().map(|way| way.fields.iter().map(named).collect()).collect()
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
    let asking = Asking::at_most(limits::SCRIPT_ASKS_SHARD);
    let answers = asking.all(move |shard| std::future::ready(ask(&shard))).await;
    answers.into_iter().filter_map(shards::Answer::here).collect()
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

/// On the control thread: adds a condition to a policy, for all shards.
async fn limit_everywhere(wanted: Limit) -> Result<String, String> {
    let control = control()?;
    let kind = Kind::parse(&wanted.kind).ok_or_else(|| format!("there is no type \"{}\"", wanted.kind))?;
    let condition = control.condition(WantedCondition {
        policy: wanted.fields,
        values: values(wanted.condition)?,
        kind,
        then: WantedThen {
            concurrency: wanted.concurrency,
            rate: wanted.rate.map(|(count, seconds)| (count.into(), seconds, None)),
            connect_interval_s: wanted.connect_interval_s,
            tag: wanted.tag,
            stop: wanted.stop,
            cluster: wanted.cluster,
            properties: wanted.properties.into_iter().collect(),
        },
        ttl_s: wanted.ttl_s,
        id: wanted.id,
    })?;
    if !wanted.update
        && let Some(old) = control.dynamic.conditions().iter().find(|old| old.equals(&condition))
    {
        return Ok(old.rule.id.clone());
    }
    control.add_condition(condition).await
}

fn values(given: Vec<(String, String)>) -> Result<Vec<(Field, String)>, String> {
    given.into_iter().map(|(name, value)| Ok((field(&name)?, value))).collect()
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
    let fields = values(wanted.fields)?;
    if !wanted.update
        && let Some(old) = control.dynamic.suspends().iter().find(|old| old.equals(&fields))
    {
        return Ok(old.id.clone());
    }
    let id = control.dynamic.add(dynamic::Suspend {
        id: id_or_new(wanted.id),
        fields,
        tag: wanted.tag,
        until_ms: dynamic::until(seconds("ttl", wanted.ttl_s)?, engine::time::steady_ms()),
        properties: wanted.properties.into_iter().collect(),
    })?;
    control.dynamic_changed().await?;
    Ok(id)
}

/// On the control thread: has attempts go back to their scripts, on all shards.
async fn relinquish_everywhere(wanted: Relinquish) -> Result<(), String> {
    let control = control()?;
    let ttl = seconds("ttl", wanted.ttl_s)?;
    let new = crate::relinquish::Relinquish {
        fields: values(wanted.fields)?,
        value: wanted.value.map(Into::into),
        until_ms: dynamic::until(ttl, engine::time::steady_ms()).unwrap_or(u64::MAX),
    };
    if control.dynamic.relinquish(new, wanted.update)? {
        control.dynamic_changed().await?;
    }
    Ok(())
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
                smtp::Source::From { address: source.address, id: source.name(), nonlocal: source.nonlocal }
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
            dane: tls
                .dane
                .as_ref()
                .map(|dane| smtp::ServerDane { side: dane.side.clone(), policy: dane.policy }),
        }),
    }
}
