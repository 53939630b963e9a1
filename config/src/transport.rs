//! `transportgroups[].transports[]`: routes out, with what they inherit from their group.

use std::net::IpAddr;
use std::time::Duration;

use crate::connection::{self, MxFilter, SourceIp};
use crate::dsn::{self, Dsn};
use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};
use crate::{TransportSession, TransportTls};

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
    /// HELO name; `None`: the system host name.
    pub helo: Option<String>,
    /// What is said.
    pub session: TransportSession,
    /// Outgoing TLS; `None`: everything is in clear.
    pub tls: Option<TransportTls>,
    /// When to try again; `None`: there is no `retry` block, and the queue's own schedule applies.
    pub retry: Option<Retry>,
    /// How senders are told what became of their mail.
    pub dsn: Dsn,
    /// How long to wait for what.
    pub timeouts: DeliveryTimeouts,
}

/// `connection.server`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            if let (Some(retry), None | Some(0)) = (transport.get("retry"), transport.integer("retry.count"))
            {
                let problem = Problem::new("without a count above 0 the first temporary failure is final");
                report.warning(retry.at, &format!("{path}.retry.count"), problem);
            }
        }
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
        next_hop: match tree.text("connection.server") {
            None => NextHop::Mx,
            Some(server) => match server.parse() {
                Ok(address) => NextHop::Address(address),
                Err(_) => NextHop::Host(server.to_ascii_lowercase()),
            },
        },
        port: u16::try_from(port).expect("bounded by the schema"),
        source_ipv4,
        source_ipv6,
        source_random: tree.bool("connection.sourceip.random").expect("has a default"),
        mx: connection::mx_filter(tree),
        helo: tree.text("session.helo").map(str::to_owned),
        session: crate::session::of_transport(tree),
        tls: tree.get("session.tls").and_then(crate::tls::transport),
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
    let of = |state: &str| tree.time(&format!("timeout.smtp.{state}")).expect("has a default");
    DeliveryTimeouts {
        connect: tree.time("timeout.connect").expect("has a default"),
        banner: of("BANNER"),
        ehlo: of("EHLO"),
        helo: of("HELO"),
        lhlo: of("LHLO"),
        starttls: of("STARTTLS"),
        xclient: of("XCLIENT"),
        auth_cram_md5: of("AUTH-CRAM-MD5"),
        auth_plain: of("AUTH-PLAIN"),
        auth_login: of("AUTH-LOGIN"),
        auth_login_user: of("AUTH-LOGIN-USER"),
        auth: of("AUTH"),
        mail: of("MAIL"),
        rcpt: of("RCPT"),
        data: of("DATA"),
        eod: of("EOD"),
        rset: of("RSET"),
        quit: of("QUIT"),
    }
}
