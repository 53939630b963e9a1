//! What the configuration gives to scripts.

use std::io::{self, Read};
use std::path::Path;

use config::{Running, Scope, Source, Startup};

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
