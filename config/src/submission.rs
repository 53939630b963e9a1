//! Servers of type `http` and `https`: what the schema cannot say of them (reference: configuration 4.6).

use crate::cross_check::reach;
use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};
use crate::{PHASES, ServerKind, Startup};

/// The phases that a message goes through which comes in whole.
const OWN_PHASES: [&str; 3] = ["data", "eod", "disconnect"];

/// Checks the servers of the running file; before defaults.
pub(crate) fn cross_check(tree: &Tree, startup: &Startup, report: &mut Report) {
    for (index, server) in tree.items("servers").iter().enumerate() {
        let path = format!("servers[{index}]");
        match ServerKind::of(server) {
            ServerKind::Smtp => no_api_keys(server, &path, report),
            kind => {
                foreign_keys(server, kind, &path, report);
                tls(server, kind, &path, report);
                keys_can_be_given(server, &path, report);
                open_to_all(server, &path, startup, report);
            }
        }
    }
}

/// The typed values of `apikeys`.
pub(crate) fn api_keys(server: &Tree) -> Vec<String> {
    let text = |tree: &Tree| match &tree.value {
        Checked::Text(text) => Some(text.clone()),
        _ => None,
    };
    server.items("apikeys").iter().filter_map(text).collect()
}

fn no_api_keys(server: &Tree, path: &str, report: &mut Report) {
    if let (Some(keys), Some("smtp") | None) = (server.get("apikeys"), server.text("type")) {
        let problem = Problem::new("no client of SMTP has a key").hint("for type: http or https");
        report.error(keys.at, &format!("{path}.apikeys"), problem);
    }
}

/// What only SMTP has.
fn foreign_keys(server: &Tree, kind: ServerKind, path: &str, report: &mut Report) {
    let kind = kind.name();
    let phases = PHASES.iter().filter(|phase| !OWN_PHASES.contains(phase));
    let keys =
        phases.map(|phase| format!("phases.{phase}")).chain(["xclient", "extensions"].map(str::to_owned));
    for key in keys {
        if let Some(value) = server.get(&key) {
            let problem = Problem::new(format!("is not for type {kind}"))
                .hint(format!("a message that comes by HTTP has the phases {}", OWN_PHASES.join(", ")));
            report.error(value.at, &format!("{path}.{key}"), problem);
        }
    }
}

fn tls(server: &Tree, kind: ServerKind, path: &str, report: &mut Report) {
    let tls = server.get("tls");
    match (kind, tls) {
        (ServerKind::Https, _) if server.get("tls.certs.cert").is_none() => {
            let at = tls.map_or(server.at, |tls| tls.at);
            report.error(at, &format!("{path}.tls.certs.cert"), Problem::new("required for type https"));
        }
        (ServerKind::Http, Some(tls)) => {
            let problem = Problem::new("is not for type http").hint("write type: https, in both files");
            report.error(tls.at, &format!("{path}.tls"), problem);
        }
        _ => {}
    }
    for key in ["tls.implicit", "tls.required"] {
        if let (ServerKind::Https, Some(value)) = (kind, server.get(key)) {
            let problem = Problem::new("is not for type https").hint("it speaks nothing but TLS");
            report.error(value.at, &format!("{path}.{key}"), problem);
        }
    }
}

/// The blanks around the value of a header field are no part of it.
fn keys_can_be_given(server: &Tree, path: &str, report: &mut Report) {
    for (number, key) in server.items("apikeys").iter().enumerate() {
        if matches!(&key.value, Checked::Text(text) if text.trim() != text) {
            let problem = Problem::new("begins or ends with a blank, which is no part of a header field");
            report.error(key.at, &format!("{path}.apikeys[{number}]"), problem);
        }
    }
}

/// Without keys, a server that others can reach would send mail for anyone to anyone.
fn open_to_all(server: &Tree, path: &str, startup: &Startup, report: &mut Report) {
    if server.bool("openrelay") == Some(true) || !server.items("apikeys").is_empty() {
        return;
    }
    let entry = startup.servers.iter().find(|entry| Some(entry.id.as_str()) == server.text("id"));
    let Some((entry, reach)) = entry.and_then(|entry| Some((entry, reach(server, entry)?))) else { return };
    let text = format!("server \"{}\" {reach}, without apikeys: anyone could send mail through it", entry.id);
    let problem = Problem::new(text).hint("set apikeys, listen on loopback only, or set openrelay: true");
    report.error(server.at, &format!("{path}.openrelay"), problem);
}
