//! Files that come, go, and do not fit.

#![allow(clippy::disallowed_methods, reason = "the files of a test are no part of the server")]

use std::fs;

use rcgen::{CertificateParams, DnType, KeyPair};

use super::*;

fn pem(label: &str, der: &[u8]) -> String {
    let text = data_encoding::BASE64_MIME.encode(der);
    format!("-----BEGIN {label}-----\n{text}-----END {label}-----\n")
}

/// PEM texts of a certificate for `name` and of its key.
fn pair(name: &str) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("generates");
    let certificate = params.self_signed(&key).expect("signs");
    (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
}

struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        Files { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, (certificate, key): &(String, String)) {
        fs::write(self.path("mx.pem"), certificate).expect("writes");
        fs::write(self.path("mx.key"), key).expect("writes");
    }

    /// The key in the startup file, the certificate in the running file.
    fn configuration(&self) -> (Startup, Reloadable) {
        self.with("servers: [{id: in, transport: out, tls: {certs: {cert: mx}}}]", None)
    }

    /// The same with these servers, or more, and a delivery file.
    fn with(&self, servers: &str, delivery: Option<&str>) -> (Startup, Reloadable) {
        let startup = format!(
            "version: \"6.10\"\nservers: [{{id: in, listeners: [{{address: 127.0.0.1, port: 2525}}]}}]\n\
             pki: {{private: [{{id: mx, privatekey: {{path: {}}}}}]}}\n",
            self.path("mx.key").display()
        );
        let running = format!(
            "version: \"6.10\"\n{servers}\n\
             transportgroups: [{{id: g, transports: [{{id: out}}]}}]\n\
             pki: {{private: [{{id: mx, certificate: {{path: {}}}}}]}}\n",
            self.path("mx.pem").display()
        );
        let options = config::Options::default();
        let source = config::Source { name: "smtpd", text: &startup };
        let startup = config::load_startup(&source, &options).expect("a good file").value;
        let file = |path: &Path| match path {
            path if path == startup.environment.appconf => Ok(running.clone()),
            path if path == startup.environment.deliveryconf => {
                delivery.map(str::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let files = config::load_files(&startup, &file, &options).expect("good files").value;
        (startup, files)
    }
}

fn subject(keyring: &Keyring) -> String {
    keyring.status().first().map(|status| status.subject.to_string()).unwrap_or_default()
}

#[test]
fn a_renewed_pair_replaces_the_old_one() {
    let files = Files::new();
    files.write(&pair("first.example"));
    let (startup, loaded) = files.configuration();
    let (first, notices) = Keyring::at_start(&startup).renewed(&startup, &loaded).expect("fits");
    assert_eq!((subject(&first), notices.len()), ("CN=first.example".to_owned(), 0));
    files.write(&pair("second.example"));
    let (second, notices) = first.renewed(&startup, &loaded).expect("fits");
    assert_eq!((subject(&second), notices.len()), ("CN=second.example".to_owned(), 0));
}

#[test]
fn a_pair_that_does_not_fit_keeps_the_old_one_and_names_both_files() {
    let files = Files::new();
    files.write(&pair("first.example"));
    let (startup, loaded) = files.configuration();
    let (first, _) = Keyring::at_start(&startup).renewed(&startup, &loaded).expect("fits");
    // The certificate alone was renewed, with a new key.
    fs::write(files.path("mx.pem"), pair("second.example").0).expect("writes");
    let (second, notices) = first.renewed(&startup, &loaded).expect("the old one serves");
    assert_eq!(subject(&second), "CN=first.example");
    let [(Priority::Error, text)] = &notices[..] else { panic!("{notices:?}") };
    for part in ["mx.pem", "mx.key", "pki.private \"mx\"", "the certificate in force stays"] {
        assert!(text.contains(part), "{text}");
    }
    // At start there is no old one.
    let error = Keyring::at_start(&startup).renewed(&startup, &loaded).expect_err("does not fit");
    assert!(error.contains("is not that of the certificate in"), "{error}");
}

#[test]
fn a_key_of_the_startup_file_that_cannot_be_read_again_stays_as_it_was() {
    let files = Files::new();
    files.write(&pair("first.example"));
    let (startup, loaded) = files.configuration();
    let (first, _) = Keyring::at_start(&startup).renewed(&startup, &loaded).expect("fits");
    fs::remove_file(files.path("mx.key")).expect("removes");
    let (second, notices) = first.renewed(&startup, &loaded).expect("the old key serves");
    assert_eq!(subject(&second), "CN=first.example");
    let [(Priority::Warning, text)] = &notices[..] else { panic!("{notices:?}") };
    assert!(text.contains("mx.key again: ") && text.contains("what was read at start stays"), "{text}");
    // The certificate, of the running file, has no such refuge, but its pair has.
    fs::remove_file(files.path("mx.pem")).expect("removes");
    let (third, notices) = second.renewed(&startup, &loaded).expect("the old pair serves");
    assert_eq!(subject(&third), "CN=first.example");
    assert!(notices.iter().any(|(_, text)| text.contains("mx.pem: ")), "{notices:?}");
}

/// A script or the delivery file can ask for a certificate, and for checks, of which no transport says anything.
#[test]
fn what_only_an_attempt_asks_for_is_there() {
    let files = Files::new();
    files.write(&pair("us.example"));
    let plain = "servers: [{id: in, transport: out}]";
    let script = format!("{plain}\nscripting: {{hooks: {{predelivery: \"Try();\"}}}}");
    let verify = "version: \"6.10\"\ndelivery: {default: {tls: {mode: require_verify}}}\n";
    let cases = [(plain, None, false, 0), (&script, None, true, 1), (plain, Some(verify), true, 0)];
    for (servers, delivery, system, count) in cases {
        let (startup, loaded) = files.with(servers, delivery);
        let (keyring, notices) = Keyring::at_start(&startup).renewed(&startup, &loaded).expect("fits");
        assert_eq!((keyring.with_system.is_some(), keyring.held.len()), (system, count), "{servers}");
        assert!(notices.is_empty(), "{notices:?}");
    }
    // Nobody needs it for sure, so a file that is gone stops nothing.
    fs::remove_file(files.path("mx.pem")).expect("removes");
    let (startup, loaded) = files.with(&script, None);
    let (keyring, notices) = Keyring::at_start(&startup).renewed(&startup, &loaded).expect("serves");
    assert!(keyring.held.is_empty() && notices.len() == 1, "{notices:?}");
}
