//! What a configuration gives to scripts. Reads the files that it names, which blocks: before the engine runs, or on an
//! offload thread.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use config::{FileContent, Pem, Running, Startup};

use crate::Plugins;
use crate::crypto::Pki;
use crate::crypto::x509::Certificate;
use crate::limits::MAX_IMPORT_BYTES;
use crate::source::{EXTRAS, Sources};

/// What scripts may name: the virtual files, the root path and the installed modules. `warn` hears of virtual files
/// that cannot be read; a script that names one fails then. `rootpath` replaces the one of the startup file.
///
/// # Errors
/// The root path cannot be opened.
pub fn sources(
    startup: &Startup,
    running: &Running,
    rootpath: Option<&Path>,
    warn: &mut dyn FnMut(&str),
) -> Result<Sources, String> {
    let mut files = Vec::new();
    for file in &running.scripting.files {
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
    let sources = Sources::new(files).with_extras(Path::new(EXTRAS));
    match rootpath.or(startup.scripting.rootpath.as_deref()) {
        Some(path) => sources
            .with_root(path)
            .map_err(|error| format!("scripting.rootpath: {}: {error}", path.display())),
        None => Ok(sources),
    }
}

/// The settings of the plugins, with their lists. `warn` hears of what cannot be read.
pub fn plugins(startup: &Startup, running: &Running, warn: &mut dyn FnMut(&str)) -> Plugins {
    let settings = startup.plugins.joined(&running.plugins);
    Plugins::load(&settings, &read_bytes, warn)
}

/// The keys and certificates that scripts name. `warn` hears of what cannot be read; a script that names it fails then.
pub fn pki(startup: &Startup, running: &Running, warn: &mut dyn FnMut(&str)) -> Pki {
    let mut pki = Pki::default();
    let joined = startup.pki.joined(&running.pki);
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
pub fn trusted(running: &Running, warn: &mut dyn FnMut(&str)) -> Vec<Vec<u8>> {
    let mut roots = Vec::new();
    for entry in &running.pki.trusted {
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

#[expect(clippy::disallowed_methods, reason = "before the engine runs, or on an offload thread")]
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_IMPORT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_IMPORT_BYTES {
        return Err(io::Error::other(format!("is longer than {MAX_IMPORT_BYTES} bytes")));
    }
    Ok(bytes)
}
