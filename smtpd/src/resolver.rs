//! The resolver of a shard: `net::dns` on the engine's sockets.
//!
//! * [`Resolver::mail_hosts`], [`Resolver::host`]: where mail for a domain can be brought.
//! * [`Resolver::reverse`]: the name of a client.
//!
//! A question is in flight once over all shards, whoever asks (`shared`). Without name servers in the configuration those
//! of the system's resolver file are asked, and the file is looked at again every few seconds while there are questions
//! (`system`).

mod core;
mod shared;
mod system;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use engine::sync::Notify;
use net::dns::{
    Answer, DomainName, Failure, Families, HostSearch, Kind, MailHosts, Question, RecordData, RecordKind,
    Resolved, Settings, Step, StubCounts,
};
use tls::TlsaRecord;

pub use self::core::Looking;
use self::core::{Core, Pending};
use shared::Elsewhere;
use system::SystemFile;

/// Names of an address that are checked.
const REVERSE_NAMES_MAX: usize = 5;

/// Looks up mail hosts and names, with a cache. One per shard.
#[derive(Debug)]
pub struct Resolver {
    /// The same on all shards: whose a question is depends on it.
    key: u64,
    /// `None` until the system's resolver file has been read.
    core: RefCell<Option<Rc<Core>>>,
    started: Notify,
    settings: RefCell<config::Resolver>,
    system: SystemFile,
    elsewhere: Elsewhere,
    recovered: Notify,
    /// Counts reconfigurations, so that a slow reading of the resolver file does not undo a later one.
    generation: Cell<u64>,
}

/// What DNS says about the name of an address.
#[derive(Clone, Debug)]
pub struct Reversed {
    /// What it comes to.
    pub name: Reverse,
    /// The answer to the question for names.
    pub names: Resolved,
    /// The answer to that for the addresses of the name that counts, or of the first where none does.
    pub forward: Option<Resolved>,
}

/// What the names of an address are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reverse {
    /// The first name among whose own addresses the address is.
    Confirmed(DomainName),
    /// It has names, and none of them leads back; the first one.
    Unconfirmed(DomainName),
    /// It has no name.
    None,
    /// Not known now.
    Unknown(Failure),
}

impl Resolver {
    /// Starts with these settings; the system's resolver file is read when they name no servers. `key` is a random number
    /// that all shards share.
    pub fn start(settings: &config::Resolver, key: u64) -> Rc<Resolver> {
        Resolver::with_file(settings, key, SystemFile::default())
    }

    fn with_file(settings: &config::Resolver, key: u64, system: SystemFile) -> Rc<Resolver> {
        let resolver = Rc::new(Resolver {
            key,
            core: RefCell::new(None),
            started: Notify::new(),
            elsewhere: Elsewhere::new(settings.cache_size as usize),
            settings: RefCell::new(settings.clone()),
            system,
            recovered: Notify::new(),
            generation: Cell::new(0),
        });
        engine::mesh::local::set(Rc::clone(&resolver));
        resolver.configure();
        resolver
    }

    /// This shard's, once started.
    fn here() -> Option<Rc<Resolver>> {
        engine::mesh::local::get()
    }

    /// Takes new settings (reload), and reads the system's resolver file again. Questions in flight go on under the
    /// old settings.
    pub fn reconfigure(self: &Rc<Self>, settings: &config::Resolver) {
        let same = *self.settings.borrow() == *settings;
        if same && !settings.servers.is_empty() {
            return;
        }
        self.settings.replace(settings.clone());
        self.configure();
    }

    /// The hosts for mail to `domain` by MX, or by address when it has no MX; also for an address literal
    /// (`[192.0.2.1]`, `[IPv6:2001:db8::1]`). The seed decides on the order of hosts of equal preference.
    pub async fn mail_hosts(self: &Rc<Self>, domain: &str, ipv4: bool, ipv6: bool, seed: u64) -> MailHosts {
        self.search(HostSearch::mail(domain, Families { ipv4, ipv6 }, seed), |_| true).await
    }

    /// The addresses of a fixed next hop: a host name, an address (bare or in brackets), or `localhost`. The seed decides
    /// on their order.
    pub async fn host(self: &Rc<Self>, name: &str, ipv4: bool, ipv6: bool, seed: u64) -> MailHosts {
        self.search(HostSearch::host(name, Families { ipv4, ipv6 }, seed), |_| true).await
    }

    /// What DNS says to one question.
    pub async fn ask(self: &Rc<Self>, question: Question) -> Resolved {
        self.ask_all(&[question]).await.remove(0)
    }

    /// The TLSA records of a server (RFC 6698 section 3), and whether they are authentic.
    ///
    /// # Errors
    /// They are not known now.
    pub async fn tlsa(self: &Rc<Self>, host: &str, port: u16) -> Result<(Vec<TlsaRecord>, bool), Failure> {
        let Ok(name) = DomainName::parse(&format!("_{port}._tcp.{host}")) else {
            return Ok((Vec::new(), false));
        };
        let question = Question { name, kind: Kind::Records(RecordKind::Tlsa) };
        let Resolved { answer, authentic, .. } = self.ask(question).await;
        match answer {
            Answer::Records(records) => Ok((records.iter().filter_map(tlsa_record).collect(), authentic)),
            Answer::Failed(failure) => Err(failure),
            _ => Ok((Vec::new(), authentic)),
        }
    }

    /// The names of an address (PTR), wherever they lead.
    ///
    /// # Errors
    /// They are not known now.
    pub async fn names(self: &Rc<Self>, address: IpAddr) -> Result<Vec<DomainName>, Failure> {
        let ptr = Question { name: DomainName::reverse(address), kind: Kind::Ptr };
        match self.ask(ptr).await.answer {
            Answer::Names(names) => Ok(names.to_vec()),
            Answer::Failed(failure) => Err(failure),
            _ => Ok(Vec::new()),
        }
    }

    /// The name of an address (PTR), and whether it leads back to the address (forward-confirmed reverse DNS).
    pub async fn reverse(self: &Rc<Self>, address: IpAddr) -> Reversed {
        let address = address.to_canonical();
        let ptr = Question { name: DomainName::reverse(address), kind: Kind::Ptr };
        let answer = self.ask(ptr).await;
        let names = match &answer.answer {
            Answer::Names(names) => Arc::clone(names),
            Answer::Failed(failure) => {
                let name = Reverse::Unknown(*failure);
                return Reversed { name, names: answer, forward: None };
            }
            _ => Arc::default(),
        };
        let (name, forward) = self.confirm(address, &names).await;
        Reversed { name, names: answer, forward }
    }

    /// Looks where the names of an address lead.
    async fn confirm(self: &Rc<Self>, address: IpAddr, names: &[DomainName]) -> (Reverse, Option<Resolved>) {
        let kind = if address.is_ipv4() { Kind::A } else { Kind::Aaaa };
        let forward = |name: &DomainName| Question { name: name.clone(), kind };
        let questions: Vec<Question> = names.iter().take(REVERSE_NAMES_MAX).map(forward).collect();
        let (mut unknown, mut first) = (None, None);
        for (name, resolved) in names.iter().zip(self.ask_all(&questions).await) {
            match &resolved.answer {
                Answer::Addresses(addresses) if addresses.contains(&address) => {
                    return (Reverse::Confirmed(name.clone()), Some(resolved));
                }
                Answer::Failed(failure) => unknown = Some(*failure),
                _ => {}
            }
            first.get_or_insert(resolved);
        }
        let name = match unknown {
            Some(failure) => Reverse::Unknown(failure),
            None => names.first().cloned().map_or(Reverse::None, Reverse::Unconfirmed),
        };
        (name, first)
    }

    /// What it is doing, and what its cache has done; the answers that it keeps of other shards' caches count as its own.
    pub fn counts(&self) -> StubCounts {
        let mut counts = self.core_now().map(|core| core.counts()).unwrap_or_default();
        let (entries, near) = self.elsewhere.near_counts();
        counts.entries += entries;
        counts.cache.hits += near.hits;
        counts.cache.expires += near.expires;
        counts.cache.evicts += near.evicts;
        counts
    }

    /// Questions that servers are asked by this shard, the oldest first; then those that wait until fewer are, in their order.
    pub fn looking(&self) -> (Vec<Looking>, Vec<Looking>) {
        self.core_now().map(|core| core.looking()).unwrap_or_default()
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        if let Some(core) = self.core_now() {
            core.clear();
            self.elsewhere.reset(core.settings().cache_entries);
        }
    }

    /// Waits until a name server answers again after a time in which none did, or none anything of use.
    pub async fn recovered(&self) {
        self.recovered.notified().await;
    }

    /// Carries out a search, without the MX hosts that `permits` does not want.
    pub async fn search(
        self: &Rc<Self>,
        mut search: HostSearch,
        permits: impl Fn(&str) -> bool,
    ) -> MailHosts {
        loop {
            let questions = match search.step() {
                Step::Done(hosts) => return hosts,
                Step::Ask(questions) => questions,
            };
            for (question, resolved) in questions.iter().zip(self.ask_all(&questions).await) {
                search.answer(question, resolved);
                search.retain(&permits);
            }
        }
    }

    /// Asks all of them before it waits for the first.
    async fn ask_all(self: &Rc<Self>, questions: &[Question]) -> Vec<Resolved> {
        self.look_at_system_file();
        let core = self.core().await;
        let ask = |question: &Question| -> Pending {
            let owner = self.owner(question);
            match owner == engine::boot::current() {
                true => core.ask(question),
                false => self.ask_owner(owner, question),
            }
        };
        let pending: Vec<Pending> = questions.iter().map(ask).collect();
        core.pump();
        let mut answers = Vec::with_capacity(pending.len());
        for pending in pending {
            answers.push(pending.answer().await);
        }
        answers
    }

    async fn core(&self) -> Rc<Core> {
        loop {
            if let Some(core) = self.core_now() {
                return core;
            }
            self.started.notified().await;
        }
    }

    fn core_now(&self) -> Option<Rc<Core>> {
        self.core.borrow().clone()
    }

    fn install(&self, settings: Settings) {
        let unchanged = self.core_now().is_some_and(|core| *core.settings() == settings);
        if !unchanged {
            self.elsewhere.reset(settings.cache_entries);
            self.core.replace(Some(Rc::new(Core::new(settings))));
            self.started.notify_all();
        }
    }
}

/// A TLSA record as those who check it have it.
pub(crate) fn tlsa_record(data: &RecordData) -> Option<TlsaRecord> {
    let RecordData::Tlsa { usage, selector, matching, data } = data else { return None };
    Some(TlsaRecord { usage: *usage, selector: *selector, matching: *matching, data: data.as_slice().into() })
}

fn now_ms() -> u64 {
    engine::time::now().0 / 1_000_000
}
