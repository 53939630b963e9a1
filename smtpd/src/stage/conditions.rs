//! Who gets a stage, and for how long.

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
        })
    }

    /// Whether a connection may get the stage, before any draw.
    pub(super) fn may_take(&self, server: usize, client: IpAddr) -> bool {
        let client = client.to_canonical();
        (self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&client)))
            && (self.servers.is_empty() || self.servers.contains(&server))
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
}
