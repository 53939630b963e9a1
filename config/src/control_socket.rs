//! `environment.controlsocket`: where the server takes commands.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::CONTROL_SOCKET;
use crate::pki::{Pem, pem};
use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};

/// Where the server takes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlListener {
    /// A socket in the file system.
    Unix(ControlPath),
    /// A TCP port.
    Tcp {
        /// Its address.
        address: IpAddr,
        /// Its port.
        port: u16,
        /// TLS on it; `None`: in clear.
        tls: Option<ControlServerTls>,
    },
}

/// `path` and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPath {
    /// Where it is.
    pub path: PathBuf,
    /// `path` was not given.
    pub is_default: bool,
    /// Its owner; `None`: who starts the program.
    pub owner: Option<String>,
    /// Its group; `None`: that of the program.
    pub group: Option<String>,
    /// Permission bits.
    pub mode: u32,
}

/// `tls.server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlServerTls {
    /// Chain of the server, leaf first.
    pub certificate: Pem,
    /// Its key.
    pub key: Pem,
    /// Certificates, or issuers of certificates, that clients must show one of; empty: clients are not asked.
    pub clients: Vec<Pem>,
}

/// What the schema cannot say.
pub(crate) fn cross_check(root: &Tree, report: &mut Report) {
    const HERE: &str = "environment.controlsocket";
    let Some(tree) = root.get(HERE) else { return };
    let Some(port) = tree.get("port") else {
        if let Some(tls) = tree.get("tls.server").filter(|tls| matches!(tls.value, Checked::Map(_))) {
            let problem = Problem::new("has no effect: TLS is for a `port`");
            report.warning(tls.at, &format!("{HERE}.tls.server"), problem);
        }
        return;
    };
    if tree.get("path").is_some() {
        report.error(
            port.at,
            &format!("{HERE}.port"),
            Problem::new("excludes environment.controlsocket.path"),
        );
    }
    let Some(tls) = tree.get("tls.server").filter(|tls| matches!(tls.value, Checked::Map(_))) else {
        let text =
            "whoever can reach the port controls the server; set tls.server with clientcerts, or use a path";
        report.warning(port.at, &format!("{HERE}.port"), Problem::new(text));
        return;
    };
    let mut pems: Vec<(String, Option<&Tree>)> =
        ["certificate", "privatekey"].map(|part| (part.to_owned(), tls.get(part))).into();
    let clients = tls.items("clientcerts").iter().enumerate();
    pems.extend(clients.map(|(index, tree)| (format!("clientcerts[{index}]"), Some(tree))));
    for (part, tree) in pems {
        if tree.and_then(pem).is_none() {
            let at = tree.map_or(tls.at, |tree| tree.at);
            report.error(at, &format!("{HERE}.tls.server.{part}"), Problem::new("has neither path nor data"));
        }
    }
    if tls.items("clientcerts").is_empty() {
        let text = "whoever can reach the port controls the server: without clientcerts clients are not asked who they are";
        report.warning(tls.at, &format!("{HERE}.tls.server"), Problem::new(text));
    }
}

/// The typed value of `environment` without errors.
pub(crate) fn control_socket(environment: &Tree) -> ControlListener {
    let text = |key: &str| environment.text(&format!("controlsocket.{key}"));
    if let Some(port) = environment.integer("controlsocket.port") {
        return ControlListener::Tcp {
            address: environment.ip("controlsocket.address").unwrap_or(Ipv4Addr::LOCALHOST.into()),
            port: u16::try_from(port).unwrap_or(u16::MAX),
            tls: environment.get("controlsocket.tls.server").and_then(tls),
        };
    }
    ControlListener::Unix(ControlPath {
        path: text("path").unwrap_or(CONTROL_SOCKET).into(),
        is_default: text("path").is_none(),
        owner: text("owner").map(str::to_owned),
        group: text("group").map(str::to_owned),
        mode: environment.count("controlsocket.chmod").unwrap_or(0o600),
    })
}

fn tls(tree: &Tree) -> Option<ControlServerTls> {
    Some(ControlServerTls {
        certificate: tree.get("certificate").and_then(pem)?,
        key: tree.get("privatekey").and_then(pem)?,
        clients: tree.items("clientcerts").iter().filter_map(pem).collect(),
    })
}
