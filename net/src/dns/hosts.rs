//! The hosts that take a domain's mail (RFC 5321 section 5, RFC 7505).

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::dns::answer::{Answer, Kind, Mx, Question, Resolved};
use crate::dns::name::DomainName;
use crate::limits;

/// Hosts whose addresses are asked for at once.
const WAVE: usize = 4;

/// Which addresses are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

/// A host that takes mail, with at least one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailHost {
    /// Its name; for an address literal the address in brackets.
    pub name: Arc<str>,
    /// Its addresses, in the order in which to try them.
    pub addresses: Vec<IpAddr>,
    /// Preference of its MX record; 0 when there is none.
    pub preference: u16,
    /// A trusted name server vouches for the way from the domain to these addresses: for the MX records, or that there
    /// are none, and for the addresses (what RFC 7672 section 2.2 calls secure). Never for an address literal.
    pub authentic: bool,
    /// The same for the way to its name alone. Where that is an alias, its addresses may be those of another zone.
    pub name_authentic: bool,
}

impl MailHost {
    /// One that DNS was not asked for.
    pub fn insecure(name: Arc<str>, addresses: Vec<IpAddr>) -> MailHost {
        MailHost { name, addresses, preference: 0, authentic: false, name_authentic: false }
    }
}

/// What a search for hosts came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailHosts {
    /// There are some.
    Found {
        /// In the order in which to try them.
        hosts: Vec<MailHost>,
        /// There is another one, of which no address is known now, with the text for the log: when none of `hosts`
        /// serves, that one might.
        unknown: Option<Arc<str>>,
    },
    /// The domain says that it takes no mail (RFC 7505): permanent, 556 5.1.10.
    NullMx,
    /// The domain does not exist (NXDOMAIN).
    NoDomain {
        /// For the log.
        text: Arc<str>,
        /// For how long DNS says so, whoever asks, in milliseconds.
        left_ms: u64,
    },
    /// The domain exists and has no host with a usable address: no MX and no address, or MX hosts without one.
    NoMailHost(Lack, Arc<str>),
    /// The first of the domain's hosts is this one itself: permanent, 5.4.6 (RFC 5321 section 5.1).
    OnlyUs(Arc<str>),
    /// Not known now: SERVFAIL, timeout, too many questions. Our side or the name servers' side: never a bounce.
    Temporary(Arc<str>),
}

/// Why a domain has no host with a usable address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// DNS has none.
    Addresses,
    /// None of the family that is in use; whether there is one of the other was not asked.
    Family,
    /// The configuration excludes them.
    Excluded,
}

impl MailHosts {
    /// Without this host itself, which `is_us` knows by its addresses, and without all hosts of equal or worse preference
    /// (RFC 5321 section 5.1).
    pub fn before_us(self, is_us: impl Fn(&MailHost) -> bool) -> MailHosts {
        let MailHosts::Found { mut hosts, unknown } = self else { return self };
        let Some(us) = hosts.iter().find(|host| is_us(host)).cloned() else {
            return MailHosts::Found { hosts, unknown };
        };
        hosts.retain(|host| host.preference < us.preference);
        match unknown {
            // It may be one that goes before us.
            Some(why) if hosts.is_empty() => MailHosts::Temporary(why),
            _ if hosts.is_empty() => only_us(&us.name),
            unknown => MailHosts::Found { hosts, unknown },
        }
    }
}

fn only_us(name: &str) -> MailHosts {
    MailHosts::OnlyUs(format!("mail loops back to myself: {name} is this host").into())
}

/// A search for hosts: asks questions until it knows.
///
/// Order: by preference. Hosts of equal preference are shuffled by the seed, so that the same seed and the same
/// DNS give the same order, and the next seed another one (RFC 5321 5.1 asks for a random choice). The addresses of
/// a host are shuffled within each family and then taken from the families in turn, IPv4 first. The next
/// [turn](HostSearch::in_turn) of the same seed begins with the next host of equal preference, and with the next addresses when
/// all those hosts have been first.
#[derive(Debug)]
pub struct HostSearch {
    families: Families,
    order: Order,
    /// Names of this host.
    us: Arc<[DomainName]>,
    state: State,
}

/// What decides the order of equals.
#[derive(Clone, Copy, Debug)]
struct Order {
    seed: u64,
    turn: u32,
}

#[derive(Debug)]
enum State {
    /// The MX records are asked for.
    Exchangers(DomainName),
    Addresses(Addresses),
    Done(MailHosts),
}

/// The addresses of hosts are asked for, some hosts at a time.
#[derive(Debug)]
struct Addresses {
    /// The domain, for texts; and it is itself the host.
    domain: DomainName,
    /// The hosts are known by an authentic answer; or they are configured.
    authentic: bool,
    implicit: bool,
    /// Hosts not yet asked for.
    left: VecDeque<Host>,
    wave: Vec<Asked>,
    found: Vec<MailHost>,
    /// Why no address of a host is known now.
    unknown: Option<Arc<str>>,
    /// Every answer so far was that the name does not exist.
    none_exist: bool,
    /// For how long they say so, in milliseconds.
    left_ms: u64,
}

/// A host by its name.
#[derive(Clone, Debug)]
struct Host {
    preference: u16,
    name: DomainName,
    /// Which of its addresses is the first.
    turn: u32,
}

#[derive(Debug)]
struct Asked {
    host: Host,
    /// By family; `None` when not asked for or not yet answered.
    ipv4: Option<Answer>,
    ipv6: Option<Answer>,
    /// All answers so far were.
    authentic: bool,
}

/// What a search needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answers to these questions, all of them.
    Ask(Vec<Question>),
    /// Nothing.
    Done(MailHosts),
}

impl HostSearch {
    /// The hosts for mail to `domain` (in any case, with or without the last dot, its labels in ASCII or Unicode), or for an address literal in brackets.
    pub fn mail(domain: &str, families: Families, seed: u64) -> HostSearch {
        let state = match (literal(domain), DomainName::from_unicode(domain)) {
            (Some(literal), _) => State::Done(one_address(literal, families)),
            (None, Ok(name)) => match localhost(&name, families) {
                Some(hosts) => State::Done(hosts),
                None => State::Exchangers(name),
            },
            (None, Err(_)) => State::Done(not_a_name(domain)),
        };
        HostSearch { families, order: Order { seed, turn: 0 }, us: Arc::default(), state }
    }

    /// Mail shall not come back to this host, which has these names: it and all hosts of equal or worse preference are left
    /// out (RFC 5321 section 5.1). Not for a fixed next hop. What it is by its addresses, [`MailHosts::before_us`] leaves out.
    pub fn not_to(self, us: Arc<[DomainName]>) -> HostSearch {
        HostSearch { us, ..self }
    }

    /// For a message that has been tried so often: each turn begins elsewhere, among equals.
    pub fn in_turn(self, turn: u32) -> HostSearch {
        HostSearch { order: Order { turn, ..self.order }, ..self }
    }

    /// The addresses of a fixed next hop: a host name, an address (bare or in brackets), or `localhost`.
    pub fn host(name: &str, families: Families, seed: u64) -> HostSearch {
        let state = match (name.parse().ok().or_else(|| literal(name)), DomainName::from_unicode(name)) {
            (Some(address), _) => State::Done(one_address(address, families)),
            (None, Ok(name)) => match localhost(&name, families) {
                Some(hosts) => State::Done(hosts),
                None => State::Addresses(Addresses::implicit(name, true)),
            },
            (None, Err(_)) => State::Done(not_a_name(name)),
        };
        HostSearch { families, order: Order { seed, turn: 0 }, us: Arc::default(), state }
    }

    /// What is needed now. After [`Step::Ask`], give all the answers with [`HostSearch::answer`] and ask again.
    pub fn step(&mut self) -> Step {
        match &mut self.state {
            State::Done(hosts) => Step::Done(hosts.clone()),
            State::Exchangers(domain) => Step::Ask(vec![Question { name: domain.clone(), kind: Kind::Mx }]),
            State::Addresses(addresses) => {
                addresses.close_wave(self.families, self.order);
                if addresses.open_wave() {
                    return Step::Ask(addresses.questions(self.families));
                }
                let hosts = addresses.result(self.families);
                self.state = State::Done(hosts.clone());
                Step::Done(hosts)
            }
        }
    }

    /// Takes an answer.
    pub fn answer(&mut self, question: &Question, resolved: Resolved) {
        match &mut self.state {
            State::Exchangers(domain) if question.kind == Kind::Mx => {
                let domain = domain.clone();
                self.state = after_exchangers(domain, resolved, self.order).before_us(&self.us);
            }
            State::Addresses(addresses) => addresses.take(question, resolved),
            _ => {}
        }
    }
}

impl HostSearch {
    /// Leaves out those of the hosts named by MX records that `permits` does not want. Call it after each answer.
    pub fn retain(&mut self, permits: impl Fn(&str) -> bool) {
        let State::Addresses(addresses) = &mut self.state else { return };
        if addresses.implicit || addresses.left.is_empty() {
            return;
        }
        addresses.left.retain(|host| permits(host.name.as_str()));
        let nothing_left =
            addresses.left.is_empty() && addresses.wave.is_empty() && addresses.found.is_empty();
        if nothing_left {
            let text = format!("{}: every MX host is excluded by the configuration", addresses.domain);
            self.state = State::Done(MailHosts::NoMailHost(Lack::Excluded, text.into()));
        }
    }
}

impl State {
    /// Without this host, and all that does not go before it.
    fn before_us(mut self, us: &[DomainName]) -> State {
        let State::Addresses(addresses) = &mut self else { return self };
        let Some(ours) = addresses.left.iter().find(|host| us.contains(&host.name)).cloned() else {
            return self;
        };
        addresses.left.retain(|host| host.preference < ours.preference);
        if addresses.left.is_empty() { State::Done(only_us(ours.name.as_str())) } else { self }
    }
}

/// RFC 5321 5.1: MX records decide; without any the domain is its own host; anything but a clear answer is no
/// reason to go on to its addresses.
fn after_exchangers(domain: DomainName, resolved: Resolved, order: Order) -> State {
    let authentic = resolved.authentic;
    match resolved.answer {
        Answer::Mx(exchangers) if exchangers.iter().any(|mx| mx.host.is_some()) => {
            let left = in_order(&exchangers, order);
            let implicit = Addresses::implicit(domain, authentic);
            State::Addresses(Addresses { implicit: false, left, ..implicit })
        }
        Answer::Mx(exchangers) if exchangers.is_empty() => {
            State::Done(no_mail_host(Lack::Addresses, format!("{domain}: no MX record names a host")))
        }
        Answer::Mx(_) => State::Done(MailHosts::NullMx),
        Answer::NoDomain => State::Done(no_domain(&domain, resolved.left_ms)),
        Answer::NoData | Answer::Addresses(_) | Answer::Names(_) | Answer::Records(_) => {
            State::Addresses(Addresses::implicit(domain, authentic))
        }
        Answer::Failed(failure) => {
            State::Done(MailHosts::Temporary(format!("{domain} MX: {failure}").into()))
        }
    }
}

/// Hosts by preference, shuffled where equal, and each turn beginning with the next; each name once, at its best
/// preference.
fn in_order(exchangers: &[Mx], order: Order) -> VecDeque<Host> {
    let mut hosts: Vec<(u16, &DomainName)> =
        exchangers.iter().filter_map(|mx| Some((mx.preference, mx.host.as_ref()?))).collect();
    // Sorted by name too, so that the order depends on the seed and not on the rotation of a name server.
    hosts.sort();
    let mut names = FxHashSet::default();
    hosts.retain(|(_, name)| names.insert(*name));
    let mut kept = VecDeque::new();
    for equals in hosts.chunk_by_mut(|a, b| a.0 == b.0) {
        let turn = begin_elsewhere(equals, order);
        kept.extend(equals.iter().map(|(preference, name)| Host {
            preference: *preference,
            name: (*name).clone(),
            turn,
        }));
    }
    kept.truncate(limits::MX_HOSTS_MAX);
    kept
}

impl Addresses {
    fn implicit(domain: DomainName, authentic: bool) -> Addresses {
        Addresses {
            left: VecDeque::from([Host { preference: 0, name: domain.clone(), turn: 0 }]),
            implicit: true,
            domain,
            authentic,
            wave: Vec::new(),
            found: Vec::new(),
            unknown: None,
            none_exist: true,
            left_ms: 0,
        }
    }

    /// Begins to ask for the next hosts, if more are wanted.
    fn open_wave(&mut self) -> bool {
        let addresses: usize = self.found.iter().map(|host| host.addresses.len()).sum();
        if addresses < limits::MAIL_ADDRESSES_ENOUGH {
            let count = WAVE.min(self.left.len());
            let asked = |host| Asked { host, ipv4: None, ipv6: None, authentic: true };
            self.wave = self.left.drain(..count).map(asked).collect();
        }
        !self.wave.is_empty()
    }

    fn questions(&self, families: Families) -> Vec<Question> {
        let kinds = [(families.ipv4, Kind::A), (families.ipv6, Kind::Aaaa)];
        let kinds = || kinds.into_iter().filter(|(wanted, _)| *wanted).map(|(_, kind)| kind);
        let wave = self.wave.iter();
        wave.flat_map(|asked| kinds().map(|kind| Question { name: asked.host.name.clone(), kind })).collect()
    }

    fn take(&mut self, question: &Question, resolved: Resolved) {
        let Resolved { answer, authentic, left_ms } = resolved;
        self.none_exist &= answer == Answer::NoDomain;
        self.left_ms = self.left_ms.max(left_ms);
        if let Some(asked) = self.wave.iter_mut().find(|asked| asked.host.name == question.name) {
            asked.authentic &= authentic;
            match question.kind {
                Kind::A => asked.ipv4 = Some(answer),
                Kind::Aaaa => asked.ipv6 = Some(answer),
                Kind::Mx | Kind::Ptr | Kind::Records(_) => {}
            }
        }
    }

    /// Keeps the hosts of the wave that have addresses.
    fn close_wave(&mut self, families: Families, order: Order) {
        for asked in std::mem::take(&mut self.wave) {
            let Host { preference, name, turn } = asked.host;
            let of = |answer: Option<Answer>, wanted: bool| match answer {
                Some(Answer::Addresses(addresses)) if wanted => addresses.to_vec(),
                _ => Vec::new(),
            };
            let failure = [&asked.ipv4, &asked.ipv6].into_iter().flatten().find_map(|answer| match answer {
                Answer::Failed(failure) => Some(format!("{name}: {failure}")),
                _ => None,
            });
            let ipv4 = of(asked.ipv4, families.ipv4);
            let ipv6 = of(asked.ipv6, families.ipv6);
            // A host that is alone has all turns.
            let turn = if self.implicit { order.turn } else { turn };
            let addresses = alternating(ipv4, ipv6, Order { turn, ..order });
            if !addresses.is_empty() {
                self.found.push(MailHost {
                    name: name.to_shared(),
                    addresses,
                    preference,
                    authentic: self.authentic && asked.authentic,
                    name_authentic: self.authentic,
                });
            } else if let Some(failure) = failure {
                self.unknown.get_or_insert(failure.into());
            }
        }
    }

    fn result(&mut self, families: Families) -> MailHosts {
        let unknown = self.unknown.take();
        if !self.found.is_empty() {
            return MailHosts::Found { hosts: std::mem::take(&mut self.found), unknown };
        }
        match unknown {
            Some(failure) => MailHosts::Temporary(failure),
            None if self.implicit && self.none_exist => no_domain(&self.domain, self.left_ms),
            None => {
                let lack = match (families.ipv4 && families.ipv6) || self.none_exist {
                    true => Lack::Addresses,
                    false => Lack::Family,
                };
                let what = match self.implicit {
                    true => "no MX record and no usable address",
                    false => "no MX host has a usable address",
                };
                no_mail_host(lack, format!("{}: {what}", self.domain))
            }
        }
    }
}

fn alternating(mut ipv4: Vec<IpAddr>, mut ipv6: Vec<IpAddr>, order: Order) -> Vec<IpAddr> {
    for family in [&mut ipv4, &mut ipv6] {
        family.sort_unstable();
        begin_elsewhere(family, order);
    }
    let longest = ipv4.len().max(ipv6.len());
    let pairs = (0..longest).flat_map(|number| [ipv4.get(number), ipv6.get(number)]);
    pairs.flatten().copied().take(limits::HOST_ADDRESSES_MAX).collect()
}

fn no_domain(domain: &DomainName, left_ms: u64) -> MailHosts {
    MailHosts::NoDomain { text: format!("{domain}: no such domain").into(), left_ms }
}

fn no_mail_host(lack: Lack, text: String) -> MailHosts {
    MailHosts::NoMailHost(lack, text.into())
}

fn not_a_name(text: &str) -> MailHosts {
    no_mail_host(Lack::Addresses, format!("{text}: not a domain name"))
}

/// An address literal of RFC 5321 4.1.3.
fn literal(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    match inner.split_at_checked("IPv6:".len()) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => {
            address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

fn one_address(address: IpAddr, families: Families) -> MailHosts {
    let usable = if address.is_ipv4() { families.ipv4 } else { families.ipv6 };
    if !usable {
        return no_mail_host(Lack::Family, format!("[{address}]: its address family is switched off"));
    }
    found(MailHost::insecure(format!("[{address}]").into(), vec![address]))
}

/// RFC 6761 6.3: localhost is never asked for.
fn localhost(name: &DomainName, families: Families) -> Option<MailHosts> {
    if name.as_str() != "localhost" && !name.as_str().ends_with(".localhost") {
        return None;
    }
    let addresses = [
        families.ipv4.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        families.ipv6.then_some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    let addresses: Vec<_> = addresses.into_iter().flatten().collect();
    if addresses.is_empty() {
        return Some(no_mail_host(Lack::Family, format!("{name}: no address family is in use")));
    }
    Some(found(MailHost::insecure(name.to_shared(), addresses)))
}

fn found(host: MailHost) -> MailHosts {
    MailHosts::Found { hosts: vec![host], unknown: None }
}

/// Shuffles equals by the seed, and begins with the next of them each turn. Gives how often all of them have been first.
fn begin_elsewhere<T>(equals: &mut [T], order: Order) -> u32 {
    shuffle(equals, order.seed);
    let Some(count) = u32::try_from(equals.len()).ok().filter(|count| *count > 0) else { return 0 };
    equals.rotate_left((order.turn % count) as usize);
    order.turn / count
}

/// Fisher-Yates with splitmix64.
fn shuffle<T>(list: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..list.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        list.swap(last, (mixed % (last as u64 + 1)) as usize);
    }
}
