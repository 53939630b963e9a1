//! Option files of MariaDB and MySQL.

use std::path::PathBuf;
use std::time::Duration;

use config::ServiceTls;

use crate::services::link::Place;

/// The groups that a client reads.
const GROUPS: [&str; 3] = ["client", "client-server", "client-mariadb"];
/// Where the server listens on this machine.
const SOCKET: &str = "/run/mysqld/mysqld.sock";

/// Where a database is, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) socket: Option<PathBuf>,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) tls: ServiceTls,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            host: None,
            port: None,
            socket: None,
            user: "root".to_owned(),
            password: String::new(),
            database: None,
            connect_timeout: Duration::from_secs(5),
            tls: ServiceTls { enabled: Some(false), verify_peer: true, verify_host: true },
        }
    }
}

impl Options {
    /// Reads a file. `wrong` hears of lines that are not understood.
    pub(crate) fn read(text: &[u8], wrong: &mut dyn FnMut(usize, &str)) -> Options {
        let mut options = Options::default();
        let mut ours = false;
        for (index, line) in String::from_utf8_lossy(text).lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with('!') {
                wrong(index + 1, "other files are not included");
            } else if let Some(group) = line.strip_prefix('[') {
                ours = GROUPS.contains(&group.trim_end_matches(']').trim());
            } else if ours && let Err(what) = options.set(line) {
                wrong(index + 1, &what);
            }
        }
        options
    }

    /// One `name = value`; names that concern nothing here mean nothing.
    fn set(&mut self, line: &str) -> Result<(), String> {
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
            None => (line, None),
        };
        let name = name.to_ascii_lowercase().replace('_', "-");
        let text = || value.clone().ok_or_else(|| format!("{name} needs a value"));
        let flag = || !matches!(value.as_deref(), Some("0" | "off" | "OFF" | "false" | "FALSE"));
        let number = || text()?.parse::<u16>().map_err(|_| format!("{name} is no number"));
        match &*name {
            "host" => self.host = Some(text()?),
            "port" => self.port = Some(number()?).filter(|port| *port != 0),
            "socket" => self.socket = Some(text()?.into()),
            "user" => self.user = text()?,
            "password" => self.password = text()?,
            "database" => self.database = Some(text()?),
            "connect-timeout" => {
                let seconds = Some(number()?).filter(|seconds| *seconds > 0);
                self.connect_timeout = Duration::from_secs(u64::from(seconds.unwrap_or(5)));
            }
            "ssl" => self.tls.enabled = Some(flag()),
            "skip-ssl" => self.tls.enabled = Some(false),
            "ssl-verify-server-cert" => (self.tls.verify_peer, self.tls.verify_host) = (flag(), flag()),
            _ => {}
        }
        Ok(())
    }

    /// Where that is: without a host, or with `localhost` and no port, a socket of this machine.
    pub(super) fn place(&self) -> Place {
        let local = self.host.as_deref().is_none_or(|host| host == "localhost") && self.port.is_none();
        match (&self.socket, local) {
            (Some(path), true) => Place::Path(path.clone()),
            (None, true) => Place::Path(SOCKET.into()),
            (_, false) => {
                let host = self.host.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
                Place::Host(host, self.port.unwrap_or(3306))
            }
        }
    }
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    // A comment may stand behind a value.
    value.split(" #").next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_files_are_read() {
        let text = b"# x\n[mysqld]\nport=1\n[client]\nuser = mail # me\nhost=db.example\npassword=\"a # b\"\ndatabase=d\nconnect_timeout=3\nssl\n[client-mariadb]\nssl-verify-server-cert=0\n!include /x\nport=x\n";
        let mut told = Vec::new();
        let options = Options::read(text, &mut |line, what| told.push(format!("{line}: {what}")));
        assert_eq!(told, ["13: other files are not included", "14: port is no number"]);
        assert_eq!((&*options.user, &*options.password), ("mail", "a # b"));
        assert_eq!(options.place(), Place::Host("db.example".into(), 3306));
        assert_eq!(options.connect_timeout, Duration::from_secs(3));
        assert_eq!(options.tls, ServiceTls { enabled: Some(true), verify_peer: false, verify_host: false });
        let place = |text: &[u8]| Options::read(text, &mut |_, what| panic!("{what}")).place();
        assert_eq!(place(b"[client]\nhost=localhost"), Place::Path(SOCKET.into()));
        assert_eq!(place(b"[client]\nsocket=/s"), Place::Path("/s".into()));
        assert_eq!(place(b"[client]\nport=3307"), Place::Host("127.0.0.1".into(), 3307));
    }
}
