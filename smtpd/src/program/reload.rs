//! A new configuration: built aside, then put in force on every shard, all or nothing.

use std::rc::Rc;
use std::sync::Arc;

use config::Reloadable;
use script::compile::BreakPoints;
use tls::ServerSide;

use crate::control::shards;
use crate::limits;
use crate::log::Priority;
use crate::pki::{self, CertificateStatus, Keyring};
use crate::program::{Control, Program};
use crate::snapshot::Snapshot;

/// Which files are read again. What the others said stays in force, as it was when they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// All of them.
    All,
    /// The running file.
    Running,
    /// The policy file.
    Policy,
    /// The suspend file.
    Suspends,
    /// The delivery file.
    Delivery,
}

impl Control {
    /// All or nothing, one after the other.
    ///
    /// # Errors
    /// What is wrong with the files, a line for each problem; what was in force stays.
    pub async fn reload(self: &Rc<Self>, what: Reload) -> Result<(), String> {
        let _turn = self.reloading.acquire().await;
        let reloaded = self.reload_now(what).await;
        match &reloaded {
            Ok(()) => self.log.line(Priority::Notice, format_args!("Configuration reloaded")),
            Err(reason) => {
                for line in reason.lines() {
                    self.log.line(Priority::Error, format_args!("Could not reload configuration: {line}"));
                }
                self.log.line(Priority::Error, format_args!("The configuration in force stays"));
            }
        }
        reloaded
    }

    /// Does all of a reload but its end: the keys that would change, with their places.
    ///
    /// # Errors
    /// As [`Control::reload`].
    pub async fn check_reload(&self, what: Reload) -> Result<Vec<String>, String> {
        let _turn = self.reloading.acquire().await;
        let (files, texts) = self.read_files(what).await?;
        let files = Arc::new(files);
        self.build(Arc::clone(&files), BreakPoints::Refused).await?;
        self.compile_rules(files, &self.dynamic).await?;
        self.changes(&texts).await
    }

    async fn reload_now(self: &Rc<Self>, what: Reload) -> Result<(), String> {
        let (files, texts) = self.read_files(what).await?;
        let files = Arc::new(files);
        let (snapshot, keyring) = self.build(Arc::clone(&files), BreakPoints::Refused).await?;
        let rules = self.compile_rules(Arc::clone(&files), &self.dynamic).await?;
        // Not before: what cannot be put in force is not what another reload goes by.
        self.texts.replace(texts);
        self.files.replace(Some(files));
        self.keyring.replace(keyring);
        self.watch_expiry();
        let snapshot = Arc::new(snapshot);
        self.snapshot.replace(Some(Arc::clone(&snapshot)));
        self.monitor.configure(&snapshot.monitor);
        // A shard that stands still takes it when it moves again.
        let answers = shards::ask(self, move |shard| {
            shard.reload(Arc::clone(&snapshot), rules.clone());
            std::future::ready(())
        });
        let (_, missing) = shards::sort_out(answers.await);
        for missing in missing {
            let text = format_args!("shard {} does not answer, and reloads when it does", missing.shard);
            self.log.line(Priority::Warning, text);
        }
        Ok(())
    }

    /// On the pool: it reads further files, and compiles.
    pub(super) async fn build(
        &self,
        files: Arc<Reloadable>,
        break_points: BreakPoints,
    ) -> Result<(Snapshot, Arc<Keyring>), String> {
        let (program, before) = (Arc::clone(&self.program), Arc::clone(&self.keyring.borrow()));
        let build = move || {
            let mut notices = Vec::new();
            let built = before.renewed(&program.startup, &files).and_then(|(keyring, renewed)| {
                notices = renewed;
                let Program { startup, hostname, shards, .. } = &*program;
                let mut warn = |warning| notices.push((Priority::Warning, warning));
                let keyring = Arc::new(keyring);
                let snapshot =
                    Snapshot::build(startup, &files, hostname, *shards, &keyring, break_points, &mut warn)?;
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

    /// How the control socket speaks TLS now; `None`: it does not.
    pub fn control_side(&self) -> Option<ServerSide> {
        self.keyring.borrow().control_side()
    }

    /// The certificates in force.
    pub fn certificates(&self) -> Vec<CertificateStatus> {
        self.keyring.borrow().status()
    }

    /// Says which certificates have come nearer to their end.
    pub(super) fn watch_expiry(&self) {
        let status = self.certificates();
        let now_s = i64::try_from(engine::time::wall_ms() / 1000).unwrap_or(i64::MAX);
        self.say(self.expiry.look(&status, now_s));
    }
}
