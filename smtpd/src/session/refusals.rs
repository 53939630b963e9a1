//! What the log tells of what a session refuses.

use net::smtp::error::{Error, LogClass};
use net::smtp::reply::Reply;
use net::smtp::server::Close;
use uuid::Uuid;

use super::driver::Driver;
use crate::log::Priority;
use crate::log::event::{Action, Event, Refused};

impl Driver {
    pub(super) fn log_close(&mut self, why: Close) {
        let known = self.closed.replace(why);
        if let (Close::Failed(error), None) = (why, known) {
            self.log_refusal(error, Action::Session);
        }
    }

    /// Logs what a script refused.
    pub(super) fn log_reply(&self, reply: &Reply, action: Action) {
        self.shard.stats.intake.refused.add(1);
        let text: Vec<_> = reply.lines().map(String::from_utf8_lossy).collect();
        self.shard.log.event(&Event::Refused(&Refused {
            transaction: self.transaction_id(),
            priority: Priority::Info,
            server: &self.server.id,
            remote: self.client.remote,
            action,
            code: reply.code(),
            enhanced: reply.enhanced(),
            text: &text.join(" "),
        }));
    }

    /// The id of what is under way: that of the transaction, or the one that scripts have been shown for the next one.
    pub(super) fn transaction_id(&self) -> Option<Uuid> {
        let shown = || self.talk.as_ref().map(|talk| talk.conversation.transaction.id);
        self.transaction.as_ref().map(|transaction| transaction.id).or_else(shown)
    }

    pub(super) fn log_refusal(&self, error: Error, action: Action) {
        self.log_refusal_within(self.transaction_id(), error, action);
    }

    pub(super) fn log_refusal_within(&self, transaction: Option<Uuid>, error: Error, action: Action) {
        self.shard.stats.intake.refused.add(1);
        let priority = match error.log_class() {
            LogClass::Debug => return,
            LogClass::Info => Priority::Info,
            LogClass::Warning => Priority::Warning,
            LogClass::Error => Priority::Error,
        };
        self.shard.log.event(&Event::Refused(&Refused {
            transaction,
            priority,
            server: &self.server.id,
            remote: self.client.remote,
            action,
            code: error.code(),
            enhanced: Some(error.enhanced()),
            text: error.text(),
        }));
    }
}
