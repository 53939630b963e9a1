//! The monitor: an HTTP endpoint for probes and metrics (reference: cli-and-operations 7.1). On the control thread, so that it
//! answers while a shard stands still.
//!
//! - `/metrics`: all [statistics](crate::stats) and the metrics of scripts, as OpenMetrics.
//! - `/ready`: the start is over, and what was queued before it is loaded.
//! - `/healthy`: the server can take mail ([`health`]).

mod answer;
pub mod health;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use config::{CustomMetric, MaxMessages};
use control::smtpd::{MetricFamily, ProcessStatsResponse, ShardStatusResponse};
use engine::boot::ShardId;
use engine::net::{Conn, Listener};
use engine::stats::Threads;
use engine::task::Class;
use engine::time::{Instant, timeout};
use net::http::server::{BadRequest, RequestHead};
use tls::{ServerSide, Stream};

use crate::control::shards::{self, Asking};
use crate::limits;
use crate::log::{Log, Output, Priority};
use crate::program::{Control, Program};
use crate::sockets::{At, bind_error, once_free};
use crate::stats::heartbeat::Heartbeat;
use crate::stats::metric::Facts;
use crate::stats::report::Report;
use crate::stats::{self, ShardStats, status};
use answer::{Answer, Wanted};
use health::{Health, Signs};

/// The media type of OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a reload can change.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Values of `X-API-Key` that open `/metrics`; empty: it is open.
    pub api_keys: Vec<String>,
    /// How a listener that speaks TLS does it.
    pub tls: Option<ServerSide>,
    /// When what is queued makes the server unhealthy.
    pub max_messages: Option<MaxMessages>,
    /// What scripts count.
    pub metrics: Vec<CustomMetric>,
}

/// The endpoint, and what it tells.
#[derive(Debug)]
pub struct Monitor {
    program: Arc<Program>,
    log: Rc<Log>,
    heartbeat: Rc<Heartbeat>,
    health: Health,
    begun: Instant,
    /// `None` until the running file has been read.
    settings: RefCell<Option<Arc<Settings>>>,
    /// What each shard last said.
    known: RefCell<Vec<ShardStats>>,
    open: Cell<usize>,
}

impl Monitor {
    /// One that does not listen yet.
    pub fn new(program: Arc<Program>, log: Rc<Log>, heartbeat: Rc<Heartbeat>) -> Rc<Monitor> {
        let known = vec![ShardStats::default(); usize::from(program.shards)];
        Rc::new(Monitor {
            program,
            log,
            heartbeat,
            health: Health::default(),
            begun: engine::time::now(),
            settings: RefCell::default(),
            known: RefCell::new(known),
            open: Cell::new(0),
        })
    }

    /// Listens where the startup file says, with the privileges of the start.
    ///
    /// # Errors
    /// `bind: <reason> (<address>)`.
    pub async fn listen(self: &Rc<Self>) -> Result<(), String> {
        let Some(wanted) = &self.program.startup.monitor else { return Ok(()) };
        let wildcards = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let addresses = wanted.address.map_or(wildcards.to_vec(), |address| vec![address]);
        for address in addresses {
            let address = SocketAddr::new(address, wanted.port);
            self.log.line(Priority::Notice, format_args!("monitor: listen on {address}"));
            let bound = once_free(|| engine::net::probe_bind(address))
                .await
                .and_then(|()| Listener::bind(address, wanted.backlog.unwrap_or(0)));
            match bound {
                Ok(listener) => {
                    let accept = Rc::clone(self).accept(listener, wanted.https);
                    drop(engine::task::spawn(Class::Background, accept));
                }
                // A host without IPv6.
                Err(error)
                    if wanted.address.is_none()
                        && address.is_ipv6()
                        && error.raw_os_error() != Some(libc::EADDRINUSE) => {}
                Err(error) => return Err(bind_error(&error, &At::Tcp(address))),
            }
        }
        Ok(())
    }

    /// Puts new settings in force.
    pub fn configure(&self, settings: &Arc<Settings>) {
        self.settings.replace(Some(Arc::clone(settings)));
    }

    /// The shards have started.
    pub fn set_started(&self) {
        self.health.set_started();
    }

    /// The server shuts down.
    pub fn set_stopping(&self) {
        self.health.set_stopping();
    }

    /// The start is over, and what was queued before it is loaded.
    pub fn is_ready(&self) -> bool {
        self.health.is_ready(|| self.program.shown.iter().all(|shown| shown.loaded.load(Ordering::Acquire)))
    }

    /// Why the server cannot take mail; `None`: it can.
    pub fn complaint(&self) -> Option<String> {
        let ready = self.is_ready();
        let shown = &self.program.shown;
        let signs = Signs {
            queued: shown.iter().map(|shown| shown.queued.load(Ordering::Relaxed)).sum(),
            stalled: self.heartbeat.stalled(),
            closed: shown.iter().filter(|shown| shown.closed.load(Ordering::Relaxed)).count(),
            frozen: shown.iter().any(|shown| shown.frozen.load(Ordering::Relaxed)),
        };
        let limits = self.settings.borrow().as_ref().and_then(|settings| settings.max_messages);
        self.health.complaint(ready, signs, limits)
    }

    /// All statistics. Takes a second at most: of a shard that does not answer, what it last said.
    pub async fn families(&self) -> Vec<MetricFamily> {
        self.ask_shards().await;
        self.report(&self.known.borrow()).families()
    }

    /// The answer to `process-stats`; see [`families`](Self::families).
    pub async fn process_stats(&self) -> ProcessStatsResponse {
        let families = self.families().await;
        self.report(&self.known.borrow()).process_stats(families)
    }

    /// The answer to `shard status`. Takes a second at most; a shard that does not answer within it stands still.
    pub async fn shard_status(&self) -> ShardStatusResponse {
        let answers = self.asking().all(|shard| std::future::ready(status::of(&shard))).await;
        let rows = (0..).zip(answers).map(|(shard, answer)| match answer {
            shards::Answer::Here(row) => row,
            shards::Answer::Ended => status::ended(shard),
            shards::Answer::Stalled { for_ms, in_what } => status::stalled(shard, for_ms, in_what),
        });
        ShardStatusResponse {
            shards: rows.collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: u64::from(std::process::id()),
            elapsed: (engine::time::now() - self.begun).as_secs_f64(),
        }
    }

    fn report<'a>(&'a self, shards: &'a [ShardStats]) -> Report<'a> {
        let servers = self.program.startup.servers.iter().map(|server| server.id.as_str()).collect();
        let settings = self.settings.borrow();
        let custom = settings.as_ref().map(|settings| settings.metrics.clone()).unwrap_or_default();
        Report { facts: self.facts(), servers, shards, custom }
    }

    /// What is known of the process beside its shards.
    pub fn facts(&self) -> Facts {
        let control = engine::mesh::local::get::<Control>();
        Facts {
            pid: std::process::id(),
            elapsed_s: (engine::time::now() - self.begun).as_secs_f64(),
            ready: self.is_ready(),
            healthy: self.complaint().is_none(),
            stalled: self.heartbeat.stalled(),
            dynamic_suspends: control.as_ref().map_or(0, |control| control.dynamic.suspends().len()),
            dynamic_conditions: control.as_ref().map_or(0, |control| control.dynamic.conditions().len()),
            threads: self.threads(),
            driver: engine::boot::driver(),
            certificates: control.as_ref().map_or_else(Vec::new, |control| control.certificates()),
            log_dropped: self.log.dropped_lines() + Output::lines_dropped_here(),
        }
    }

    /// The shards, and what works beside them.
    fn threads(&self) -> Vec<Threads> {
        let shards: Vec<_> =
            (0..self.program.shards).map(|shard| engine::stats::pulse(ShardId(shard))).collect();
        let shards = Threads {
            pool: "shards",
            size: shards.len(),
            running: shards.iter().filter(|pulse| !pulse.asleep).count(),
            pending: shards.iter().map(|pulse| pulse.mesh_waiting).sum(),
        };
        std::iter::once(shards).chain(engine::stats::threads()).collect()
    }

    async fn ask_shards(&self) {
        let answers = self.asking().all(|shard| std::future::ready(stats::read(&shard))).await;
        for (known, answer) in self.known.borrow_mut().iter_mut().zip(answers) {
            if let shards::Answer::Here(stats) = answer {
                *known = stats;
            }
        }
    }

    fn asking(&self) -> Asking {
        Asking::at_most(limits::SHARD_ANSWER).moving_only(&self.heartbeat)
    }

    async fn accept(self: Rc<Self>, listener: Listener, https: bool) {
        loop {
            match listener.accept().await {
                Ok(conn) if self.open.get() < limits::MONITOR_CONNECTIONS => {
                    let place = Place::take(&self);
                    drop(engine::task::spawn(Class::Interactive, place.serve(conn, https)));
                }
                Ok(conn) => drop(conn),
                Err(error) => {
                    let address = listener.local_addr();
                    self.log.line(Priority::Error, format_args!("monitor: accept: {error} ({address})"));
                    engine::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn answer(&self, wanted: Wanted) -> Answer {
        match wanted {
            Wanted::Ready if self.is_ready() => Answer::text(200, "ready"),
            Wanted::Ready => Answer::text(503, "starting"),
            Wanted::Healthy => match self.complaint() {
                None => Answer::text(200, "healthy"),
                Some(why) => Answer::text(503, &why),
            },
            Wanted::Metrics => Answer {
                status: 200,
                media_type: OPENMETRICS,
                body: control::openmetrics::render(&self.families().await),
                allow: false,
            },
            Wanted::Nothing(answer) => answer,
        }
    }
}

/// A client's place among the open connections; given back on drop.
struct Place(Rc<Monitor>);

impl Place {
    fn take(monitor: &Rc<Monitor>) -> Place {
        monitor.open.set(monitor.open.get() + 1);
        Place(Rc::clone(monitor))
    }

    /// One connection, to its end.
    async fn serve(self, conn: Conn, https: bool) {
        let monitor = &self.0;
        let stream = Stream::plain(conn);
        if https {
            let settings = monitor.settings.borrow().clone();
            let side = settings.as_ref().and_then(|settings| settings.tls.as_ref());
            let Some(side) = side else { return };
            match timeout(limits::MONITOR_PATIENCE, stream.accept_tls(side)).await {
                Ok(Ok(_)) => {}
                _ => return,
            }
        }
        let mut input = Vec::new();
        loop {
            let head = match timeout(limits::MONITOR_PATIENCE, next_head(&stream, &mut input)).await {
                Ok(Ok(Some(head))) => head,
                // It has gone, or takes too long.
                Ok(Err(_) | Ok(None)) | Err(engine::time::Elapsed) => break,
            };
            let settings = monitor.settings.borrow().clone();
            let keys = settings.as_ref().map(|settings| settings.api_keys.as_slice());
            let (wanted, keep) = match &head {
                Ok(head) => (answer::route(head, keys), head.keep_alive && !head.has_body),
                Err(bad) => (Wanted::Nothing(Answer::text(bad.status(), "bad request")), false),
            };
            let answer = monitor.answer(wanted).await;
            let with_body = head.as_ref().is_ok_and(|head| head.method != "HEAD");
            let bytes = Bytes::from(answer.encode(keep, with_body));
            let sent = timeout(limits::MONITOR_PATIENCE, stream.send(bytes)).await;
            if !keep || !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        let _ = timeout(limits::FAREWELL, stream.close()).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// The next request. `None`: the client has ended its side.
async fn next_head(
    stream: &Stream,
    input: &mut Vec<u8>,
) -> io::Result<Option<Result<RequestHead, BadRequest>>> {
    loop {
        match RequestHead::parse(input) {
            Ok(None) => {}
            Ok(Some((head, used))) => {
                input.drain(..used);
                return Ok(Some(Ok(head)));
            }
            Err(bad) => return Ok(Some(Err(bad))),
        }
        let received = stream.recv().await?;
        if received.is_empty() {
            return Ok(None);
        }
        input.extend_from_slice(&received);
    }
}
