//! What the server does for its scripts, beyond their own library.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use engine::boot::ShardId;
use hostcalls::daemon::{Answer, Daemon, QuotaUse};
use hostcalls::mail::Posted;
use hostcalls::smtp;
use ipnet::IpNet;

use crate::delivery::Family;
use crate::limits;
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

/// A route for a single session of a script: with the first of its source addresses.
fn server(route: &Route) -> smtp::Server {
    let mut session = route.session.clone();
    let sources = route.sources.families.each_ref().map(|family| match family {
        Family::Off => smtp::Source::Off,
        Family::System => smtp::Source::System,
        Family::Pool(pool) => match pool.first() {
            None => smtp::Source::Off,
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
