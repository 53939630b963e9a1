//! Idle connections move to the shard whose mail waits for one, where policies leave too few for all (decision 0048).

use std::rc::Rc;
use std::sync::Arc;

use engine::boot::ShardId;
use engine::mesh;
use engine::task::Class;
use net::smtp::client::Session;
use queue::Destination;
use tls::{ResultType, TlsInfo};

use super::attempt::Connection;
use super::facts::ConnectionFacts;
use super::lane::Lane;
use super::policies::Units;
use super::pool::Key;
use crate::shard::{Shard, Shell};

/// A connection on its way from one shard to another. Dropped, it closes and its places are free.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) stream: tls::Moving,
    pub(super) session: Session,
    pub(super) tls: Option<TlsInfo>,
    pub(super) tls_result: Option<ResultType>,
    pub(super) mx: Arc<str>,
    pub(super) helo: Arc<str>,
    pub(super) key: Key,
    pub(super) source: Option<Arc<str>>,
    pub(super) facts: Option<ConnectionFacts>,
    pub(super) units: Units,
}

/// Gives an idle connection to the shard whose mail waits for it by `counter`. It served `destination` last.
pub(super) async fn hand_over(
    shard: &Shard,
    open: Connection,
    destination: Destination,
    to: ShardId,
    counter: queue::policy::Key,
) {
    let Some(moving) = open.take_off().await else { return };
    shard.stats.pooling.moved.add(1);
    let from = engine::boot::current();
    let arrive = move || {
        // Where the shard has ended, the connection does, too.
        let Some(shard) = Shell::here().shard() else { return };
        moving.units.moved(from);
        let open = Connection::take_up(moving, &shard.stats);
        adopt(&shard, open, destination, counter);
    };
    if mesh::can_send(to) {
        let _ = mesh::send(to, arrive);
    } else {
        engine::task::spawn(Class::Interactive, async move {
            let _ = mesh::call(to, arrive).await;
        });
    }
}

fn adopt(shard: &Rc<Shard>, open: Connection, destination: Destination, counter: queue::policy::Key) {
    shard.delivery.begin(shard, move |lane: Lane| lane.adopt(open, destination, counter));
}
