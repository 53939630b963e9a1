//! What this shard knows of paths to hosts, and how it asks and tells the others.
//!
//! Each path has an owner shard, which alone counts failures and lets probes go (`parking.rs`). It tells all shards what
//! it has decided. A shard connects freely over what it was told is proven, asks the owner about what it knows nothing
//! of, and reports to it every failure, and successes where they matter. What it tells the others may be lost because one of them is too busy; that
//! costs a few connects too many, and the next failure repairs it. What it is told is not lost.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::mesh;
use engine::sync::Notify;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::parking::{Admission, PROOF_PATIENCE_MS, PROVEN_MS, Parking, Path, Standing};
use crate::limits;
use crate::log::{Log, Priority};

/// How long an owner may take to answer. A shard that is stuck does not hold up the mail of others.
const OWNER_PATIENCE: Duration = Duration::from_secs(1);

/// How long somebody who waits for a proof sleeps at most before it asks again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// How long a network that could not be reached is left alone where there is another way.
const UNREACHABLE_MS: u64 = 60_000;

/// The paths of one shard. Other shards find it by type.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Those that it owns.
    owned: RefCell<Parking>,
    /// What it was told of any.
    known: RefCell<FxHashMap<Path, Known>>,
    /// Something was told.
    changed: Notify,
    /// When IPv4 and IPv6 were last found to lead nowhere from here.
    unreachable_ms: [Cell<Option<u64>>; 2],
}

#[derive(Clone, Copy, Debug)]
struct Known {
    standing: Standing,
    /// When it was told; for a proven path, its last success here.
    at_ms: u64,
}

/// Whether to connect.
#[derive(Debug)]
pub(super) enum Admitted {
    /// Yes. Say how it went.
    Go(Ticket),
    /// Not before this time of [`now_ms`].
    Skip {
        /// When to look again.
        until_ms: u64,
    },
}

/// A connect that was let go. Dropping it unused says that nothing was found out.
#[derive(Debug)]
pub(super) struct Ticket {
    paths: Rc<Paths>,
    path: Path,
    probe: bool,
    used: bool,
}

impl Paths {
    /// This shard's.
    pub(super) fn here() -> Rc<Paths> {
        mesh::local::get_or_default()
    }

    /// Asks whether to connect. Waits a moment when others are finding out just now.
    pub(super) async fn admit(self: &Rc<Self>, path: Path) -> Admitted {
        let give_up_ms = now_ms() + PROOF_PATIENCE_MS;
        loop {
            match self.ask(path).await {
                Admission::Free => return Admitted::Go(self.ticket(path, false)),
                Admission::Probe => return Admitted::Go(self.ticket(path, true)),
                Admission::Skip { until_ms } => return Admitted::Skip { until_ms },
                Admission::Wait if now_ms() >= give_up_ms => {
                    return Admitted::Skip { until_ms: give_up_ms + PROOF_PATIENCE_MS };
                }
                Admission::Wait => drop(engine::time::timeout(ASK_AGAIN, self.changed.notified()).await),
            }
        }
    }

    async fn ask(&self, path: Path) -> Admission {
        if let Some(answer) = self.known_admission(path) {
            return answer;
        }
        let owner = owner(path);
        if owner == engine::boot::current() {
            return self.owned.borrow_mut().admit(path, now_ms());
        }
        let call = mesh::call(owner, move || Paths::here().owned.borrow_mut().admit(path, now_ms()));
        match engine::time::timeout(OWNER_PATIENCE, call).await {
            Ok(Ok(answer)) => answer,
            // It may let a probe go yet: then this is the one.
            Ok(Err(_)) | Err(engine::time::Elapsed) => Admission::Probe,
        }
    }

    /// The answer that needs no owner.
    fn known_admission(&self, path: Path) -> Option<Admission> {
        let Known { standing, at_ms } = *self.known.borrow().get(&path)?;
        let now_ms = now_ms();
        match standing {
            Standing::Proven | Standing::Doubtful if now_ms.saturating_sub(at_ms) < PROVEN_MS => {
                Some(Admission::Free)
            }
            Standing::Parked { until_ms } if now_ms < until_ms => Some(Admission::Skip { until_ms }),
            _ => None,
        }
    }

    fn ticket(self: &Rc<Self>, path: Path, probe: bool) -> Ticket {
        Ticket { paths: Rc::clone(self), path, probe, used: false }
    }

    /// Takes note of what an owner says.
    fn learn(&self, path: Path, standing: Standing) {
        let mut known = self.known.borrow_mut();
        if known.len() >= limits::PATHS_MAX && !known.contains_key(&path) {
            // What is forgotten is asked for again.
            known.clear();
        }
        match standing {
            Standing::Unproven => drop(known.remove(&path)),
            _ => drop(known.insert(path, Known { standing, at_ms: now_ms() })),
        }
        drop(known);
        self.changed.notify_all();
    }

    /// Connects over this family fail here for want of a route.
    pub(super) fn note_unreachable(&self, ipv6: bool) {
        self.unreachable_ms[usize::from(ipv6)].set(Some(now_ms()));
    }

    /// Whether that was lately.
    pub(super) fn is_unreachable(&self, ipv6: bool) -> bool {
        let noted = self.unreachable_ms[usize::from(ipv6)].get();
        noted.is_some_and(|noted_ms| now_ms().saturating_sub(noted_ms) < UNREACHABLE_MS)
    }
}

/// Until when nobody connects from one of our addresses (`None`: what the system chooses) to this one, as far as this shard
/// was told: milliseconds of the engine's clock.
pub fn parked_until_ms(source: Option<IpAddr>, remote: SocketAddr) -> Option<u64> {
    match Paths::here().known_admission(Path { source, remote }) {
        Some(Admission::Skip { until_ms }) => Some(until_ms),
        _ => None,
    }
}

impl Ticket {
    /// The host has greeted us.
    pub(super) fn succeeded(mut self, peer: &str) {
        self.used = true;
        let (path, probe) = (self.path, self.probe);
        let proven = match self.paths.known.borrow_mut().get_mut(&path) {
            Some(known) if known.standing == Standing::Proven => {
                known.at_ms = now_ms();
                true
            }
            _ => false,
        };
        if !proven || probe {
            let peer = peer.to_owned();
            tell_owner(path, move |paths| {
                if paths.owned.borrow_mut().succeeded(path, probe, now_ms()) {
                    say(Priority::Notice, format_args!("{peer} answers again"));
                }
                tell_all(path, Standing::Proven);
            });
        }
    }

    /// The connect, greeting or EHLO has failed for a reason that lies with the host.
    pub(super) fn failed(mut self, peer: &str, reason: &str) {
        self.used = true;
        let (path, probe) = (self.path, self.probe);
        let (peer, reason) = (peer.to_owned(), reason.to_owned());
        tell_owner(path, move |paths| {
            let failed = paths.owned.borrow_mut().failed(path, probe, now_ms());
            if let Some(period_ms) = failed.parked_for_ms {
                let minutes = period_ms / 60_000;
                say(
                    Priority::Warning,
                    format_args!("{peer} does not serve us, no connects for {minutes} min: {reason}"),
                );
            }
            tell_all(path, failed.standing);
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let (path, probe) = (self.path, self.probe);
        if probe && !self.used {
            tell_owner(path, move |paths| {
                paths.owned.borrow_mut().abandoned(path, probe, now_ms());
                tell_all(path, Standing::Unproven);
            });
        }
    }
}

/// Milliseconds of a clock that all shards share and nobody sets.
pub(super) fn now_ms() -> u64 {
    engine::time::now().0 / 1_000_000
}

fn owner(path: Path) -> ShardId {
    // The upper half: hash tables use the lower bits.
    let hash = FxBuildHasher.hash_one(path) >> 32;
    ShardId((hash % u64::from(engine::boot::shards().max(1))) as u16)
}

fn tell_owner(path: Path, what: impl FnOnce(&Paths) + Send + 'static) {
    let owner = owner(path);
    if owner == engine::boot::current() {
        what(&Paths::here());
    } else {
        mesh::send_in_any_case(owner, move || what(&Paths::here()));
    }
}

fn tell_all(path: Path, standing: Standing) {
    let here = engine::boot::current();
    for shard in (0..engine::boot::shards()).map(ShardId) {
        if shard == here {
            Paths::here().learn(path, standing);
        } else {
            let _ = mesh::send(shard, move || Paths::here().learn(path, standing));
        }
    }
}

/// A line of this shard's log.
pub(super) fn say(priority: Priority, line: std::fmt::Arguments<'_>) {
    if let Some(log) = mesh::local::get::<Log>() {
        log.line(priority, line);
    }
}
