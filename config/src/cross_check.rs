//! What the schema cannot say about the running file: references, and pairs with the startup file.

use std::net::IpAddr;

use crate::report::{Problem, Report};
use crate::schema::File;
use crate::tree::{Checked, Tree};
use crate::{ListenPlace, ListenServer, Listener, PHASES, ServerKind, Startup};

/// Checks the servers against the startup file and their references against the transports.
pub(crate) fn running(tree: &Tree, startup: &Startup, report: &mut Report) {
    let transports = transport_ids(tree);
    for (index, server) in tree.items("servers").iter().enumerate() {
        pairing(server, index, startup, report);
        open_relay(server, index, startup, report);
        transport_exists(server, index, &transports, report);
        hooks_exist(tree, server, index, report);
    }
    for server in &startup.servers {
        if !tree.items("servers").iter().any(|tree| tree.text("id") == Some(&server.id)) {
            let at = tree.get("servers").map_or(tree.at, |servers| servers.at);
            let file = File::Startup.file_name();
            report.error(
                at,
                "servers",
                Problem::new(format!("no entry for server \"{}\" of {file}", server.id)),
            );
        }
    }
    unique_transports(tree, report);
}

/// The entry of the startup file has the same type.
fn pairing(server: &Tree, index: usize, startup: &Startup, report: &mut Report) {
    let Some(id) = server.text("id") else { return };
    let file = File::Startup.file_name();
    let Some(entry) = startup.servers.iter().find(|entry| entry.id == id) else {
        let problem = Problem::new(format!("{file} has no server \"{id}\": this one gets no traffic"));
        report.warning(server.at, &format!("servers[{index}]"), problem);
        return;
    };
    let kind = entry.kind.name();
    let own = match server.get("type") {
        None => Some("smtp"),
        Some(_) => server.text("type"),
    };
    if let Some(own) = own.filter(|own| *own != kind) {
        let at = server.get("type").map_or(server.at, |tree| tree.at);
        let problem =
            Problem::new(format!("\"{own}\" differs from \"{kind}\" in {file} for server \"{id}\""));
        report.error(at, &format!("servers[{index}].type"), problem);
    }
}

/// Without hooks, a server that others can reach would send mail for anyone to anyone.
fn open_relay(server: &Tree, index: usize, startup: &Startup, report: &mut Report) {
    let has_hook = |phase: &str| server.get(&format!("phases.{phase}.hook")).is_some();
    if server.bool("openrelay") == Some(true) || has_hook("rcptto") || has_hook("eod") {
        return;
    }
    let Some(entry) = startup.servers.iter().find(|entry| Some(entry.id.as_str()) == server.text("id"))
    else {
        return;
    };
    if ServerKind::of(server).is_http() {
        return; // has a rule of its own
    }
    let Some(reach) = reach(server, entry) else { return };
    let text = format!(
        "server \"{}\" {reach}, without an rcptto or eod hook: anyone could send mail through it",
        entry.id
    );
    let problem = Problem::new(text).hint("listen on loopback only, or set openrelay: true");
    report.error(server.at, &format!("servers[{index}].openrelay"), problem);
}

/// How others than this host can reach a server, if they can.
pub(crate) fn reach(server: &Tree, entry: &ListenServer) -> Option<String> {
    if let Some((address, port)) = entry.listeners.iter().find_map(beyond_loopback) {
        let address = address.map_or("all addresses".to_owned(), |address| address.to_string());
        return Some(format!("listens on {address}, port {port}"));
    }
    let proxied =
        [("proxyprotocol", !entry.proxies.is_empty()), ("xclient", !server.networks("xclient").is_empty())];
    let (key, _) = proxied.into_iter().find(|(_, is_set)| *is_set)?;
    Some(format!("serves the clients of a proxy ({key})"))
}

/// Address and port of a listener that others than this host can reach.
fn beyond_loopback(listener: &Listener) -> Option<(Option<IpAddr>, u16)> {
    let ListenPlace::Tcp { address, port } = listener.place else { return None };
    let is_loopback = address.is_some_and(|address| address.to_canonical().is_loopback());
    (!is_loopback).then_some((address, port))
}

fn transport_exists(server: &Tree, index: usize, transports: &[(&str, &str)], report: &mut Report) {
    let Some(id) = server.text("transport") else {
        let is_named = server.text("id").is_some() && server.get("transport").is_none();
        if is_named && server.get("phases.eod.hook").is_none() {
            let problem = Problem::new("required where no eod hook says where mail goes");
            report.error(server.at, &format!("servers[{index}].transport"), problem);
        }
        return;
    };
    if transports.iter().any(|(transport, _)| *transport == id) {
        return;
    }
    let at = server.get("transport").map_or(server.at, |tree| tree.at);
    let known: Vec<&str> = transports.iter().map(|(transport, _)| *transport).collect();
    let hint = match known.as_slice() {
        [] => "no transports are defined".to_owned(),
        known => format!("known: {}", known.join(", ")),
    };
    let problem = Problem::new(format!("unknown transport \"{id}\"")).hint(hint);
    report.error(at, &format!("servers[{index}].transport"), problem);
}

/// Every script that a phase names is there.
fn hooks_exist(root: &Tree, server: &Tree, index: usize, report: &mut Report) {
    for phase in PHASES {
        let key = format!("phases.{phase}.hook");
        let mut named: Vec<(String, &Tree)> = Vec::new();
        if let Some(hook) = server.get(&key) {
            named.push((key.clone(), hook));
        }
        if let Some(hook) = server.get(&format!("{key}.id")) {
            named.push((format!("{key}.id"), hook));
        }
        for (domain, hook) in server.entries(&format!("{key}.recipientdomains")) {
            named.push((format!("{key}.recipientdomains.{domain}"), hook));
        }
        let scripts = root.items(&format!("scripting.hooks.{phase}"));
        let known: Vec<&str> = scripts.iter().filter_map(|script| script.text("id")).collect();
        for (path, hook) in named {
            let Checked::Text(id) = &hook.value else { continue };
            if known.contains(&id.as_str()) {
                continue;
            }
            let hint = match known.as_slice() {
                [] => format!("scripting.hooks.{phase} has no scripts"),
                known => format!("known: {}", known.join(", ")),
            };
            let problem = Problem::new(format!("there is no {phase} script \"{id}\"")).hint(hint);
            report.error(hook.at, &format!("servers[{index}].{path}"), problem);
        }
    }
}

/// Transport ids are unique over all groups. Within one group the schema check has said so.
fn unique_transports(tree: &Tree, report: &mut Report) {
    let mut seen: Vec<(&str, usize, &str)> = Vec::new();
    for (group_index, group) in tree.items("transportgroups").iter().enumerate() {
        let group_id = group.text("id").unwrap_or("?");
        for (index, transport) in group.items("transports").iter().enumerate() {
            let Some(id) = transport.text("id") else { continue };
            match seen.iter().find(|(other, _, _)| *other == id) {
                Some((_, other_group, name)) if *other_group != group_index => report.error(
                    transport.get("id").map_or(transport.at, |tree| tree.at),
                    &format!("transportgroups[{group_index}].transports[{index}].id"),
                    Problem::new(format!("\"{id}\" is already defined in group \"{name}\"")),
                ),
                _ => seen.push((id, group_index, group_id)),
            }
        }
    }
}

/// Transport and group id of every transport.
fn transport_ids(tree: &Tree) -> Vec<(&str, &str)> {
    let of_group = |group| -> Vec<(&str, &str)> {
        let group: &Tree = group;
        let name = group.text("id").unwrap_or("?");
        group.items("transports").iter().filter_map(|transport| Some((transport.text("id")?, name))).collect()
    };
    tree.items("transportgroups").iter().flat_map(of_group).collect()
}
