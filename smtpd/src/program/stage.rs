//! Live stages: built aside as a reload is, given to the shards, and ended.

use std::rc::Rc;
use std::sync::Arc;

use config::Reloadable;
use script::compile::BreakPoints;

use crate::control::shards;
use crate::limits;
use crate::log::Priority;
use crate::program::Control;
use crate::snapshot::Snapshot;
use crate::stage::{Conditions, End, Live, Stage};

/// What is to be staged.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub id: &'a str,
    /// What errors call the text.
    pub file: &'a str,
    /// A complete running configuration.
    pub text: &'a str,
    /// Who gets it.
    pub conditions: Conditions,
    /// The client whose end is its end, and who sees what its scripts print.
    pub bound_to: Option<u64>,
}

impl Control {
    /// Starts a stage, if none runs.
    ///
    /// # Errors
    /// One runs; or what is wrong with the configuration, a line for each problem.
    pub async fn start_stage(self: &Rc<Self>, wanted: Wanted<'_>) -> Result<Rc<Live>, String> {
        let _turn = self.reloading.acquire().await;
        if let Some(live) = self.deck.live() {
            return Err(format!(
                "the live stage \"{}\" runs; there is one at a time: cancel it first",
                live.stage.id
            ));
        }
        let snapshot = self.build_stage(&wanted).await?;
        let Wanted { id, conditions, bound_to, .. } = wanted;
        let (number, seed) = (self.deck.next_number(), engine::rng::u64());
        let stage = Arc::new(Stage::new(id.into(), number, conditions, seed, bound_to.is_some()));
        let live = self.deck.begin(Arc::clone(&stage), bound_to);
        let snapshot = Arc::new(snapshot);
        // A shard that stands still takes it when it moves again.
        let told = shards::ask(self, move |shard| {
            shard.begin_stage(Arc::clone(&stage), Arc::clone(&snapshot));
            std::future::ready(())
        });
        told.await;
        engine::task::spawn(engine::task::Class::Interactive, Rc::clone(self).tend_stage(number));
        Ok(live)
    }

    /// Whether a stage could be started, were there none.
    ///
    /// # Errors
    /// What is wrong with the configuration, a line for each problem.
    pub async fn try_stage(self: &Rc<Self>, wanted: &Wanted<'_>) -> Result<(), String> {
        let _turn = self.reloading.acquire().await;
        self.build_stage(wanted).await.map(drop)
    }

    async fn build_stage(&self, wanted: &Wanted<'_>) -> Result<Snapshot, String> {
        let in_force = self.files().ok_or("the server has not started yet")?;
        let running = self.read_running(wanted.file, wanted.text)?;
        self.warn_of_transports(wanted.id, &running, &in_force.running);
        let files = Arc::new(Reloadable { running, ..Reloadable::clone(&in_force) });
        self.build(files, BreakPoints::Allowed).await.map(|(snapshot, _)| snapshot)
    }

    /// Recipients keep the name of their transport, and that is looked up in the configuration in force.
    fn warn_of_transports(&self, id: &str, staged: &config::Running, in_force: &config::Running) {
        let known = |name: &str| in_force.transports.iter().any(|transport| transport.id == name);
        for transport in staged.transports.iter().filter(|transport| !known(&transport.id)) {
            let text = format_args!(
                "live stage \"{id}\": transport \"{}\" is not in the configuration in force: what is queued for it waits",
                transport.id
            );
            self.log.line(Priority::Warning, text);
        }
    }

    /// Ends a stage when its time has come.
    async fn tend_stage(self: Rc<Self>, number: u64) {
        while let Some(live) = self.deck.of(number) {
            if let Some(why) = live.is_over() {
                return self.end_stage(number, why).await;
            }
            let left = live.stage.conditions().time.map(|time| time.saturating_sub(live.elapsed()));
            drop(live);
            engine::time::sleep(left.unwrap_or(limits::STAGE_TICK).min(limits::STAGE_TICK)).await;
        }
    }

    /// Ends a stage, unless it has ended. Connections that are on it finish on it; its scripts that stand go on.
    pub async fn end_stage(self: &Rc<Self>, number: u64, why: End) {
        let Some(live) = self.deck.end(number) else { return };
        let text = format_args!(
            "live stage \"{}\" ended after {:.1} s and {} connection(s): {why}",
            live.stage.id,
            live.elapsed().as_secs_f64(),
            live.stage.taken()
        );
        self.log.line(Priority::Notice, text);
        let forgotten = shards::ask(self, move |shard| {
            shard.stage.end(number);
            std::future::ready(())
        });
        forgotten.await;
    }
}
