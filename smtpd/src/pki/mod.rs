//! Keys and certificates in force, and how they are renewed.
//!
//! What the startup file names is read with the privileges of the start, and again at each reload with those that are
//! left: where that fails, what was read before stays. A pair that does not fit stays out, too; the one before it
//! serves on, and the log names both files. What the control socket shows is treated alike.

pub mod expiry;
mod sides;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{ControlListener, ControlServerTls, Pem, PkiEntry, Reloadable, Running, Startup};
use rustc_hash::{FxHashMap, FxHashSet};
use tls::{CertificateDer, Identity, IdentityError, Roots, ServerResumption, ServerSide};

use crate::limits;
use crate::log::Priority;
pub(crate) use sides::{client_sides, monitor_side, server_side};

/// Keys and certificates that servers and transports use, by id.
#[derive(Debug, Default)]
pub struct Keyring {
    held: FxHashMap<String, Held>,
    /// Files that the startup file names, as they were last read.
    startup_texts: FxHashMap<PathBuf, Arc<[u8]>>,
    /// `pki.trusted`.
    trusted: Option<Roots>,
    /// The same and the system's authorities, where somebody trusts those.
    with_system: Option<Roots>,
    /// Once there is a server with TLS.
    resumption: Option<ServerResumption>,
    /// `environment.controlsocket.tls.server`.
    control: Option<ControlIdentity>,
}

/// What the control socket shows, and how it speaks TLS.
#[derive(Clone, Debug)]
struct ControlIdentity {
    held: Held,
    side: ServerSide,
}

/// Its key in the startup file; its id among the certificates.
const CONTROL_SOCKET: &str = "environment.controlsocket";

/// One identity.
#[derive(Clone, Debug)]
struct Held {
    identity: Identity,
    /// Where the certificate comes from, for messages.
    certificate: Arc<str>,
    /// What messages call its entry.
    entry: Arc<str>,
}

/// A certificate in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Its id in `pki.private`; `environment.controlsocket` for that of the control socket.
    pub id: String,
    /// What messages call the entry of the configuration.
    pub entry: String,
    /// Subject of the leaf.
    pub subject: Box<str>,
    /// Where it comes from: a path, or `pki.private`.
    pub source: Arc<str>,
    /// Until when it is valid, in seconds since 1970.
    pub not_after_s: i64,
}

/// Something for the log.
pub type Notice = (Priority, String);

impl Keyring {
    /// Reads what the startup file names: before privileges are dropped. What cannot be read is an error once it turns
    /// out to be needed. Blocks: not on a shard.
    pub fn at_start(startup: &Startup) -> Keyring {
        let entries = startup.pki.private.iter();
        let of_control = control_tls(startup).into_iter();
        let of_control =
            of_control.flat_map(|tls| [&tls.key, &tls.certificate].into_iter().chain(&tls.clients));
        let pems = entries.flat_map(|entry| [&entry.key, &entry.certificate]).flatten().chain(of_control);
        let paths = pems.filter_map(|pem| match pem {
            Pem::Path(path) => Some(path),
            Pem::Data(_) => None,
        });
        let read = paths.filter_map(|path| Some((path.clone(), read(path).ok()?.into())));
        Keyring { startup_texts: read.collect(), ..Keyring::default() }
    }

    /// What both files name now; of what fails, what `self` has. Blocks: not on a shard.
    ///
    /// # Errors
    /// A line for each identity that is needed, cannot be had, and is not in `self`, and for `pki.trusted`.
    pub fn renewed(&self, startup: &Startup, files: &Reloadable) -> Result<(Keyring, Vec<Notice>), String> {
        let running = &files.running;
        let mut renewal = Renewal { before: self, texts: self.startup_texts.clone(), notices: Vec::new() };
        let pki = startup.pki.joined(&running.pki);
        let mut errors = Vec::new();
        let mut held = FxHashMap::default();
        let needed = needed(running);
        for id in &needed {
            let id = *id;
            let entry = pki.private.iter().find(|entry| entry.id == id);
            match entry
                .ok_or_else(|| format!("pki.private: there is no \"{id}\""))
                .and_then(|entry| renewal.identity(entry))
            {
                Ok(identity) => drop(held.insert(id.to_owned(), identity)),
                Err(why) => errors.push(why),
            }
        }
        for entry in pki.private.iter().filter(|entry| !needed.contains(entry.id.as_str())) {
            if may_be_asked_for(entry, files) {
                // Nothing names it for sure: an attempt that does fails, and the rest serves.
                match renewal.identity(entry) {
                    Ok(identity) => drop(held.insert(entry.id.clone(), identity)),
                    Err(why) => renewal.notices.push((Priority::Warning, why)),
                }
            }
        }
        let mut trusted = Vec::new();
        for entry in &pki.trusted {
            match renewal.certificates(entry) {
                Ok(certificates) => trusted.extend(certificates),
                Err(why) => errors.push(why),
            }
        }
        let control = match control_tls(startup).map(|tls| renewal.control(tls)).transpose() {
            Ok(control) => control,
            Err(why) => {
                errors.push(why);
                None
            }
        };
        if !errors.is_empty() {
            return Err(errors.join("\n"));
        }
        let system = wants_system(files).then(|| Roots::load(true, &trusted));
        let resumption = match running.servers.iter().any(|server| server.tls.is_some())
            || running.monitor.certificate.is_some()
        {
            true => Some(self.resumption.clone().map_or_else(ServerResumption::new, Ok)?),
            false => self.resumption.clone(),
        };
        let Renewal { texts, notices, .. } = renewal;
        let trusted = Some(Roots::load(false, &trusted));
        let keyring =
            Keyring { held, startup_texts: texts, trusted, with_system: system, resumption, control };
        Ok((keyring, notices))
    }

    /// How the control socket speaks TLS; `None`: it does not.
    pub fn control_side(&self) -> Option<ServerSide> {
        self.control.as_ref().map(|control| control.side.clone())
    }

    /// The certificates in force, by id.
    pub fn status(&self) -> Vec<CertificateStatus> {
        let of_control = self.control.as_ref().map(|control| (CONTROL_SOCKET, &control.held));
        let status = |(id, held): (&str, &Held)| CertificateStatus {
            id: id.to_owned(),
            entry: held.entry.to_string(),
            subject: held.identity.subject.clone(),
            source: Arc::clone(&held.certificate),
            not_after_s: held.identity.not_after_s,
        };
        let of_entries = self.held.iter().map(|(id, held)| (id.as_str(), held));
        let mut all: Vec<_> = of_entries.chain(of_control).map(status).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }
}

/// TLS of the control socket; `None`: it speaks none.
fn control_tls(startup: &Startup) -> Option<&ControlServerTls> {
    match &startup.environment.control {
        ControlListener::Tcp { tls, .. } => tls.as_ref(),
        ControlListener::Unix(_) => None,
    }
}

/// Ids that servers and transports use.
fn needed(running: &Running) -> FxHashSet<&str> {
    let servers = running.servers.iter().filter_map(|server| server.tls.as_ref());
    let of_servers = servers.flat_map(|tls| {
        let by_name = tls.by_name.iter().map(|(_, id)| id.as_str());
        by_name.chain([tls.certificate.as_str()])
    });
    let transports = running.transports.iter().map(|transport| &transport.tls).filter(|tls| tls.is_on());
    let of_servers = of_servers.chain(running.monitor.certificate.as_deref());
    of_servers.chain(transports.filter_map(|tls| tls.client_certificate.as_deref())).collect()
}

/// What an attempt can be told to show although its transport does not: by its script, or because the delivery file has
/// its transport speak TLS.
fn may_be_asked_for(entry: &PkiEntry, files: &Reloadable) -> bool {
    let running = &files.running;
    let is_whole = entry.certificate.is_some() && entry.key.is_some();
    let shows = |transport: &config::Transport| transport.tls.client_certificate.as_ref() == Some(&entry.id);
    let by_file = modes_of_file(files).next().is_some() && running.transports.iter().any(shows);
    is_whole && (running.scripting.predelivery.is_some() || by_file)
}

/// Whether the system's authorities count for some transport, script or condition of the delivery file. Reading them is
/// not for the time of an attempt.
fn wants_system(files: &Reloadable) -> bool {
    let running = &files.running;
    let of_transports = running.transports.iter().filter_map(|transport| transport.tls.checks());
    let by_file = modes_of_file(files).any(config::TlsMode::verifies);
    running.scripting.predelivery.is_some()
        || of_transports.into_iter().any(|verify| verify.default_ca)
        || by_file && running.transports.iter().any(|transport| transport.tls.verify.default_ca)
}

/// The modes that the delivery file sets.
fn modes_of_file(files: &Reloadable) -> impl Iterator<Item = config::TlsMode> {
    let conditions = files.delivery.conditions.iter().map(|condition| &condition.settings);
    conditions.chain([&files.delivery.default]).filter_map(|settings| settings.tls_mode)
}

/// One pass over the files.
struct Renewal<'k> {
    before: &'k Keyring,
    texts: FxHashMap<PathBuf, Arc<[u8]>>,
    notices: Vec<Notice>,
}

impl Renewal<'_> {
    /// The pair of an entry, or the one in force before.
    fn identity(&mut self, entry: &PkiEntry) -> Result<Held, String> {
        let named = format!("pki.private \"{}\"", entry.id);
        let (certificate, key) = (entry.certificate.as_ref(), entry.key.as_ref());
        let missing = |half: &str| format!("{half} is missing");
        let read = certificate
            .ok_or_else(|| missing("certificate"))
            .and_then(|certificate| Ok((certificate, key.ok_or_else(|| missing("privatekey"))?)))
            .and_then(|(certificate, key)| self.read_identity(&named, certificate, key));
        self.or_before(&named, read, |before| before.held.get(&entry.id).cloned())
    }

    /// What the control socket shows and whom it takes, or what was in force before.
    fn control(&mut self, tls: &ControlServerTls) -> Result<ControlIdentity, String> {
        const NAMED: &str = "environment.controlsocket.tls.server";
        let read = self.read_identity(NAMED, &tls.certificate, &tls.key).and_then(|held| {
            let mut clients = Vec::new();
            for pem in &tls.clients {
                clients.extend(self.read_certificates(NAMED, pem)?);
            }
            let side = sides::control_side(held.identity.clone(), &clients)?;
            Ok(ControlIdentity { held, side })
        });
        self.or_before(NAMED, read, |before| before.control.clone())
    }

    /// What was read, or what the keyring before has.
    fn or_before<T>(
        &mut self,
        named: &str,
        read: Result<T, String>,
        of_before: impl Fn(&Keyring) -> Option<T>,
    ) -> Result<T, String> {
        read.or_else(|why| {
            let why = format!("{named}: {why}");
            let old = of_before(self.before).ok_or_else(|| why.clone())?;
            self.notices.push((Priority::Error, format!("{why}; the certificate in force stays")));
            Ok(old)
        })
    }

    fn read_identity(&mut self, named: &str, certificate: &Pem, key: &Pem) -> Result<Held, String> {
        let (chain_text, key_text) = (self.text(named, certificate)?, self.text(named, key)?);
        let (certificate, key) = (name_of(certificate), name_of(key));
        let identity = Identity::from_pem(&chain_text, &key_text).map_err(|error| match error {
            IdentityError::Mismatch => {
                format!("the private key in {key} is not that of the certificate in {certificate}")
            }
            IdentityError::Certificate(why) => {
                format!("the certificate in {certificate} cannot be used: {why}")
            }
            IdentityError::Key(why) => format!("the private key in {key} cannot be used: {why}"),
        })?;
        Ok(Held { identity, certificate: certificate.into(), entry: named.into() })
    }

    fn certificates(&mut self, entry: &PkiEntry) -> Result<Vec<CertificateDer<'static>>, String> {
        let named = format!("pki.trusted \"{}\"", entry.id);
        let certificate = entry.certificate.as_ref();
        let read = certificate
            .ok_or_else(|| "certificate is missing".to_owned())
            .and_then(|pem| self.read_certificates(&named, pem));
        read.map_err(|why| format!("{named}: {why}"))
    }

    fn read_certificates(&mut self, named: &str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
        let text = self.text(named, pem)?;
        tls::certificates(&text).map_err(|why| format!("{} cannot be used: {why}", name_of(pem)))
    }

    fn text(&mut self, named: &str, pem: &Pem) -> Result<Arc<[u8]>, String> {
        let path = match pem {
            Pem::Data(text) => return Ok(text.as_bytes().into()),
            Pem::Path(path) => path,
        };
        match (read(path), self.texts.get_mut(path)) {
            (Ok(bytes), Some(known)) => {
                *known = bytes.into();
                Ok(Arc::clone(known))
            }
            (Ok(bytes), None) => Ok(bytes.into()),
            (Err(error), Some(known)) => {
                let text = format!(
                    "{named}: cannot read {} again: {error}; what was read at start stays",
                    path.display()
                );
                self.notices.push((Priority::Warning, text));
                Ok(Arc::clone(known))
            }
            (Err(error), None) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }
}

fn name_of(pem: &Pem) -> String {
    match pem {
        Pem::Path(path) => path.display().to_string(),
        Pem::Data(_) => "the configuration".to_owned(),
    }
}

/// A small file. Runs on the control thread before the start, and in the offload pool.
#[expect(clippy::disallowed_methods, reason = "never on a shard")]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let size_bytes = std::fs::metadata(path)?.len();
    if size_bytes > limits::PEM_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any certificate"));
    }
    std::fs::read(path)
}
