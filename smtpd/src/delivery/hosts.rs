//! The way of an attempt over the hosts of its next hop: which connection to use, and where to go on when one fails.
//!
//! A failure before MAIL goes on to the next address and host within the same attempt, and is never final. What is
//! parked, suspended or unreachable from here is passed over.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use engine::sync::Sender;
use queue::policy::Applying;
use queue::{Diagnosis, Link, Outcome, Reason};
use tls::Demand;

use super::attempt::Connection;
use super::dane::{self, Refused};
use super::dial::Unusable;
use super::errand::Errand;
use super::facts::{AttemptFacts, Stopwatch};
use super::failures::Failures;
use super::next_hop::{self, Candidate};
use super::parking::Path;
use super::paths::{Admitted, Paths, Ticket};
use super::policies::{self, Go, Refusal, Units};
use super::pool::Key;
use super::report::{self, Report};
use super::rules::{Host, Rules};
use super::source::{self, Choice};
use crate::limits;
use crate::shard::Shard;
use crate::snapshot::{Route, Snapshot};

/// How a way ended.
pub(super) enum Ended {
    /// With this report.
    Here(Report),
    /// Another lane has a connection that will do: give it the attempt.
    Elsewhere(Sender<Errand>),
}

/// One attempt under way.
pub(super) struct Way<'a> {
    pub(super) shard: &'a Rc<Shard>,
    pub(super) snapshot: &'a Arc<Snapshot>,
    pub(super) errand: &'a Errand,
    pub(super) route: &'a Arc<Route>,
}

impl Way<'_> {
    /// Goes over `connection`, or over a new one, which is left there if it can be used again.
    pub(super) async fn go(&self, connection: &mut Option<Connection>, facts: &mut AttemptFacts) -> Ended {
        facts.queue_ms = engine::time::steady_ms().saturating_sub(self.errand.attempt.received_ms);
        if let Some(open) = connection.take()
            && let Some(report) = self.go_over(open, connection, facts).await
        {
            if !report.asks_for_another_host() {
                return Ended::Here(report);
            }
            give_up(connection).await;
        }
        let looking = Stopwatch::start();
        let candidates = next_hop::find(self.shard, self.route, self.errand).await;
        facts.dns_ms = looking.elapsed_ms();
        let candidates = match candidates {
            Ok(candidates) => candidates,
            Err(none) => {
                facts.dns_trouble = Some(none.trouble);
                return Ended::Here(Report::for_all(none.outcome));
            }
        };
        let mut failures = Failures { unknown: candidates.unknown, ..Failures::default() };
        let connecting = Stopwatch::start();
        for candidate in reachable(candidates.known) {
            if facts.connects as usize == limits::HOSTS_PER_ATTEMPT {
                break;
            }
            failures.refused_sources.clear();
            loop {
                let refused = failures.refused_sources.len();
                let ended = self.try_host(&candidate, connecting, connection, facts, &mut failures).await;
                if let Some(ended) = ended {
                    return ended;
                }
                // Where policies refused one of our addresses, another one may do.
                if failures.refused_sources.len() == refused {
                    break;
                }
            }
        }
        Ended::Here(failures.report())
    }

    /// Goes over a connection that has served others. `None`: it was no use, and is gone.
    async fn go_over(
        &self,
        open: Connection,
        connection: &mut Option<Connection>,
        facts: &mut AttemptFacts,
    ) -> Option<Report> {
        let host = Host { mx: open.mx(), address: open.address() };
        let applying = self.limiting(host, Some(open.local_ip()));
        if !open.units().fit(&applying) {
            open.quit().await;
            return None;
        }
        let attempt = &self.errand.attempt;
        let recipients = attempt.recipients.len();
        let go = match policies::message(self.shard, &applying, attempt.received_ms, recipients).await {
            Ok(go) => go,
            Err(refusal) => {
                *connection = Some(open);
                return Some(Report::for_all(policies::outcome(vec![refusal])));
            }
        };
        // What was not asked for says nothing about the others of the line.
        if applying.iter().any(|applying| applying.limits.rate.is_some()) {
            self.shard.queue.borrow_mut().permitted(attempt.id);
        }
        self.transact_for(go, open, connection, facts).await
    }

    /// The policies that limit the attempt at a host.
    fn limiting(&self, host: Host<'_>, local: Option<IpAddr>) -> Vec<Applying> {
        let policies = self.shard.rules().policies;
        policies::limiting(&policies, self.snapshot, &self.errand.attempt, host, local)
    }

    /// Places for a connection that is begun at once.
    async fn places(&self, applying: Vec<Applying>) -> Result<(Units, Go), Refusal> {
        let attempt = &self.errand.attempt;
        let recipients = attempt.recipients.len();
        loop {
            let permit = policies::connect(self.shard, &applying, attempt.received_ms, recipients).await?;
            // Where the last owner took longer than the first one's grant is good for, all is asked for again.
            if let Some(places) = permit.connected(&applying) {
                self.shard.queue.borrow_mut().permitted(attempt.id);
                return Ok(places);
            }
        }
    }

    /// Our address towards a host, where the rules or policies ask for it: the one that the system would choose, too.
    async fn local(&self, source: &Choice, remote: SocketAddr) -> Option<IpAddr> {
        let rules = self.shard.rules();
        let asked_for = rules.look_at_the_way() || rules.policies_look_at_source();
        match source.address() {
            None if asked_for => source::of_system(remote).await,
            address => address,
        }
    }

    /// `None`: it was no use, which is noted in `failures`.
    async fn try_host(
        &self,
        candidate: &Candidate,
        connecting: Stopwatch,
        connection: &mut Option<Connection>,
        facts: &mut AttemptFacts,
        failures: &mut Failures,
    ) -> Option<Ended> {
        let host = Host { mx: &candidate.name, address: candidate.address };
        let rules = Rules::new(self.snapshot, &self.errand.attempt).under(&self.shard.rules());
        let source = self.source(self.route, host, &rules, failures)?;
        match &source {
            Choice::Suspended => {
                failures.suspended = true;
                return None;
            }
            Choice::Undefined => {
                failures.ours = Some(undefined(&self.route.id, candidate));
                return None;
            }
            Choice::System | Choice::From(_) => {}
        }
        let local = self.local(&source, SocketAddr::new(candidate.address, self.route.port)).await;
        if rules.stop_all(host, local) {
            failures.suspended = true;
            return None;
        }
        if self.shard.predelivery(&self.errand.attempt).is_some()
            && let Some(back) = rules.given_back(host, local)
        {
            return Some(Ended::Here(Report::given_back(back)));
        }
        if let Some(stopped) = rules.stopped(host, local) {
            // The others come back at once, without those.
            let outcome = |stop| if stop { Outcome::Suspended } else { Outcome::NotTried };
            return Some(Ended::Here(Report::decided(stopped.into_iter().map(outcome).collect())));
        }
        let delivery = &self.shard.delivery;
        let route = match delivery.route_at(self.snapshot, self.errand, host, source.address()) {
            Ok(route) => route,
            Err(why) => {
                failures.ours = Some(why.into());
                return None;
            }
        };
        // The same address, with the settings of this route.
        let source = self.source(&route, host, &rules, failures)?;
        self.retry_by(&route, facts);
        let remote = SocketAddr::new(candidate.address, route.port);
        let demand = self.demand(&route, candidate, facts, failures).await?;
        let key = self.key(&route, remote, &source, host, demand);
        let is_under_dane = key.demand.is_some();
        if let Some(lane) = self.shard.delivery.pool.claim(&key) {
            self.shard.stats.pooling.hits.add(1);
            return Some(Ended::Elsewhere(lane));
        }
        let path = Path { source: source.address(), remote };
        let ticket = match Paths::here().admit(path).await {
            Admitted::Go(ticket) => ticket,
            Admitted::Skip { until_ms } => {
                let earliest_ms = failures.parked_until_ms.get_or_insert(until_ms);
                *earliest_ms = until_ms.min(*earliest_ms);
                return None;
            }
        };
        let applying = self.limiting(host, local);
        let (units, go) = match self.places(applying).await {
            Ok(places) => places,
            Err(refusal) => {
                failures.refused(refusal, source.address());
                return None;
            }
        };
        facts.connects += 1;
        facts.mx = Some(Arc::clone(&candidate.name));
        facts.remote = Some(remote);
        // What was known of the host before this one is not true of it.
        facts.local = source.address().map(|address| SocketAddr::new(address, 0));
        facts.source = source.id().cloned();
        (facts.helo, facts.trouble) = (None, None);
        self.note_link(facts, source.address());
        let opened = self.open(candidate, source, key, ticket, facts).await;
        facts.connect_ms = connecting.elapsed_ms();
        let open = match opened {
            Ok(open) => open.with_units(units),
            Err(unusable) => {
                facts.tls_result = unusable.tls_result();
                facts.dane_failed =
                    is_under_dane && (facts.tls_result.is_some() || matches!(unusable, Unusable::Refused(_)));
                failures.note(unusable, candidate);
                return None;
            }
        };
        let (peer, remote) = (open.peer(), open.remote());
        match self.transact_for(go, open, connection, facts).await {
            Some(report) if report.asks_for_another_host() => {
                failures.unfit = Some(report);
                give_up(connection).await;
                None
            }
            Some(report) => Some(Ended::Here(report)),
            None => {
                let lost = Diagnosis::new(format!("{peer}: connection lost")).with_enhanced(4, 4, 2);
                failures.theirs = Some(lost.with_remote(remote).into());
                None
            }
        }
    }

    /// A connection that is ready for MAIL.
    async fn open(
        &self,
        candidate: &Candidate,
        source: Choice,
        key: Key,
        ticket: Ticket,
        facts: &mut AttemptFacts,
    ) -> Result<Connection, Unusable> {
        self.shard.stats.pooling.misses.add(1);
        let opened = Connection::establish(candidate, &source, key, &self.shard.stats, facts).await;
        if opened.is_err() {
            self.shard.stats.delivery.connect_errors.add(1);
        }
        let peer = || format!("{}[{}]:{}", candidate.name, candidate.address, self.route.port);
        match &opened {
            Ok(_) | Err(Unusable::Refused(_) | Unusable::NoTls(..) | Unusable::NoImplicitTls(..)) => {
                ticket.succeeded(&peer())
            }
            Err(Unusable::Host(reason)) => ticket.failed(&peer(), &reason.to_string()),
            Err(Unusable::Ours(_) | Unusable::NoRoute(_)) => drop(ticket),
        }
        opened
    }

    /// Where from. `None`: the transport does not use the family.
    fn source(
        &self,
        route: &Route,
        host: Host<'_>,
        rules: &Rules<'_>,
        failures: &Failures,
    ) -> Option<Choice> {
        let refused = |local: Option<IpAddr>| local.is_some_and(|ip| failures.refused_sources.contains(&ip));
        let permits =
            |local| !rules.stop_all(host, local) && !rules.exclude_all(host, local) && !refused(local);
        route.sources.choose(host.address.is_ipv6(), &self.errand.attempt.transaction, permits)
    }

    /// Has the attempt judged by the schedule of the route that it takes.
    fn retry_by(&self, route: &Arc<Route>, facts: &mut AttemptFacts) {
        if !self.snapshot.conditions.is_empty() || !Arc::ptr_eq(route, self.route) {
            facts.retry = Some(Arc::clone(&route.retry));
            self.shard.queue.borrow_mut().retry_by(self.errand.attempt.id, Arc::clone(&route.retry));
        }
    }

    /// What DNS asks of TLS with a host, where the route wants to know. `None`: it stands in the way, which is noted.
    async fn demand(
        &self,
        route: &Route,
        candidate: &Candidate,
        facts: &mut AttemptFacts,
        failures: &mut Failures,
    ) -> Option<Option<Demand>> {
        let domain =
            self.errand.wishes.domain.as_deref().or(self.errand.attempt.destination.domain.as_deref());
        let found = dane::demand(self.shard, route, candidate, domain, &mut facts.tlsa).await;
        (facts.dane_failed, facts.tls_result) = (found.is_err(), None);
        let refused = match found {
            Ok(demand) => return Some(demand),
            Err(refused) => refused,
        };
        facts.tls_result = Some(refused.result_type());
        facts.mx = Some(Arc::clone(&candidate.name));
        facts.remote = Some(SocketAddr::new(candidate.address, route.port));
        match refused {
            Refused::NotKnown(reason) => failures.unknown = Some(reason),
            Refused::Missing(reason, _) => failures.theirs = Some(reason),
        }
        None
    }

    fn key(
        &self,
        route: &Arc<Route>,
        remote: SocketAddr,
        source: &Choice,
        host: Host<'_>,
        demand: Option<Demand>,
    ) -> Key {
        let domain = self.errand.attempt.recipients.first().map_or("", |recipient| &*recipient.domain);
        let share = match self.snapshot.pooling.policy {
            config::PoolPolicy::RemoteIp => route.is_bound_to_name().then_some(host.mx),
            config::PoolPolicy::RemoteMx => Some(host.mx),
            config::PoolPolicy::RecipientDomain => Some(domain),
            config::PoolPolicy::Grouping => Some(self.snapshot.groups.of(domain, host.mx, host.address)),
        };
        let share = share.map(Arc::from);
        Key { route: Arc::clone(route), remote, source: source.address(), share, demand }
    }

    /// Where the attempt goes, for listings.
    fn note_link(&self, facts: &AttemptFacts, local: Option<IpAddr>) {
        let Some(remote) = facts.remote_host() else { return };
        let groups = &self.snapshot.groups;
        self.shard.queue.borrow_mut().note_link(self.errand.attempt.id, |domain| Link {
            local,
            grouping: groups.of(domain, &remote.name, remote.address).into(),
            remote: Some(remote.clone()),
        });
    }

    /// After an abort, a message that may have caused it leaves a mark before it is tried again. What only waits leaves
    /// none: it was not touched.
    async fn mark(&self) {
        let recipients = self.errand.attempt.recipients.iter();
        let items: Vec<_> = recipients.map(|recipient| report::item_id(recipient.key)).collect();
        if let Some(marked) = self.shard.store.attempt(&items) {
            let _ = marked.await;
        }
    }

    /// One transaction for those recipients for whom there are messages. Else as [`Way::transact`].
    async fn transact_for(
        &self,
        go: Go,
        open: Connection,
        connection: &mut Option<Connection>,
        facts: &mut AttemptFacts,
    ) -> Option<Report> {
        let Some(short) = go.short else { return self.transact(open, connection, facts).await };
        let fewer = self.errand.first(go.recipients);
        let way = Way { errand: &fewer, ..*self };
        let report = way.transact(open, connection, facts).await?;
        let beyond = go.recipients < self.errand.attempt.recipients.len();
        Some(report.with_beyond(go.recipients, beyond.then(|| policies::short(short))))
    }

    /// One transaction; the connection stays in `connection` if it can be used again. `None`: it says nothing about
    /// the message, because the connection was gone before, or had served others and was given no more.
    async fn transact(
        &self,
        mut open: Connection,
        connection: &mut Option<Connection>,
        facts: &mut AttemptFacts,
    ) -> Option<Report> {
        open.describe(facts);
        self.retry_by(&open.key().route, facts);
        self.note_link(facts, facts.local.map(|local| local.ip()));
        self.mark().await;
        let sending = Stopwatch::start();
        let report = open.transact(self.shard, self.errand).await;
        facts.send_ms = sending.elapsed_ms();
        let report = report.filter(|report| facts.reused == 0 || !report.asks_for_a_new_connection())?;
        if open.is_usable() {
            *connection = Some(open);
        }
        Some(report)
    }
}

async fn give_up(connection: &mut Option<Connection>) {
    if let Some(open) = connection.take() {
        open.quit().await;
    }
}

/// Leaves out the family that lately led nowhere from here, where there is the other one.
fn reachable(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let paths = Paths::here();
    let leads_somewhere = |candidate: &Candidate| !paths.is_unreachable(candidate.address.is_ipv6());
    if candidates.iter().any(leads_somewhere) {
        candidates.into_iter().filter(leads_somewhere).collect()
    } else {
        candidates
    }
}

fn undefined(transport: &str, candidate: &Candidate) -> Reason {
    let family = if candidate.address.is_ipv6() { "ipv6" } else { "ipv4" };
    let text = format!(
        "transport \"{transport}\": this host defines none of the addresses named in connection.sourceip.{family}"
    );
    Diagnosis::new(text).with_enhanced(4, 3, 5).into()
}
