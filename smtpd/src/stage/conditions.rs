//! Who gets a stage, and for how long.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use control::smtpd::ConfigGreenConditions;
use ipnet::IpNet;

use crate::limits;

/// What a request asks for, checked. All kinds that were given must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// Empty: any client.
    networks: Vec<IpNet>,
    /// Indices of servers of the startup file; empty: any.
    servers: Vec<usize>,
    /// Share of the connections that match.
    pub(super) probability: f64,
    /// Connections at most.
    pub(super) count: u64,
    /// Time at most.
    pub time: Option<Duration>,
    /// As they are written down.
    text: String,
}

impl Conditions {
    /// Checks what is asked for. `servers`: the ids of the startup file's servers.
    ///
    /// # Errors
    /// A sentence that names the condition.
    pub fn read(asked: &ConfigGreenConditions, servers: &[&str]) -> Result<Conditions, String> {
        let most = limits::STAGE_CONDITIONS;
        if asked.remoteips.len().max(asked.serverids.len()) > most {
            return Err(format!("more than {most} values of one condition"));
        }
        let probability = asked.probability.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!("probability: {probability} is not from 0 to 1"));
        }
        let count = asked.count.unwrap_or(u64::MAX);
        if count == 0 {
            return Err("count: at least 1".to_owned());
        }
        let time = asked.time.map(time).transpose()?;
        Ok(Conditions {
            networks: asked.remoteips.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
            servers: asked.serverids.iter().map(|id| server(id, servers)).collect::<Result<_, _>>()?,
            probability,
            count,
            time,
            text: text(asked),
        })
    }

    /// Whether a connection may get the stage, before any draw.
    pub(super) fn may_take(&self, server: usize, client: IpAddr) -> bool {
        let client = client.to_canonical();
        (self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&client)))
            && (self.servers.is_empty() || self.servers.contains(&server))
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn time(seconds: f64) -> Result<Duration, String> {
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero());
    time.filter(|time| *time <= limits::STAGE_TIME).ok_or_else(|| {
        format!("time: {seconds} is not a number of seconds above 0, up to {}", limits::STAGE_TIME.as_secs())
    })
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| format!("remoteip: \"{text}\" is neither an address nor a network"))
}

fn server(id: &str, servers: &[&str]) -> Result<usize, String> {
    servers.iter().position(|known| *known == id).ok_or_else(|| {
        format!("serverid: there is no server \"{id}\" in the startup file; there is {}", servers.join(", "))
    })
}

fn text(asked: &ConfigGreenConditions) -> String {
    let ConfigGreenConditions { remoteips, serverids, probability, time, count } = asked;
    let mut parts: Vec<String> = Vec::new();
    parts.extend((!remoteips.is_empty()).then(|| format!("remoteip {}", remoteips.join(" "))));
    parts.extend((!serverids.is_empty()).then(|| format!("serverid {}", serverids.join(" "))));
    parts.extend(probability.map(|probability| format!("probability {probability}")));
    parts.extend(count.map(|count| format!("at most {count} connection(s)")));
    parts.extend(time.map(|seconds| format!("at most {seconds} s")));
    if parts.is_empty() { "all connections".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let refused = |asked: ConfigGreenConditions| Conditions::read(&asked, &["in"]).expect_err("refused");
        let none = ConfigGreenConditions::default;
        for (asked, starts) in [
            (ConfigGreenConditions { probability: Some(1.5), ..none() }, "probability: 1.5"),
            (ConfigGreenConditions { probability: Some(f64::NAN), ..none() }, "probability: NaN"),
            (ConfigGreenConditions { count: Some(0), ..none() }, "count: at least 1"),
            (ConfigGreenConditions { time: Some(0.0), ..none() }, "time: 0"),
            (ConfigGreenConditions { time: Some(-1.0), ..none() }, "time: -1"),
            (ConfigGreenConditions { time: Some(1e300), ..none() }, "time: 1"),
            (ConfigGreenConditions { time: Some(f64::NAN), ..none() }, "time: NaN"),
            (ConfigGreenConditions { remoteips: vec!["x".to_owned()], ..none() }, "remoteip: \"x\""),
            (ConfigGreenConditions { serverids: vec!["out".to_owned()], ..none() }, "serverid: there is no"),
            (ConfigGreenConditions { remoteips: vec!["::1".to_owned(); 2000], ..none() }, "more than"),
        ] {
            let why = refused(asked);
            assert!(why.starts_with(starts), "{why}");
        }
    }

    #[test]
    fn they_are_written_down_as_they_were_asked_for() {
        let asked = ConfigGreenConditions {
            remoteips: vec!["127.0.0.2/32".to_owned(), "::1".to_owned()],
            serverids: vec!["in".to_owned()],
            probability: Some(0.5),
            time: Some(60.0),
            count: Some(10),
        };
        let text =
            "remoteip 127.0.0.2/32 ::1, serverid in, probability 0.5, at most 10 connection(s), at most 60 s";
        assert_eq!(Conditions::read(&asked, &["in"]).expect("they are good").to_string(), text);
        let all = Conditions::read(&ConfigGreenConditions::default(), &[]).expect("there are none");
        assert_eq!(all.to_string(), "all connections");
    }
}
