//! The listening sockets of all shards.

use std::sync::Arc;

use engine::service::PassedSocket;

use crate::log::Priority;
use crate::program::Control;
use crate::shard::Shell;
use crate::sockets::{self, Plan, bind_error};

impl Control {
    /// Writes the documented lines, finds out early which address cannot be had, and binds on every shard.
    pub(super) async fn bind(&self) -> Result<(), String> {
        let mut passed = Vec::new();
        // A simulated server was started by nobody.
        if self.program.process.is_some() {
            for socket in engine::service::passed_sockets() {
                match socket {
                    Ok(socket) => passed.push(socket),
                    Err(unfit) => self.log.line(Priority::Warning, format_args!("{unfit}")),
                }
            }
        }
        let announce = |text: std::fmt::Arguments<'_>| self.log.line(Priority::Notice, text);
        let mut plan = Plan::make(&self.program.startup, passed, &announce).await?;
        self.give_back(plan.take_unclaimed());
        if plan.passed_count() > 0 {
            let count = plan.passed_count();
            announce(format_args!("{count} of these addresses were handed over by the service manager"));
        }
        let (plan, shards, frozen) = (Arc::new(plan), self.program.shards, self.program.frozen);
        let results = self
            .each_shard(move || Shell::here().bind(&plan, engine::boot::current().0, shards, !frozen))
            .await;
        for result in results {
            self.manager.keep(result.map_err(|(at, error)| bind_error(&error, &at))?);
        }
        Ok(())
    }

    /// Sockets that the startup file no longer names.
    fn give_back(&self, unclaimed: Vec<PassedSocket>) {
        for socket in unclaimed {
            let (name, address) = (socket.name(), socket.local_addr());
            let text =
                format_args!("socket \"{name}\" from the service manager: no listener is on {address}");
            self.log.line(Priority::Warning, text);
            if name.starts_with(sockets::STORED_PREFIX) {
                self.manager.forget(name);
            }
        }
    }
}
