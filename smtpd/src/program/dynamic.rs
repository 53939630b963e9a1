//! The dynamic rules on their way to the shards and to the disk.

use std::rc::Rc;
use std::sync::Arc;

use config::Reloadable;
use queue::policy::Algorithm;

use crate::control::shards;
use crate::dynamic::wanted::WantedCondition;
use crate::dynamic::{Condition, Dynamic, file};
use crate::limits;
use crate::log::Priority;
use crate::program::Control;
use crate::ruleset::{self, Added, Ruleset};
use crate::warm_up::{self, OfDay};

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
            Ok((suspends, conditions)) => self.dynamic.restore(suspends, conditions),
            Err(why) => self.log.line(Priority::Error, format_args!("{why}")),
        }
    }

    /// The rules of the files with dynamic ones.
    ///
    /// # Errors
    /// A sentence that names the rule.
    pub(super) async fn compile_rules(
        &self,
        files: Arc<Reloadable>,
        dynamic: &Dynamic,
    ) -> Result<Ruleset, String> {
        let added = Added {
            suspends: dynamic.rules(),
            conditions: dynamic.condition_rules(),
            relinquished: dynamic.relinquished(),
            warm_up: self.warm_up(&files),
        };
        // Thousands of expressions take seconds: on the pool.
        let compile = move || Ruleset::compile(&files, added);
        let compiled = engine::offload::run(limits::CONFIGURE, compile).await;
        compiled.map_err(|error| format!("compiling rules: {error}"))?
    }

    /// What new addresses may send today.
    pub fn warm_up(&self, files: &Reloadable) -> OfDay {
        let plan = self.program.startup.plugins.warm_up.joined(&files.running.plugins.warm_up);
        if plan.addresses.is_empty() {
            return OfDay::default();
        }
        OfDay::new(&plan, warm_up::date_at((engine::time::wall_ms() / 1000) as i64))
    }

    /// Puts what new addresses may send in force when a day begins, for the life of the server.
    pub(super) async fn warm_up_daily(self: Rc<Self>) {
        let now = || self.files().map(|files| self.warm_up(&files)).unwrap_or_default();
        let mut before = OfDay::default();
        loop {
            let today = now();
            let changes = today.changes(&before);
            for change in &changes {
                self.log.line(Priority::Notice, format_args!("{change}"));
            }
            if !changes.is_empty()
                && let Err(why) = self.dynamic_changed().await
            {
                self.log.line(Priority::Error, format_args!("warmup: {why}"));
            }
            before = today;
            engine::time::sleep(limits::WARM_UP_LOOK).await;
        }
    }

    /// Puts the dynamic rules in force as they are now, on all shards that move, and keeps them on disk. A shard that
    /// stands still takes them when it moves again.
    ///
    /// # Errors
    /// A sentence that names the rule that does not fit, as a condition on a policy that does not exist. What was in
    /// force stays.
    pub async fn dynamic_changed(self: &Rc<Self>) -> Result<(), String> {
        let _turn = self.reloading.acquire().await;
        let files = self.files().ok_or("the server has not started yet")?;
        let rules = self.compile_rules(files, &self.dynamic).await?;
        let set = shards::ask(self, move |shard| {
            shard.set_rules(rules.clone());
            std::future::ready(())
        });
        set.await;
        let (suspends, conditions) = (self.dynamic.suspends(), self.dynamic.conditions());
        let kept = file::save(&self.program.startup.spool.path, &suspends, &conditions).await;
        if let Err(error) = kept {
            let name = file::NAME;
            let text = format_args!("{name} is not written, dynamic rules end with the server: {error}");
            self.log.line(Priority::Error, text);
        }
        Ok(())
    }

    /// What a change of the dynamic rules would come to. It is made to a copy, which is compiled and forgotten.
    ///
    /// # Errors
    /// What the change says, or as [`Control::dynamic_changed`].
    pub async fn try_dynamic<T>(
        &self,
        change: impl FnOnce(&Dynamic) -> Result<T, String>,
    ) -> Result<T, String> {
        let _turn = self.reloading.acquire().await;
        let files = self.files().ok_or("the server has not started yet")?;
        let copy = self.dynamic.copy();
        let outcome = change(&copy)?;
        self.compile_rules(files, &copy).await?;
        Ok(outcome)
    }

    /// A condition, with the groups that are configured now.
    ///
    /// # Errors
    /// A sentence that names what cannot be.
    pub fn condition(&self, wanted: WantedCondition) -> Result<Condition, String> {
        let snapshot = self.snapshot.borrow().clone().ok_or("the server has not started yet")?;
        wanted.checked(&snapshot.groups, self.rate_algorithm(), engine::time::steady_ms())
    }

    /// How rates are counted that do not say it.
    pub fn rate_algorithm(&self) -> Algorithm {
        self.files().map(|files| ruleset::rate_algorithm(files.policies.fixed_window)).unwrap_or_default()
    }

    /// Adds a condition to a policy, or renews an equal one; the id of the one in force.
    ///
    /// # Errors
    /// A sentence on what cannot be; what was in force stays.
    pub async fn add_condition(self: &Rc<Self>, condition: Condition) -> Result<String, String> {
        let before = self.dynamic.conditions();
        let id = self.dynamic.add_condition(condition)?;
        if let Err(why) = self.dynamic_changed().await {
            // What does not compile must not stand in the way of everything that follows.
            self.dynamic.restore(self.dynamic.suspends(), before);
            return Err(why);
        }
        Ok(id)
    }

    /// Ends dynamic rules when it is time, for the life of the server.
    pub(super) async fn expire_dynamic(self: Rc<Self>) {
        loop {
            self.dynamic.expired().await;
            if let Err(why) = self.dynamic_changed().await {
                self.log.line(Priority::Error, format_args!("dynamic rules: {why}"));
            }
        }
    }
}
