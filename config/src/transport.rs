//! `transportgroups[].transports[]`: routes out, with what they inherit from their group.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::connection::{self, MxFilter, SourceIp};
use crate::dsn::{self, Dsn};
use crate::limits::RETRY_INTERVALS;
use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};
use crate::{TlsMode, TransportSession, TransportTls};

/// One outgoing route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// What servers and scripts call it.
    pub id: String,
    /// Id of the group that it is in.
    pub group: String,
    /// Where messages go.
    pub next_hop: NextHop,
    /// TCP port, also for deliveries by MX.
    pub port: u16,
    /// Where IPv4 connections come from. One of the two families is on.
    pub source_ipv4: SourceIp,
    /// Where IPv6 connections come from.
    pub source_ipv6: SourceIp,
    /// Messages are spread over the source addresses; `false`: the first that is not suspended.
    pub source_random: bool,
    /// Which of a domain's hosts may be used.
    pub mx: MxFilter,
    /// Who connects on our behalf; `None`: we do.
    pub proxy: Option<SocketAddr>,
    /// HELO name; `None`: the system host name.
    pub helo: Option<String>,
    /// What is said.
    pub session: TransportSession,
    /// Outgoing TLS.
    pub tls: TransportTls,
    /// When to try again; `None`: there is no `retry` block, and the queue's own schedule applies.
    pub retry: Option<Retry>,
    /// How senders are told what became of their mail.
    pub dsn: Dsn,
    /// How long to wait for what.
    pub timeouts: DeliveryTimeouts,
}

/// `connection.server`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NextHop {
    /// MX look-up of the recipient domain.
    Mx,
    /// This host, by address look-up.
    Host(String),
    /// This address.
    Address(IpAddr),
}

/// `retry`. An attempt with number `n` (from 0) that fails for a temporary reason waits `intervals[n]`, or the last
/// interval; the recipient has expired when `n >= count` or its age exceeds `during`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Retries after the first attempt.
    pub count: u32,
    /// At least one.
    pub intervals: Vec<RetryInterval>,
    /// Longest time in the queue; `None`: only `count` decides.
    pub during: Option<Duration>,
}

/// `retry.intervals[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetryInterval {
    /// Delay before the next attempt.
    pub interval: Duration,
    /// Tell the sender when this wait begins.
    pub notify: bool,
}

/// `timeout`: limits of one delivery attempt, per reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the states are named as the commands whose reply is awaited")]
pub struct DeliveryTimeouts {
    pub connect: Duration,
    pub banner: Duration,
    pub ehlo: Duration,
    pub helo: Duration,
    pub lhlo: Duration,
    pub starttls: Duration,
    pub xclient: Duration,
    pub auth_cram_md5: Duration,
    pub auth_plain: Duration,
    pub auth_login: Duration,
    pub auth_login_user: Duration,
    pub auth: Duration,
    pub mail: Duration,
    pub rcpt: Duration,
    pub data: Duration,
    pub eod: Duration,
    pub rset: Duration,
    pub quit: Duration,
}

impl DeliveryTimeouts {
    /// The wait in each state, by its name.
    fn states(&mut self) -> [(&'static str, &mut Duration); 17] {
        [
            ("BANNER", &mut self.banner),
            ("EHLO", &mut self.ehlo),
            ("HELO", &mut self.helo),
            ("LHLO", &mut self.lhlo),
            ("STARTTLS", &mut self.starttls),
            ("XCLIENT", &mut self.xclient),
            ("AUTH-CRAM-MD5", &mut self.auth_cram_md5),
            ("AUTH-PLAIN", &mut self.auth_plain),
            ("AUTH-LOGIN", &mut self.auth_login),
            ("AUTH-LOGIN-USER", &mut self.auth_login_user),
            ("AUTH", &mut self.auth),
            ("MAIL", &mut self.mail),
            ("RCPT", &mut self.rcpt),
            ("DATA", &mut self.data),
            ("EOD", &mut self.eod),
            ("RSET", &mut self.rset),
            ("QUIT", &mut self.quit),
        ]
    }

    /// Sets the wait of a state; a name that is none of a state in which we wait changes nothing.
    pub fn set(&mut self, state: &str, wait: Duration) {
        if let Some((_, time)) = self.states().into_iter().find(|(name, _)| *name == state) {
            *time = wait;
        }
    }
}

/// The documented times: 30 s to connect, RFC 5321 section 4.5.3.2 for the replies.
impl Default for DeliveryTimeouts {
    fn default() -> DeliveryTimeouts {
        let usual = Duration::from_secs(300);
        DeliveryTimeouts {
            connect: Duration::from_secs(30),
            banner: usual,
            ehlo: usual,
            helo: usual,
            lhlo: usual,
            starttls: usual,
            xclient: usual,
            auth_cram_md5: usual,
            auth_plain: usual,
            auth_login: usual,
            auth_login_user: usual,
            auth: usual,
            mail: usual,
            rcpt: usual,
            data: Duration::from_secs(120),
            eod: Duration::from_secs(600),
            rset: usual,
            quit: usual,
        }
    }
}

impl NextHop {
    /// The host of a name, or of an address without brackets.
    pub fn of_server(server: &str) -> NextHop {
        match server.parse() {
            Ok(address) => NextHop::Address(address),
            Err(_) => NextHop::Host(server.to_ascii_lowercase()),
        }
    }
}

impl Transport {
    /// A password may be shown on a connection that is not encrypted: `session.tls.mode` says `disabled`.
    pub fn shows_password(&self) -> bool {
        self.tls.mode == Some(TlsMode::Disabled)
    }
}

/// The blocks that a transport inherits from its group, key by key.
const INHERITED: [&str; 5] = ["connection", "session", "retry", "dsn", "timeout"];

/// Gives each transport of the running file what its group has and it lacks.
pub(crate) fn inherit(tree: &mut Tree) {
    let Checked::Map(root) = &mut tree.value else { return };
    let Some((_, groups)) = root.iter_mut().find(|(name, _)| name == "transportgroups") else { return };
    let Checked::List(groups) = &mut groups.value else { return };
    for group in groups {
        let Checked::Map(entries) = &mut group.value else { continue };
        let blocks: Vec<(String, Tree)> =
            entries.iter().filter(|(name, _)| INHERITED.contains(&name.as_str())).cloned().collect();
        let blocks = Tree { at: group.at, value: Checked::Map(blocks) };
        let transports = entries.iter_mut().find(|(name, _)| name == "transports");
        if let Some((_, Tree { value: Checked::List(transports), .. })) = transports {
            transports.iter_mut().for_each(|transport| transport.inherit(&blocks));
        }
    }
}

/// What the schema cannot say about transports; after [`inherit`], before defaults.
pub(crate) fn cross_check(tree: &Tree, report: &mut Report) {
    let groups = tree.items("transportgroups").iter();
    let ids: Vec<&str> = groups
        .flat_map(|group| group.items("transports"))
        .filter_map(|transport| transport.text("id"))
        .collect();
    for (group_index, group) in tree.items("transportgroups").iter().enumerate() {
        for (index, transport) in group.items("transports").iter().enumerate() {
            let path = format!("transportgroups[{group_index}].transports[{index}]");
            crate::session::cross_check(transport, &path, report);
            connection::cross_check(transport, tree.items("addresses"), &path, report);
            dsn::cross_check(transport, &path, &ids, report);
            check_intervals(transport, &path, report);
            if let (Some(retry), None | Some(0)) = (transport.get("retry"), transport.integer("retry.count"))
            {
                let problem = Problem::new("without a count above 0 the first temporary failure is final");
                report.warning(retry.at, &format!("{path}.retry.count"), problem);
            }
        }
    }
}

/// `retry.intervals` of a transport or of delivery settings at `path`.
pub(crate) fn check_intervals(tree: &Tree, path: &str, report: &mut Report) {
    let Some(list) = tree.get("retry.intervals") else { return };
    let count = tree.items("retry.intervals").len();
    if count > RETRY_INTERVALS {
        let problem = Problem::new(format!("{count} intervals, which is more than {RETRY_INTERVALS}"))
            .hint("the last one repeats");
        report.error(list.at, &format!("{path}.retry.intervals"), problem);
    }
}

/// The transports of a group, from a tree without errors and with all defaults.
pub(crate) fn of_group(group: &Tree) -> impl Iterator<Item = Transport> {
    let name = group.text("id").expect("required");
    group.items("transports").iter().map(move |tree| transport(tree, name))
}

fn transport(tree: &Tree, group: &str) -> Transport {
    let port = tree.integer("connection.port").expect("has a default");
    let [source_ipv4, source_ipv6] = connection::source_ips(tree);
    Transport {
        id: tree.text("id").expect("required").to_owned(),
        group: group.to_owned(),
        next_hop: tree.text("connection.server").map_or(NextHop::Mx, NextHop::of_server),
        port: u16::try_from(port).expect("bounded by the schema"),
        source_ipv4,
        source_ipv6,
        source_random: tree.bool("connection.sourceip.random").expect("has a default"),
        mx: connection::mx_filter(tree),
        proxy: connection::proxy(tree, "connection.proxyprotocol"),
        helo: tree.text("session.helo").map(str::to_owned),
        session: crate::session::of_transport(tree),
        tls: crate::tls::transport(tree),
        retry: retry(tree),
        dsn: dsn::dsn(tree),
        timeouts: timeouts(tree),
    }
}

fn retry(tree: &Tree) -> Option<Retry> {
    let tree = tree.get("retry")?;
    let interval = |tree: &Tree| RetryInterval {
        interval: tree.time("interval").expect("required"),
        notify: tree.bool("notify").expect("has a default"),
    };
    Some(Retry {
        count: tree.count("count").expect("has a default"),
        intervals: tree.items("intervals").iter().map(interval).collect(),
        during: tree.time("during"),
    })
}

fn timeouts(tree: &Tree) -> DeliveryTimeouts {
    let connect = tree.time("timeout.connect").expect("has a default");
    let mut timeouts = DeliveryTimeouts { connect, ..DeliveryTimeouts::default() };
    for (state, time) in timeouts.states() {
        *time = tree.time(&format!("timeout.smtp.{state}")).expect("has a default");
    }
    timeouts
}
