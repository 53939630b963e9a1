//! `halonctl.yaml`: where the client programs find the control socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::pki::pem;
use crate::report::{Problem, Report};
use crate::schema::File;
use crate::tree::Tree;
use crate::{Error, Loaded, Options, Pem, Scope, Source, check, yaml};

/// Where the control socket of `smtpd` is when nobody says otherwise (reference: configuration 2.10).
pub const CONTROL_SOCKET: &str = "/var/run/halon/smtpd.ctl";

/// A control socket as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlSocket {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// Where.
        address: SocketAddr,
        /// How it is encrypted; `None`: not at all.
        tls: Option<ControlTls>,
    },
}

/// `tls.client`: how a client encrypts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlTls {
    /// What the client shows: certificate and key, both or neither.
    pub identity: Option<(Pem, Pem)>,
    /// Whether the server's certificate is checked.
    pub verify: bool,
    /// The name that it must have; `None`: the address.
    pub verify_name: Option<String>,
}

impl Default for ControlSocket {
    fn default() -> Self {
        Self::Unix(PathBuf::from(CONTROL_SOCKET))
    }
}

/// Reads `halonctl.yaml`. An empty file is one without keys.
///
/// # Errors
/// Every problem of the file, in file order.
pub fn load_client(source: &Source<'_>, options: &Options<'_>) -> Result<Loaded<ControlSocket>, Vec<Error>> {
    let mut report = Report::new(source.name);
    if let Ok(None) = yaml::parse(source.text) {
        return report.loaded(Some(ControlSocket::default()));
    }
    // Client files need no version.
    let options = Options { scope: Scope::Scripts, ..*options };
    let value = check::read(File::Client, source, &options, &mut report).and_then(|(mut tree, _)| {
        let path = socket_path(&tree, &mut report);
        cross_check(&tree, path, &mut report);
        check::fill(&mut tree, File::Client.keys(Scope::Scripts));
        (!report.has_errors()).then(|| tree.get(path).map_or_else(ControlSocket::default, socket))
    });
    report.loaded(value)
}

const PLURAL: &str = "environment.controlsockets.smtpd";
const SINGULAR: &str = "environment.controlsocket";

/// The one of the two spellings that the file has.
fn socket_path(tree: &Tree, report: &mut Report) -> &'static str {
    match (tree.get(PLURAL), tree.get(SINGULAR)) {
        (Some(_), Some(second)) => {
            report.error(second.at, SINGULAR, Problem::new(format!("excludes {PLURAL}")));
            PLURAL
        }
        (None, Some(_)) => SINGULAR,
        _ => PLURAL,
    }
}

fn cross_check(tree: &Tree, path: &str, report: &mut Report) {
    let Some(socket) = tree.get(path) else { return };
    if let (Some(_), Some(port)) = (socket.get("path"), socket.get("port")) {
        report.error(port.at, &format!("{path}.port"), Problem::new(format!("excludes {path}.path")));
    }
    for name in ["address", "tls"] {
        if let (Some(given), None) = (socket.get(name), socket.get("port")) {
            report.error(given.at, &format!("{path}.{name}"), Problem::new(format!("needs {path}.port")));
        }
    }
    let Some(client) = socket.get("tls.client") else { return };
    if let (Some(given), None) | (None, Some(given)) = (client.get("certificate"), client.get("privatekey")) {
        let problem = Problem::new("a certificate and a privatekey go together");
        report.error(given.at, &format!("{path}.tls.client"), problem);
    }
    for name in ["certificate", "privatekey"] {
        let Some(text) = client.get(name) else { continue };
        if text.get("path").is_some() == text.get("data").is_some() {
            let problem = Problem::new("has either path or data");
            report.error(text.at, &format!("{path}.tls.client.{name}"), problem);
        }
    }
}

/// The typed value of a tree without errors.
fn socket(tree: &Tree) -> ControlSocket {
    let Some(port) = tree.integer("port") else {
        return ControlSocket::Unix(PathBuf::from(tree.text("path").unwrap_or(CONTROL_SOCKET)));
    };
    let address = tree.text("address").and_then(|text| text.parse().ok());
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let port = u16::try_from(port).expect("the schema bounds it");
    ControlSocket::Tcp { address: SocketAddr::new(address, port), tls: tree.get("tls.client").map(tls) }
}

fn tls(tree: &Tree) -> ControlTls {
    ControlTls {
        identity: tree.get("certificate").and_then(pem).zip(tree.get("privatekey").and_then(pem)),
        verify: tree.bool("verify").unwrap_or(true),
        verify_name: tree.text("verifyname").map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<ControlSocket, String> {
        let source = Source { name: "halonctl", text };
        load_client(&source, &Options::default())
            .map(|loaded| loaded.value)
            .map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect())
    }

    #[test]
    fn without_keys_it_is_the_default_socket() {
        for text in ["", "# nothing\n", "version: \"6.10\"\n", "environment:\n  controlsockets: {}\n"] {
            assert_eq!(load(text), Ok(ControlSocket::default()), "{text}");
        }
    }

    #[test]
    fn both_spellings_name_the_socket() {
        let wanted = Ok(ControlSocket::Unix("/run/x.ctl".into()));
        assert_eq!(load("environment: {controlsockets: {smtpd: {path: /run/x.ctl}}}"), wanted);
        assert_eq!(load("environment: {controlsocket: {path: /run/x.ctl}}"), wanted);
        let both = "environment: {controlsocket: {path: /a}, controlsockets: {smtpd: {path: /b}}}";
        assert!(load(both).unwrap_err().contains("excludes environment.controlsockets.smtpd"));
    }

    #[test]
    fn a_port_is_on_the_loopback_and_plain_unless_said_otherwise() {
        let address = "127.0.0.1:5555".parse().unwrap();
        let text = "environment: {controlsockets: {smtpd: {port: 5555}}}";
        assert_eq!(load(text), Ok(ControlSocket::Tcp { address, tls: None }));
        let text =
            "environment: {controlsockets: {smtpd: {port: 5555, tls: {client: {verifyname: mx.example}}}}}";
        let tls = ControlTls { identity: None, verify: true, verify_name: Some("mx.example".to_owned()) };
        assert_eq!(load(text), Ok(ControlSocket::Tcp { address, tls: Some(tls) }));
    }

    #[test]
    fn what_contradicts_is_named_with_its_place() {
        for (text, wanted) in [
            (
                "environment: {controlsocket: {path: /a, port: 1}}",
                "halonctl:1:47: environment.controlsocket.port: excludes environment.controlsocket.path\n",
            ),
            (
                "environment: {controlsocket: {address: 127.0.0.1}}",
                "halonctl:1:40: environment.controlsocket.address: needs environment.controlsocket.port\n",
            ),
            (
                "environment: {controlsocket: {prt: 1}}",
                "halonctl:1:31: environment.controlsocket.prt: unknown property; did you mean \"port\"?\n",
            ),
        ] {
            assert_eq!(load(text), Err(wanted.to_owned()), "{text}");
        }
    }
}
