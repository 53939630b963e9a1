//! From the scripts of a stage on a shard to its desk on the control thread.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use engine::boot::control;
use engine::mesh;
use hostcalls::debugger::{Key, Printed};
use script::machine::Stop;

use super::{Live, Stage};
use crate::limits;
use crate::program::Control;

/// One shard's.
#[derive(Debug)]
pub struct Link {
    stage: Arc<Stage>,
    id: Rc<str>,
    stops: Cell<u64>,
}

impl Link {
    /// Of this stage.
    pub fn new(stage: &Arc<Stage>) -> Rc<Link> {
        Rc::new(Link { stage: Arc::clone(stage), id: Rc::from(&*stage.id), stops: Cell::new(0) })
    }

    /// Shows what a script prints to whoever wants to see that. It is lost where the control thread has too much to do.
    pub fn print(&self, about: &str, text: &[u8]) {
        if !self.stage.printed || self.stage.is_ended() {
            return;
        }
        let (number, about) = (self.stage.number, about.to_owned());
        let text = text[..text.len().min(limits::STAGE_PRINTED_BYTES)].to_vec();
        let _ = mesh::send(control(), move || {
            if let Some(live) = live(number) {
                live.desk.print(Printed { about, text });
            }
        });
    }
}

impl hostcalls::Debugger for Link {
    fn is_attached(&self) -> bool {
        self.stage.is_watched()
    }

    fn stage(&self) -> Option<Rc<str>> {
        Some(Rc::clone(&self.id))
    }

    fn stop(&self, stop: Stop) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let key = (engine::boot::current().0, self.stops.get());
        self.stops.set(self.stops.get() + 1);
        let number = self.stage.number;
        Box::pin(async move {
            let withdrawn = Withdrawn { number, key, done: Cell::new(false) };
            let stood = mesh::call_task(control(), move || async move {
                if let Some(live) = live(number) {
                    live.desk.stand(key, stop).await;
                }
            });
            // A control thread that has ended lets all scripts go on.
            let _ = stood.await;
            withdrawn.done.set(true);
        })
    }
}

/// A script that is dropped where it stands does not wait any more.
struct Withdrawn {
    number: u64,
    key: Key,
    done: Cell<bool>,
}

impl Drop for Withdrawn {
    fn drop(&mut self) {
        let (number, key) = (self.number, self.key);
        if self.done.get() {
            return;
        }
        // Where that is lost, a debugger is shown a script that is gone.
        let _ = mesh::send(control(), move || {
            if let Some(live) = live(number) {
                live.desk.withdraw(key);
            }
        });
    }
}

fn live(number: u64) -> Option<Rc<Live>> {
    mesh::local::get::<Control>()?.deck.of(number)
}
