//! The end: drain within a deadline, at once when asked again.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::boot::ShardId;
use engine::mesh;

use crate::log::Priority;
use crate::program::Control;
use crate::shard::Shell;
use crate::stage::End;

impl Control {
    pub(super) async fn stop(self: &Rc<Self>) -> Result<(), String> {
        self.log
            .line(Priority::Notice, format_args!("Stopping: waiting for transactions and attempts to end"));
        self.monitor.set_stopping();
        if let Some(live) = self.deck.live() {
            self.end_stage(live.stage.number, End::Stopping).await;
        }
        let deadline = self.program.startup.environment.drain;
        self.manager.stopping(deadline);
        let hurry = engine::task::spawn(engine::task::Class::Interactive, hurry(self.program.shards));
        let mut stopping = Vec::new();
        for number in 0..self.program.shards {
            stopping.push(engine::task::spawn(engine::task::Class::Interactive, async move {
                mesh::call_task(ShardId(number), move || stop_here(deadline)).await
            }));
        }
        for task in stopping {
            if let Some(Ok(Err(reason))) = task.await {
                self.log.line(Priority::Error, format_args!("Stopping: {reason}"));
                self.program.exit_status.store(1, Ordering::Relaxed);
            }
        }
        hurry.abort();
        self.log.line(Priority::Notice, format_args!("Stopped"));
        Ok(())
    }
}

/// Stops the shard that this runs on.
async fn stop_here(deadline: Duration) -> Result<(), String> {
    match Shell::here().shard() {
        Some(shard) => shard.stop(deadline).await,
        None => Ok(()),
    }
}

/// A second signal: what is still running is dropped where it stands.
async fn hurry(shards: u16) {
    loop {
        if matches!(engine::signal::next().await, libc::SIGTERM | libc::SIGINT) {
            for number in 0..shards {
                let _ = mesh::call(ShardId(number), || {
                    if let Some(shard) = Shell::here().shard() {
                        shard.sessions.abort();
                        shard.delivery.abort();
                    }
                })
                .await;
            }
        }
    }
}
