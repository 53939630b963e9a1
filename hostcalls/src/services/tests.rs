//! Scripts against servers that are played: what they must hear, and what they say.
#![allow(clippy::disallowed_methods, reason = "the peers of a test are no part of the engine")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::plugins::Plugins;
use crate::{Settings, on_engine};

/// One step of a server: what it waits for, and what it says then.
pub(super) type Step = (&'static [u8], &'static [u8]);

/// A server that plays one list of steps for each connection, in their order, and closes each at its end. What it hears has to
/// be what the steps say.
pub(super) fn play(connections: &'static [&'static [Step]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for steps in connections {
            let (mut stream, _) = listener.accept().unwrap();
            for (expected, answer) in *steps {
                let mut heard = vec![0; expected.len()];
                stream.read_exact(&mut heard).unwrap();
                if heard != *expected {
                    let (heard, expected) = (heard.escape_ascii(), expected.escape_ascii());
                    eprintln!("heard {heard}\nnot   {expected}");
                    return;
                }
                stream.write_all(answer).unwrap();
            }
        }
    });
    address
}

/// The same with steps that are put together at run time.
pub(super) fn play_built(connections: Vec<Vec<(Vec<u8>, Vec<u8>)>>) -> SocketAddr {
    let bytes = |bytes: Vec<u8>| -> &'static [u8] { bytes.leak() };
    let steps = |steps: Vec<(Vec<u8>, Vec<u8>)>| -> &'static [Step] {
        steps.into_iter().map(|(heard, said)| (bytes(heard), bytes(said))).collect::<Vec<Step>>().leak()
    };
    play(connections.into_iter().map(steps).collect::<Vec<_>>().leak())
}

/// Settings with plugins as a file has them.
pub(super) fn settings(plugins: &str) -> Settings {
    let text = format!("version: \"6.10\"\nplugins:\n{plugins}");
    let options = config::Options { scope: config::Scope::Scripts, ..config::Options::default() };
    let source = config::Source { name: "smtpd", text: &text };
    let startup = config::load_startup(&source, &options).expect("a good file").value;
    let plugins = Plugins::load(&startup.plugins, &|path| std::fs::read(path), &mut |what| panic!("{what}"));
    Settings { plugins: Arc::new(plugins), ..Settings::default() }
}

/// What each script gives, one after the other on one shard.
pub(super) fn check(settings: Settings, cases: &'static [(&'static str, &'static str)]) {
    on_engine::on_a_shard(settings, move |environment| async move {
        for (source, expected) in cases {
            assert_eq!(on_engine::result(&environment, source).await, *expected, "{source}");
        }
    });
}

mod guide;
mod hostile;
mod kafka;
mod ldap;
mod mariadb;
mod postgresql;
mod rabbitmq;
mod redis;
mod sqlite;
