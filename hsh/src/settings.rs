//! What the configuration gives to scripts.

use std::io::{self, Read};
use std::path::Path;

use config::{FileContent, Pem, Running, Scope, Source, Startup};
use hostcalls::crypto::Pki;
use hostcalls::crypto::x509::Certificate;
use hostcalls::source::{EXTRAS, Sources};

use crate::args::{self, AppConf, Options};
use crate::input::Input;
use crate::limits::MAX_INPUT_BYTES;

/// Where the running configuration is when the startup configuration does not say (reference: configuration 2.10).
const DEFAULT_APPCONF: &str = "/etc/halon/smtpd-app.yaml";

/// The files that were read, with the defaults for those that are not there.
#[derive(Debug)]
pub struct Configuration {
    /// The startup configuration.
    pub startup: Startup,
    /// The running configuration.
    pub running: Running,
}

/// Reads what the options name. The error has a line for each problem.
///
/// # Errors
/// A file that is named cannot be read, or what counts of it is wrong.
pub fn load<R: Read>(options: &Options, input: &mut Input<R>) -> Result<Configuration, String> {
    let startup = match &options.config {
        Some(path) => read(path)?,
        None => read_if_there(Path::new(args::DEFAULT_CONFIG))?.unwrap_or_default(),
    };
    let startup = startup_of(&startup)?;
    let running = match &options.appconf {
        Some(AppConf::StandardInput) => {
            text(input.configuration()).map_err(|error| format!("standard input: {error}"))?
        }
        Some(AppConf::File(path)) => read(path)?,
        None if startup.is_default => String::new(),
        None => {
            let path = &startup.value.environment.appconf;
            // Nobody asked for the default ones: there may be none, or only the server's user can read them.
            let asked = options.config.is_some() && path != Path::new(DEFAULT_APPCONF);
            if asked { read(path)? } else { read_if_there(path)?.unwrap_or_default() }
        }
    };
    let running = running_of(&running, &startup.value)?;
    Ok(Configuration { startup: startup.value, running })
}

struct Parsed {
    value: Startup,
    is_default: bool,
}

fn startup_of(text: &str) -> Result<Parsed, String> {
    let lookup = |name: &str| std::env::var(name).ok();
    let settings = config::Options { env: Some(&lookup), scope: Scope::Scripts };
    let source = Source { name: "smtpd", text: or_nothing(text) };
    let loaded = config::load_startup(&source, &settings).map_err(lines)?;
    Ok(Parsed { value: loaded.value, is_default: text.is_empty() })
}

fn running_of(text: &str, startup: &Startup) -> Result<Running, String> {
    let lookup = |name: &str| std::env::var(name).ok();
    let settings = config::Options { env: Some(&lookup), scope: Scope::Scripts };
    let source = Source { name: "smtpd_app", text: or_nothing(text) };
    config::load_running(&source, startup, &settings).map(|loaded| loaded.value).map_err(lines)
}

/// A file without anything in it is no file.
fn or_nothing(text: &str) -> &str {
    if text.trim().is_empty() { "{}" } else { text }
}

fn lines(errors: Vec<config::Error>) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What holds for the whole process: the public suffix list and the form of UUIDs.
///
/// # Errors
/// The list cannot be read.
pub fn apply(configuration: &Configuration) -> Result<(), String> {
    let environment = &configuration.startup.environment;
    script::std::uuid::set_by_time(environment.uuid == config::UuidVersion::Time);
    if let Some(path) = &environment.publicsuffix {
        let failed = |error: String| format!("environment.publicsuffix: {}: {error}", path.display());
        let list = read_bytes(path).map_err(|error| failed(error.to_string()))?;
        script::std::domain::set_public_suffix_list(&list).map_err(failed)?;
    }
    Ok(())
}

/// What scripts may name: the virtual files, the root path and the installed modules. `warn` hears of virtual files
/// that cannot be read; a script that names one fails then.
///
/// # Errors
/// The root path cannot be opened.
pub fn sources(
    configuration: &Configuration,
    rootpath: Option<&Path>,
    warn: &mut dyn FnMut(&str),
) -> Result<Sources, String> {
    let mut files = Vec::new();
    for file in &configuration.running.scripting.files {
        match &file.content {
            FileContent::Data(bytes) => files.push((file.id.clone(), bytes.clone())),
            FileContent::Path(path) => match read_bytes(path) {
                Ok(bytes) => files.push((file.id.clone(), bytes)),
                Err(error) => {
                    warn(&format!("scripting.files \"{}\": {}: {error}", file.id, path.display()));
                }
            },
        }
    }
    let sources = Sources::new(files).with_extras(Path::new(EXTRAS)).with_command_line();
    match rootpath.or(configuration.startup.scripting.rootpath.as_deref()) {
        Some(path) => sources
            .with_root(path)
            .map_err(|error| format!("scripting.rootpath: {}: {error}", path.display())),
        None => Ok(sources),
    }
}

/// The keys and certificates that scripts name. `warn` hears of what cannot be read; a script that names it fails then.
pub fn pki(configuration: &Configuration, warn: &mut dyn FnMut(&str)) -> Pki {
    let mut pki = Pki::default();
    let joined = configuration.startup.pki.joined(&configuration.running.pki);
    for entry in &joined.private {
        let added = pem(entry.key.as_ref()).and_then(|key| {
            let certificate = pem(entry.certificate.as_ref())?;
            pki.add_private(&entry.id, key.as_deref(), certificate.as_deref())
                .map_err(|error| error.to_string())
        });
        complain(added, "private", &entry.id, warn);
    }
    for entry in &joined.public {
        let added = pem(entry.key.as_ref()).and_then(|key| match (key, pem(entry.certificate.as_ref())?) {
            (Some(key), _) => pki.add_public_key(&entry.id, &key).map_err(|error| error.to_string()),
            (None, Some(text)) => pki.add_certificate(&entry.id, &text).map_err(|error| error.to_string()),
            (None, None) => Ok(()),
        });
        complain(added, "public", &entry.id, warn);
    }
    pki
}

/// The certificates (DER) of `pki.trusted`, to be believed besides those of the system.
pub fn trusted(configuration: &Configuration, warn: &mut dyn FnMut(&str)) -> Vec<Vec<u8>> {
    let mut roots = Vec::new();
    for entry in &configuration.running.pki.trusted {
        let added = pem(entry.certificate.as_ref()).and_then(|text| {
            let chain = Certificate::list_from_text(&text.unwrap_or_default());
            let chain = chain.ok_or("the text holds no certificate, or a broken one")?;
            roots.extend(chain.iter().map(|certificate| certificate.der().to_vec()));
            Ok(())
        });
        complain(added, "trusted", &entry.id, warn);
    }
    roots
}

fn complain(added: Result<(), String>, list: &str, id: &str, warn: &mut dyn FnMut(&str)) {
    if let Err(reason) = added {
        warn(&format!("pki.{list} \"{id}\": {reason}"));
    }
}

fn pem(place: Option<&Pem>) -> Result<Option<Vec<u8>>, String> {
    match place {
        None => Ok(None),
        Some(Pem::Data(text)) => Ok(Some(text.clone().into_bytes())),
        Some(Pem::Path(path)) => {
            read_bytes(path).map(Some).map_err(|error| format!("{}: {error}", path.display()))
        }
    }
}

/// Reads a file that must be there.
///
/// # Errors
/// `<path>: <reason>`.
pub fn read_script(path: &Path) -> Result<Vec<u8>, String> {
    read_bytes(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<String, String> {
    text(read_bytes(path)).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads a file that nobody asked for by name.
fn read_if_there(path: &Path) -> Result<Option<String>, String> {
    match text(read_bytes(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Ok(None)
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[expect(clippy::disallowed_methods, reason = "the engine does not run yet")]
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_INPUT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_INPUT_BYTES {
        return Err(io::Error::other(format!("is longer than {MAX_INPUT_BYTES} bytes")));
    }
    Ok(bytes)
}

fn text(bytes: io::Result<Vec<u8>>) -> io::Result<String> {
    String::from_utf8(bytes?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))
}
