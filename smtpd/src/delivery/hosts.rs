//! The way of an attempt over the hosts of its next hop: which connection to use, and where to go on when one fails.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use queue::{Attempt, Diagnosis, Outcome, Reason, Remote};

use super::attempt::Connection;
use super::facts::{AttemptFacts, Stopwatch};
use super::next_hop;
use super::report::Report;
use crate::limits;
use crate::shard::Shard;
use crate::snapshot::Route;

/// Carries out an attempt over `connection`, or over a new one, which is left there if it can be used again.
pub(super) async fn run(
    shard: &Rc<Shard>,
    attempt: &Attempt,
    route: &Arc<Route>,
    connection: &mut Option<Connection>,
    facts: &mut AttemptFacts,
) -> Report {
    facts.queue_ms = engine::time::wall_ms().saturating_sub(attempt.received_ms);
    if let Some(open) = connection.take() {
        // A connection that stood idle may have been closed by the peer: that says nothing about the message.
        if let Some(report) = transact(shard, attempt, open, connection, facts).await {
            return report;
        }
    }
    let looking = Stopwatch::start();
    let candidates = next_hop::find(shard, route, &attempt.destination).await;
    facts.dns_ms = looking.elapsed_ms();
    let candidates = match candidates {
        Ok(candidates) => candidates,
        Err(outcome) => return Report::for_all(outcome),
    };
    let mut failure = Report::for_all(Outcome::Temporary("no host to connect to".into()));
    let connecting = Stopwatch::start();
    for candidate in candidates.iter().take(limits::HOSTS_PER_ATTEMPT) {
        facts.connects += 1;
        facts.mx = Some(Arc::clone(&candidate.name));
        facts.remote = Some(SocketAddr::new(candidate.address, route.port));
        let opened = Connection::establish(route, candidate).await;
        facts.connect_ms = connecting.elapsed_ms();
        let open = match opened {
            Ok(open) => open,
            Err(outcome) => {
                failure = Report::for_all(outcome);
                continue;
            }
        };
        let (peer, remote) = (open.peer(), open.remote());
        if let Some(report) = transact(shard, attempt, open, connection, facts).await {
            return report;
        }
        failure = Report::for_all(Outcome::Temporary(connection_lost(&peer, remote)));
    }
    failure
}

/// RFC 3463: 4.4.2 bad connection.
fn connection_lost(peer: &str, remote: Remote) -> Reason {
    Diagnosis::new(format!("{peer}: connection lost")).with_enhanced(4, 4, 2).with_remote(remote).into()
}

/// One transaction; the connection stays in `connection` if it can be used again. `None`: it was gone before the
/// peer said anything about the message.
async fn transact(
    shard: &Rc<Shard>,
    attempt: &Attempt,
    mut open: Connection,
    connection: &mut Option<Connection>,
    facts: &mut AttemptFacts,
) -> Option<Report> {
    open.describe(facts);
    let sending = Stopwatch::start();
    let report = open.transact(shard, attempt).await;
    facts.send_ms = sending.elapsed_ms();
    if report.is_some() && open.is_usable() {
        *connection = Some(open);
    }
    report
}
