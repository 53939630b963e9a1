//! What the schema cannot say about TLS.

use crate::report::{Problem, Report};
use crate::scalar::is_host_name;
use crate::schema::File;
use crate::tree::{Checked, Tree};
use crate::{ListenServer, Pki, Startup, TlsMode};

/// Checks `servers[].tls` of the running file.
pub(crate) fn check_servers(tree: &Tree, startup: &Startup, report: &mut Report) {
    for (index, server) in tree.items("servers").iter().enumerate() {
        let Some(tls) = server.get("tls") else { continue };
        let path = format!("servers[{index}].tls");
        needs_certificate(tls, &path, report);
        let named = tls.get("certs.cert").map(|cert| (cert, format!("{path}.certs.cert")));
        let by_name = tls.items("certs.sni").iter().enumerate().filter_map(|(number, entry)| {
            let path = format!("{path}.certs.sni[{number}]");
            check_name(entry, &path, report);
            Some((entry.get("cert")?, format!("{path}.cert")))
        });
        for (cert, path) in named.into_iter().chain(by_name.collect::<Vec<_>>()) {
            identity_exists(cert, &path, tree, &startup.pki, report);
        }
        let own = startup.servers.iter().find(|own| Some(own.id.as_str()) == server.text("id"));
        if let Some(own) = own {
            listeners_exist(tls, own, &path, report);
        }
        if tls.text("clientcert") == Some("require") && tree.items("pki.trusted").is_empty() {
            let at = tls.get("clientcert").map_or(tls.at, |tree| tree.at);
            let problem = Problem::new("nobody is trusted to issue client certificates")
                .hint("name the certificates of authorities in pki.trusted");
            report.error(at, &format!("{path}.clientcert"), problem);
        }
    }
}

/// A monitor that speaks TLS has a certificate.
pub(crate) fn check_monitor(tree: &Tree, startup: &Startup, report: &mut Report) {
    let path = "monitor.tls.certs.cert";
    match tree.get(path) {
        Some(cert) => identity_exists(cert, path, tree, &startup.pki, report),
        None if startup.monitor.as_ref().is_some_and(|listener| listener.https) => {
            let at = tree.get("monitor").map_or(tree.at, |monitor| monitor.at);
            report.error(at, path, Problem::new("required for type https"));
        }
        None => {}
    }
}

/// Keys that mean nothing, or worse, without a certificate.
fn needs_certificate(tls: &Tree, path: &str, report: &mut Report) {
    if tls.get("certs.cert").is_some() {
        return;
    }
    let asks = [
        (
            "implicit",
            tls.bool("implicit") == Some(true)
                || tls.bool("implicit").is_none() && !tls.items("implicit").is_empty(),
        ),
        ("required", tls.bool("required") == Some(true)),
        ("clientcert", tls.text("clientcert").is_some_and(|mode| mode != "disabled")),
        ("certs.sni", !tls.items("certs.sni").is_empty()),
    ];
    for (key, _) in asks.into_iter().filter(|(_, asks)| *asks) {
        let at = tls.get(key).map_or(tls.at, |tree| tree.at);
        let problem = Problem::new("there is no TLS without a certificate").hint("set tls.certs.cert");
        report.error(at, &format!("{path}.{key}"), problem);
    }
}

fn check_name(entry: &Tree, path: &str, report: &mut Report) {
    let Some(name) = entry.text("hostname") else { return };
    if !is_host_name(name.strip_prefix("*.").unwrap_or(name)) {
        let at = entry.get("hostname").map_or(entry.at, |tree| tree.at);
        let problem = Problem::new(format!("\"{name}\" is neither a host name nor *. and a domain"));
        report.error(at, &format!("{path}.hostname"), problem);
    }
}

/// The id names a certificate with its key, over both files.
fn identity_exists(id: &Tree, path: &str, running: &Tree, startup: &Pki, report: &mut Report) {
    let Checked::Text(name) = &id.value else { return };
    let here = running.items("pki.private").iter().find(|entry| entry.text("id") == Some(name));
    let there = startup.private.iter().find(|entry| entry.id == *name);
    let (startup_file, running_file) = (File::Startup.file_name(), File::Running.file_name());
    if here.is_none() && there.is_none() {
        let problem = Problem::new(format!("no certificate with id \"{name}\" in pki.private"));
        return report.error(id.at, path, problem);
    }
    let given = |key: &str| here.is_some_and(|entry| entry.get(key).is_some());
    let halves = [
        ("certificate", given("certificate") || there.is_some_and(|entry| entry.certificate.is_some())),
        ("privatekey", given("privatekey") || there.is_some_and(|entry| entry.key.is_some())),
    ];
    for (half, _) in halves.into_iter().filter(|(_, given)| !given) {
        let text = format!(
            "pki.private \"{name}\": {half} is missing (looked in {startup_file} and {running_file})"
        );
        report.error(id.at, path, Problem::new(text));
    }
}

fn listeners_exist(tls: &Tree, server: &ListenServer, path: &str, report: &mut Report) {
    let ids: Vec<&str> = server.listeners.iter().filter_map(|listener| listener.id.as_deref()).collect();
    for (index, item) in tls.items("implicit").iter().enumerate() {
        let Checked::Text(id) = &item.value else { continue };
        if !ids.contains(&id.as_str()) {
            let file = File::Startup.file_name();
            let text = format!("server \"{}\" of {file} has no listener with id \"{id}\"", server.id);
            let hint = match ids.as_slice() {
                [] => "none of its listeners has an id".to_owned(),
                ids => format!("known: {}", ids.join(", ")),
            };
            report.error(item.at, &format!("{path}.implicit[{index}]"), Problem::new(text).hint(hint));
        }
    }
}

/// Checks `session.tls` of the running file's transports, once they have what they inherit, and before defaults.
pub(crate) fn check_transports(tree: &Tree, startup: &Startup, report: &mut Report) {
    let nobody_trusted = tree.items("pki.trusted").is_empty();
    for (group_index, group) in tree.items("transportgroups").iter().enumerate() {
        for (index, transport) in group.items("transports").iter().enumerate() {
            let Some(tls) = transport.get("session.tls") else { continue };
            let path = format!("transportgroups[{group_index}].transports[{index}].session.tls");
            if let Some(id) = tls.get("clientcert") {
                identity_exists(id, &format!("{path}.clientcert"), tree, &startup.pki, report);
            }
            check_mode(tls, &path, nobody_trusted, report);
            check_resolver(tls, &path, tree, report);
        }
    }
}

/// DANE stands on answers that name servers have checked.
fn check_resolver(tls: &Tree, path: &str, running: &Tree, report: &mut Report) {
    let is_dane = tls.text("mode").and_then(TlsMode::parse).is_some_and(TlsMode::is_dane);
    let trusted = running.get("resolver").and_then(|resolver| resolver.bool("trustad"));
    let named = !running.items("resolver.servers").is_empty();
    if is_dane && (trusted == Some(false) || trusted.is_none() && named) {
        let at = tls.get("mode").map_or(tls.at, |tree| tree.at);
        let problem = Problem::new("no TLSA record will count: the name servers are not trusted with DNSSEC")
            .hint("name servers that validate, over a way that nobody else can write to, and set resolver.trustad");
        report.warning(at, &format!("{path}.mode"), problem);
    }
}

fn check_mode(tls: &Tree, path: &str, nobody_trusted: bool, report: &mut Report) {
    let mode = tls.text("mode").unwrap_or("disabled");
    let at = |key: &str| tls.get(key).map_or(tls.at, |tree| tree.at);
    if tls.bool("implicit") == Some(true) && mode == "disabled" {
        let problem = Problem::new("TLS is disabled").hint("set mode to require or require_verify");
        report.error(at("implicit"), &format!("{path}.implicit"), problem);
    }
    if mode.ends_with("_verify") {
        if tls.bool("verify.defaultca") == Some(false) && nobody_trusted {
            let problem = Problem::new("no certificate can pass: nobody is trusted")
                .hint("name the certificates of authorities in pki.trusted, or set it to true");
            report.error(at("verify.defaultca"), &format!("{path}.verify.defaultca"), problem);
        }
    } else if !tls.entries("verify").is_empty() {
        let problem = Problem::new("has no effect")
            .hint(format!("mode {mode} does not check certificates against authorities; optional_verify, require_verify and \
                 dane_fallback_require_verify do"));
        report.warning(at("verify"), &format!("{path}.verify"), problem);
    }
}
