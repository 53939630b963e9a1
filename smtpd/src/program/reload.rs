//! A new configuration: built aside, then put in force on every shard, all or nothing.

use std::sync::Arc;

use config::Reloadable;

use crate::limits;
use crate::log::Priority;
use crate::pki::{self, Keyring};
use crate::program::{Control, Program};
use crate::shard::Shell;
use crate::snapshot::Snapshot;

impl Control {
    /// All or nothing: on any error what is in force stays.
    pub(super) async fn reload(&self) {
        let built = match self.read_files().await {
            Ok(files) => self.build(Arc::new(files)).await,
            Err(reason) => Err(reason),
        };
        match built {
            Ok((snapshot, keyring)) => {
                self.keyring.replace(keyring);
                self.watch_expiry();
                let snapshot = Arc::new(snapshot);
                self.monitor.configure(&snapshot.monitor);
                self.each_shard(move || {
                    if let Some(shard) = Shell::here().shard() {
                        shard.reload(Arc::clone(&snapshot));
                    }
                })
                .await;
                self.log.line(Priority::Notice, format_args!("Configuration reloaded"));
            }
            Err(reason) => {
                for line in reason.lines() {
                    self.log.line(Priority::Error, format_args!("Could not reload configuration: {line}"));
                }
                self.log.line(Priority::Error, format_args!("The configuration in force stays"));
            }
        }
    }

    /// On the pool: it reads further files, and compiles.
    pub(super) async fn build(&self, files: Arc<Reloadable>) -> Result<(Snapshot, Arc<Keyring>), String> {
        let (program, before) = (Arc::clone(&self.program), Arc::clone(&self.keyring.borrow()));
        let build = move || {
            let mut notices = Vec::new();
            let built = before.renewed(&program.startup, &files.running).and_then(|(keyring, renewed)| {
                notices = renewed;
                let Program { startup, hostname, shards, .. } = &*program;
                let mut warn = |warning| notices.push((Priority::Warning, warning));
                let keyring = Arc::new(keyring);
                let snapshot = Snapshot::build(startup, &files, hostname, *shards, &keyring, &mut warn)?;
                Ok((snapshot, keyring))
            });
            (built, notices)
        };
        let built = engine::offload::run(limits::CONFIGURE, build).await;
        let (built, notices) = built.map_err(|error| format!("reading and compiling: {error}"))?;
        self.say(notices);
        built
    }

    pub(super) fn say(&self, notices: Vec<pki::Notice>) {
        for (priority, text) in notices {
            for line in text.lines() {
                self.log.line(priority, format_args!("{line}"));
            }
        }
    }

    /// Says which certificates have come nearer to their end.
    pub(super) fn watch_expiry(&self) {
        let status = self.keyring.borrow().status();
        let now_s = i64::try_from(engine::time::wall_ms() / 1000).unwrap_or(i64::MAX);
        self.say(self.expiry.look(&status, now_s));
    }
}
