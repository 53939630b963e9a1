//! The dynamic rules on their way to the shards and to the disk.

use std::rc::Rc;
use std::sync::Arc;

use config::Reloadable;
use queue::Suspends;

use crate::control::shards;
use crate::dynamic::file;
use crate::log::Priority;
use crate::program::Control;
use crate::snapshot::suspend_rules;

impl Control {
    /// The files in force; `None` before the start.
    pub fn files(&self) -> Option<Arc<Reloadable>> {
        self.files.borrow().clone()
    }

    /// What was in force before the start. Without a disk of its own, nothing was.
    pub(super) async fn restore_dynamic(&self) {
        if self.program.process.is_none() {
            return;
        }
        match file::load(&self.program.startup.spool.path).await {
            Ok(suspends) => self.dynamic.restore(suspends),
            Err(why) => self.log.line(Priority::Error, format_args!("{why}")),
        }
    }

    /// The rules of the suspend file, and then the dynamic ones.
    ///
    /// # Errors
    /// A sentence that names the rule.
    pub(super) fn all_suspends(&self, files: &Reloadable) -> Result<Arc<Suspends>, String> {
        let mut rules = suspend_rules(&files.suspends);
        rules.extend(self.dynamic.rules());
        Suspends::compile(&rules, &[]).map(Arc::new).map_err(|error| error.to_string())
    }

    /// Puts the dynamic rules in force as they are now, on all shards that move, and keeps them on disk. A shard that
    /// stands still takes them when it moves again.
    pub async fn dynamic_changed(self: &Rc<Self>) {
        let _turn = self.reloading.acquire().await;
        let Some(files) = self.files() else { return };
        match self.all_suspends(&files) {
            Ok(suspends) => {
                let set = shards::ask(self, move |shard| {
                    shard.set_suspends(Arc::clone(&suspends));
                    std::future::ready(())
                });
                set.await;
            }
            Err(why) => self.log.line(Priority::Error, format_args!("dynamic suspends: {why}")),
        }
        let kept = file::save(&self.program.startup.spool.path, &self.dynamic.suspends()).await;
        if let Err(error) = kept {
            let name = file::NAME;
            let text = format_args!("{name} is not written, dynamic rules end with the server: {error}");
            self.log.line(Priority::Error, text);
        }
    }

    /// Ends dynamic rules when it is time, for the life of the server.
    pub(super) async fn expire_dynamic(self: Rc<Self>) {
        loop {
            self.dynamic.expired().await;
            self.dynamic_changed().await;
        }
    }
}
